// Drop songs, see what the server says of them.

import { COLOURS, drawFeatures, drawGenres, drawWave } from "./draw.js";

const byId = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

const LEAST_SHARE = 0.005; // of a genre in the legend
const TICKS = 5;
const KINDS = { mfcc: "MFCC, as the network hears them (each coefficient on its own scale)", "log-mel": "Mel bands, as the network hears them (logarithm of the power)" };

async function ask(path, options = {}) {
  const token = byId("token").value;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  for (;;) {
    const response = await fetch(path, { ...options, headers });
    const answer = await response.json();
    if (response.ok) return answer;
    if (response.status === 401) byId("token-field").hidden = false;
    if (response.status !== 429) throw new Error(answer.detail);
    await pause(Number(response.headers.get("Retry-After")) || 1);
  }
}

async function listModels() {
  try {
    const { models, default: first } = await ask("/v1/models");
    const options = models.map(({ name, network, input }) => new Option(`${name} (${network}, ${input} in)`, name, name === first, name === first));
    byId("model").replaceChildren(...options);
    byId("status").textContent = "";
  } catch (error) {
    byId("status").textContent = error.message;
  }
}

async function listen(files) {
  for (const [index, file] of [...files].entries()) {
    byId("status").textContent = `Listening to ${file.name} (${index + 1} of ${files.length}) …`;
    const body = new FormData();
    body.append("file", file);
    const choice = new URLSearchParams({ outline: "true" });
    if (byId("model").value) choice.set("model", byId("model").value);
    try {
      show(await ask(`/v1/classify/segments?${choice}`, { method: "POST", body }));
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

function show(answer) {
  const { song, labels, probabilities, outline, model } = answer;
  const colour = (genre) => COLOURS[labels.indexOf(genre) % COLOURS.length] ?? "transparent";
  const entry = newEntry(song.name);
  const find = (selector) => entry.querySelector(selector);
  find(".genre").textContent = song.genre;
  find(".genre").style.setProperty("--of-genre", colour(song.genre));
  find(".sure").textContent = `${percent(song.confidence)} of ${song.segments} votes, probability ${percent(song.probability)}, by ${model.name}`;
  showVotes(find("dl"), song, colour);

  const order = labels.map((_, index) => index).sort((a, b) => song.probabilities[labels[b]] - song.probabilities[labels[a]]);
  find(".legend").replaceChildren(...order.filter((genre) => song.probabilities[labels[genre]] > LEAST_SHARE).map((genre) => {
    const item = document.createElement("span");
    item.textContent = labels[genre];
    item.style.setProperty("--of-genre", COLOURS[genre % COLOURS.length]);
    return item;
  }));
  const seconds = probabilities.length * answer.seconds_per_segment;
  find(".axis").replaceChildren(...Array.from({ length: TICKS }, (_, tick) => {
    const mark = document.createElement("span");
    mark.textContent = clock(seconds * tick / (TICKS - 1));
    return mark;
  }));
  find(".kind").textContent = KINDS[outline.kind];
  find(".genres").ariaLabel = `Probability of each genre over ${clock(seconds)}; ${tell(song)}`;
  find(".wave").ariaLabel = `Waveform of ${clock(seconds)}`;
  find(".features").ariaLabel = `${KINDS[outline.kind]}, ${outline.features[0].length} rows over ${clock(seconds)}`;
  fillTable(entry, answer);
  const draw = () => {
    drawGenres(find(".genres"), probabilities, order);
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
    find(".cursor").textContent = `${clock(segment * answer.seconds_per_segment)} ${labels[best]} ${percent(row[best])}`;
  });
}

function tell({ timeline, genre }) {
  if (!timeline) return `it stays with ${genre}`;
  return timeline.map((part) => `${part.genre} from ${clock(part.start)} to ${clock(part.end)}`).join(", ");
}

function showVotes(list, song, colour) {
  const ranked = Object.entries(song.votes).filter(([, votes]) => votes).sort((a, b) => b[1] - a[1]);
  for (const [genre, votes] of ranked) {
    const [term, bar, count] = ["dt", "dd", "dd"].map((tag) => document.createElement(tag));
    term.textContent = genre;
    bar.className = "bar";
    bar.append(document.createElement("i"));
    bar.style.setProperty("--of-genre", colour(genre));
    bar.style.setProperty("--share", `${100 * votes / song.segments}%`);
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
  entry.querySelector("thead").append(row(["from", ...labels], "th"));
  const rows = probabilities.map((values, index) => row([clock(index * length), ...values.map(percent)], "td"));
  entry.querySelector("tbody").append(...rows);
}

const drop = byId("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) listen(event.dataTransfer.files);
  });
}
byId("files").addEventListener("change", async ({ target }) => {
  await listen(target.files);
  target.value = "";
});
byId("token").addEventListener("change", listModels);
byId("ask").addEventListener("submit", (event) => event.preventDefault());
listModels();
