/** Create the list item of a song: name, confidence and timeline; the details when it is opened. */
import { UNCERTAIN } from "../rules/constants.ts";
import type { SongPrediction } from "../rules/prediction.ts";
import { fileName, folderName, type LibrarySong, type Song, songCredits, songTitle } from "../rules/song.ts";
import { labelName, texts } from "../texts.ts";
import type { Covers } from "./covers.ts";
import { button, iconButton, icons, make, swatch } from "./dom.ts";
import { genreChoice } from "./genre-choice.ts";
import { clock, drawnParts, shareChart, strip } from "./timeline-chart.ts";

const NO_CORRECTION = "";
/** Mean probability below which a genre is left out, because it rounds to 0 %. */
const MIN_SHARE = 0.005;

const FIELDS = ["album", "artist"] as const;

export interface SongActions {
  /** Set the user's genre of songs; null restores the predicted genre. */
  readonly correct: (songs: readonly Song[], genre: string | null) => void;
  readonly remove: (song: Song) => void;
  /** Play a song from a time in seconds on. */
  readonly play: (labelled: LibrarySong, seconds: number) => void;
  /** Add a song to the selection, or remove it. */
  readonly pick: (path: string, isPicked: boolean) => void;
  /** Select the songs with the same artist or album as a song. */
  readonly selectLike: (song: Song, field: "artist" | "album") => void;
}

/**
 * Create the list item of a song.
 *
 * @param labels genres for a correction
 * @param covers stored covers
 * @param open true to show the details at once
 */
export function songItem(
  labelled: LibrarySong, labels: readonly string[], actions: SongActions, covers: Covers, open: boolean,
): HTMLLIElement {
  const { song, prediction } = labelled;
  const pick = make("input", {
    type: "checkbox", class: "pick", "aria-label": texts.selection.pick(songTitle(song)),
    change: () => actions.pick(song.path, pick.checked),
  });
  const player = make("div", {}, pick, playButton(labelled, actions, covers));
  const below = songCredits(song) || folderName(song.path);
  const title = make("div", { class: "song-head" },
    make("span", { class: "name", dir: "auto" }, songTitle(song)),
    confidence(labelled));
  const place = below ? make("div", { class: "folder", dir: "auto" }, below) : null;
  if (!prediction) {
    const summary = make("summary", {}, title, place, make("div", { class: "reason" }, song.error ?? ""));
    return collapsible(song.path, player, summary, open, () => [location(song), correctionTools(labelled, labels, actions)]);
  }
  const shown = prediction.top.filter(([, p]) => p >= MIN_SHARE);
  const top = shown.map(([genre, p]) => `${labelName(genre)} ${texts.song.percent(p)}`).join(" · ");
  const summary = make("summary", {}, title, place, ...notes(labelled), strip(prediction),
    make("div", { class: "top" }, top));
  return collapsible(song.path, player, summary, open, () =>
    [parts(labelled, prediction, actions), ...details(labelled, prediction), location(song), correctionTools(labelled, labels, actions)]);
}

/** Create an item whose content is created when it is first opened. */
function collapsible(
  path: string, player: HTMLElement, summary: HTMLElement, open: boolean, content: () => (Node | string)[],
): HTMLLIElement {
  const element = make("details", { open }, summary);
  const fill = () => {
    if (element.open && element.childElementCount === 1) {
      element.append(make("div", { class: "more" }, ...content()));
    }
  };
  element.addEventListener("toggle", fill);
  fill();
  return make("li", { "data-path": path }, player, element);
}

/** Create the button that plays a song, with its cover if there is one. */
function playButton(labelled: LibrarySong, { play }: SongActions, covers: Covers): HTMLElement {
  const { song } = labelled;
  const element = iconButton(texts.player.play(songTitle(song)), icons.play, () => play(labelled, 0), "cover");
  if (song.tags?.cover) {
    const image = make("img", { alt: "", width: "48", height: "48" });
    covers.show(song.tags.cover, image);
    element.prepend(image);
  }
  return element;
}

/** Create a button for each part of a song with several, which plays the song from there. */
function parts(labelled: LibrarySong, prediction: SongPrediction, { play }: SongActions): HTMLElement | string {
  const { labels } = prediction;
  const drawn = drawnParts(prediction);
  if (drawn.length === 1) return "";
  return make("div", { class: "actions parts" }, ...drawn.map(({ genre, start }) => {
    const element = button(texts.song.part(labelName(labels[genre]!), clock(start)), () => play(labelled, start));
    element.prepend(swatch(labels[genre]!, labels));
    return element;
  }));
}

/** Show the path of a song that is listed by its title. */
function location(song: Song): HTMLElement | string {
  const isListed = songTitle(song) === fileName(song.path) && songCredits(song) === "";
  return isListed ? "" : make("p", { class: "folder", dir: "auto" }, song.path);
}

function confidence({ prediction, corrected }: LibrarySong): HTMLElement | null {
  if (corrected !== null) return make("span", { class: "confidence" }, texts.song.byYou);
  if (!prediction) return null;
  return make("span", { class: "confidence" },
    make("span", { class: "hidden" }, `${texts.song.confidence} `),
    texts.song.percent(prediction.confidence));
}

/** Create the reason why the song is uncertain, and a mark if its end was not classified. */
function notes({ song, prediction, genre }: LibrarySong): HTMLElement[] {
  const lines: string[] = [];
  if (prediction && genre === UNCERTAIN) {
    lines.push(texts.song.mostLikely(labelName(prediction.winner), prediction.confidence));
  }
  if (song.partial) lines.push(partialText(song));
  return lines.map((text) => make("div", { class: "note" }, text));
}

function partialText({ analyzedSeconds, durationSeconds }: Song): string {
  const known = analyzedSeconds !== null && durationSeconds !== null;
  return known ? texts.song.partial(clock(analyzedSeconds), clock(durationSeconds)) : texts.song.partialUnknown;
}

function details({ corrected }: LibrarySong, prediction: SongPrediction): Node[] {
  const { labels, votes, segments } = prediction;
  const winner = labels.indexOf(prediction.winner);
  const voters = votes.reduce((a, b) => a + b);
  const length = segments * prediction.secondsPerSegment;
  const shares = prediction.probabilities
    .map((share, genre) => ({ share, genre }))
    .filter(({ share }) => share >= MIN_SHARE)
    .sort((a, b) => b.share - a.share);
  return [
    shareChart(prediction, winner),
    make("div", { class: "axis", "aria-hidden": "true" },
      ...[0, 0.25, 0.5, 0.75, 1].map((part) => make("span", {}, clock(part * length)))),
    make("ul", { class: "legend", "aria-label": texts.song.shares },
      ...shares.map(({ genre, share }) =>
        make("li", {}, swatch(labels[genre]!, labels), `${labelName(labels[genre]!)} ${texts.song.percent(share)}`))),
    make("p", { class: "top" },
      texts.song.votes(votes[winner]!, voters, labelName(prediction.winner)),
      segments > voters ? ` ${texts.song.silent(segments - voters)}` : "",
      corrected === null ? "" : ` ${texts.song.predicted(labelName(prediction.genre))}`),
  ];
}

function correctionTools(
  { song, prediction, corrected }: LibrarySong, labels: readonly string[], actions: SongActions,
): HTMLElement {
  const predicted = prediction ? labelName(prediction.genre) : texts.song.noPrediction;
  const first = { [NO_CORRECTION]: texts.song.usePrediction(predicted) };
  const { list, field } = genreChoice(first, labels, corrected ?? NO_CORRECTION, (genre) =>
    actions.correct([song], genre === NO_CORRECTION ? null : genre));
  return make("div", { class: "tools" },
    make("label", {}, texts.song.genre, list), field,
    ...FIELDS.map((field) => {
      const value = song.tags?.[field] ?? null;
      return value !== null && button(texts.selection.like(field, value), () => actions.selectLike(song, field), "quiet");
    }),
    button(texts.song.remove, () => actions.remove(song), "quiet"));
}
