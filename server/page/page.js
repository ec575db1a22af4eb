// Upload songs and show their predictions.

import { byId, request } from "./api.js";
import { colourOf, drawFeatures, drawGenres, drawWave, nameOf } from "./draw.js";

const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

const UNCERTAIN = "uncertain";
const MIN_LEGEND_PROBABILITY = 0.005;
const TICKS = 5;
const FEATURE_CAPTIONS = {
  mfcc: "MFCC, the input of the network (each coefficient on its own scale)",
  "log-mel": "Mel bands, the input of the network (logarithm of the power)",
};

// Send a request; repeat it while the server is overloaded.
async function requestJson(path, options) {
  for (;;) {
    const response = await request(path, options);
    const content = await response.json();
    if (response.ok) return content;
    if (response.status !== 429) throw new Error(content.detail);
    await sleep(Number(response.headers.get("Retry-After")) || 1);
  }
}

async function listModels() {
  try {
    const { models, default: defaultName } = await requestJson("/v1/models");
    const options = models.map(({ name, network, input }) => new Option(`${name} (${network}, input ${input})`, name, name === defaultName, name === defaultName));
    byId("model").replaceChildren(...options);
    byId("status").textContent = "";
  } catch (error) {
    byId("status").textContent = error.message;
  }
}

async function classify(files) {
  for (const [index, file] of [...files].entries()) {
    byId("status").textContent = `Classifying ${file.name} (${index + 1} of ${files.length}) …`;
    const body = new FormData();
    body.append("file", file);
    const query = new URLSearchParams({ outline: "true" });
    if (byId("model").value) query.set("model", byId("model").value);
    try {
      showPrediction(file.name, await requestJson(`/v1/classify/segments?${query}`, { method: "POST", body }));
    } catch (error) {
      showFailure(file.name, error.message);
    }
  }
  byId("status").textContent = files.length === 1 ? "Done." : `Done: ${files.length} songs.`;
}

function newEntry(name) {
  const entry = byId("song").content.cloneNode(true).firstElementChild;
  entry.querySelector(".name").textContent = name;
  byId("songs").prepend(entry);
  return entry;
}

function showFailure(name, reason) {
  const entry = newEntry(name);
  entry.classList.add("failed");
  entry.querySelector(".genre").textContent = reason;
}

function showPrediction(name, response) {
  const { song, labels, probabilities, outline, model } = response;
  const colour = (genre) => colourOf(genre, labels);
  const winner = winnerOf(song);
  const voters = countVotes(song);
  const entry = newEntry(name);
  const find = (selector) => entry.querySelector(selector);
  find(".genre").textContent = nameOf(song.genre);
  find(".genre").style.setProperty("--genre-colour", colour(song.genre));
  find(".confidence").textContent = `${percent(song.confidence)}, ${song.votes[winner]} of ${voters} votes, mean probability ${percent(song.probability)}, by ${model.name}`;
  showNotes(find(".note"), song, winner);
  showVotes(find("dl"), song, colour);

  const order = labels.map((_, index) => index).sort((a, b) => song.probabilities[labels[b]] - song.probabilities[labels[a]]);
  find(".legend").replaceChildren(...order.filter((genre) => song.probabilities[labels[genre]] > MIN_LEGEND_PROBABILITY).map((genre) => {
    const item = document.createElement("span");
    item.textContent = nameOf(labels[genre]);
    item.style.setProperty("--genre-colour", colour(labels[genre]));
    return item;
  }));
  const seconds = probabilities.length * response.seconds_per_segment;
  find(".axis").replaceChildren(...Array.from({ length: TICKS }, (_, tick) => {
    const mark = document.createElement("span");
    mark.textContent = clock(seconds * tick / (TICKS - 1));
    return mark;
  }));
  const caption = FEATURE_CAPTIONS[outline.kind] ?? `Features (${outline.kind}), the input of the network`;
  find(".kind").textContent = caption;
  find(".genres").ariaLabel = `Probability of each genre over ${clock(seconds)}; ${describeTimeline(song, winner)}`;
  find(".wave").ariaLabel = `Waveform of ${clock(seconds)}`;
  find(".features").ariaLabel = `${caption}, ${outline.features[0].length} rows over ${clock(seconds)}`;
  fillTable(entry, response);
  const draw = () => {
    drawGenres(find(".genres"), probabilities, order, labels);
    drawWave(find(".wave"), outline);
    drawFeatures(find(".features"), outline);
  };
  new ResizeObserver(draw).observe(find(".time"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  find(".genres").addEventListener("pointermove", ({ offsetX }) => {
    const width = find(".genres").clientWidth;
    const segment = Math.min(Math.max(Math.floor(offsetX / width * probabilities.length), 0), probabilities.length - 1);
    const row = probabilities[segment];
    const best = row.indexOf(Math.max(...row));
    const prediction = isSilent(row) ? "silent" : `${nameOf(labels[best])} ${percent(row[best])}`;
    find(".cursor").textContent = `${clock(segment * response.seconds_per_segment)} ${prediction}`;
  });
}

const isSilent = (row) => row.every((value) => value === 0);
const countVotes = ({ votes }) => Object.values(votes).reduce((a, b) => a + b, 0);

// Return the label that won the vote, whatever the thresholds.
function winnerOf(song) {
  if (song.genre !== UNCERTAIN) return song.genre;
  const voters = countVotes(song);
  const error = (label) => Math.abs(song.votes[label] / voters - song.vote_share) + Math.abs(song.probabilities[label] - song.probability);
  return Object.keys(song.votes).reduce((a, b) => (error(b) < error(a) ? b : a));
}

// Show why the song is uncertain, and whether its end was left out.
function showNotes(element, song, winner) {
  const notes = [];
  if (song.genre === UNCERTAIN) {
    const top = song.top.map(({ genre, probability }) => `${nameOf(genre)} ${percent(probability)}`).join(" · ");
    notes.push(`most likely ${nameOf(winner)}, ${percent(song.confidence)} (${top})`);
  }
  const { analyzed_seconds: analyzed, duration_seconds: whole } = song;
  if (song.partial) notes.push(analyzed === null || whole === null ? "partial: its end was not classified" : `partial: ${clock(analyzed)} of ${clock(whole)} classified`);
  element.textContent = notes.join("; ");
  element.hidden = !notes.length;
}

function describeTimeline({ timeline }, winner) {
  if (!timeline) return `${nameOf(winner)} throughout`;
  return timeline.map((part) => `${nameOf(part.genre)} from ${clock(part.start)} to ${clock(part.end)}`).join(", ");
}

function showVotes(list, song, colour) {
  const voters = countVotes(song);
  const ranked = Object.entries(song.votes).filter(([, votes]) => votes).sort((a, b) => b[1] - a[1]);
  for (const [genre, votes] of ranked) {
    const [term, bar, count] = ["dt", "dd", "dd"].map((tag) => document.createElement(tag));
    term.textContent = nameOf(genre);
    bar.className = "bar";
    bar.append(document.createElement("i"));
    bar.style.setProperty("--genre-colour", colour(genre));
    bar.style.setProperty("--share", `${100 * votes / voters}%`);
    count.className = "count";
    count.textContent = votes;
    list.append(term, bar, count);
  }
}

function fillTable(entry, { labels, probabilities, seconds_per_segment: length }) {
  const row = (cells, tag) => {
    const line = document.createElement("tr");
    line.append(...cells.map((text) => Object.assign(document.createElement(tag), { textContent: text })));
    return line;
  };
  entry.querySelector("thead").append(row(["from", ...labels.map(nameOf)], "th"));
  const rows = probabilities.map((values, index) => row([clock(index * length), ...(isSilent(values) ? values.map(() => "silent") : values.map(percent))], "td"));
  entry.querySelector("tbody").append(...rows);
}

const drop = byId("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("dragging", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) classify(event.dataTransfer.files);
  });
}
byId("files").addEventListener("change", async ({ target }) => {
  await classify(target.files);
  target.value = "";
});
byId("token").addEventListener("change", listModels);
byId("upload").addEventListener("submit", (event) => event.preventDefault());
listModels();
