/** One song in the list: name, confidence, strip; opened, all that is known of it. */
import { fileName, folderName, type Judgement, type LabelledSong } from "../rules/song.ts";
import type { SongLabel } from "../rules/label.ts";
import { rows, type Table } from "../rules/vote.ts";
import { texts } from "../texts.ts";
import { button, make, select, swatch } from "./dom.ts";
import { clock, inWords, shares, strip } from "./strip.ts";

const AS_HEARD = "";

export interface SongActions {
  /** A person's genre for a song; null: the network's. */
  readonly correct: (path: string, genre: string | null) => void;
  readonly forget: (path: string) => void;
}

/** @param open whether all of it is shown from the start */
export function songItem(
  one: LabelledSong, how: Judgement, actions: SongActions, open: boolean,
): HTMLLIElement {
  const { song, table, label } = one;
  const folder = folderName(song.path);
  const name = make("span", { class: "name", dir: "auto" }, fileName(song.path));
  const place = folder ? make("div", { class: "folder", dir: "auto" }, folder) : null;
  if (!table || !label) {
    const reason = make("div", { class: "reason" }, song.error ?? "");
    const about = make("div", { class: "head" }, name, one.corrected !== null && sureness(one));
    const summary = make("summary", {}, about, place, reason);
    return opening(song.path, summary, open, () => [tools(one, how, actions)]);
  }
  const words = inWords(table, how.seconds, how.labels);
  const top = label.top.map(([genre, p]) => `${genre} ${texts.song.percent(p)}`).join(" · ");
  const summary = make("summary", {},
    make("div", { class: "head" }, name, sureness(one)),
    place,
    strip(table, how.seconds, words),
    make("div", { class: "top" }, top),
  );
  return opening(song.path, summary, open, () =>
    [...details(one, table, label, how, words), tools(one, how, actions)]);
}

function opening(
  path: string, summary: HTMLElement, open: boolean, content: () => Node[],
): HTMLLIElement {
  const element = make("details", { open }, summary);
  const fill = () => {
    if (element.open && element.childElementCount === 1) {
      element.append(make("div", { class: "more" }, ...content()));
    }
  };
  element.addEventListener("toggle", fill);
  fill();
  return make("li", { "data-path": path }, element);
}

function sureness({ label, corrected }: LabelledSong): HTMLElement {
  if (corrected !== null || !label) return make("span", { class: "sure" }, texts.song.byYou);
  return make("span", { class: "sure" },
    make("span", { class: "hidden" }, `${texts.song.confidence} `),
    texts.song.percent(label.confidence));
}

function details(
  one: LabelledSong, table: Table, label: SongLabel, how: Judgement, words: string,
): Node[] {
  const lead = label.votes.indexOf(Math.max(...label.votes));
  const length = rows(table) * how.seconds;
  const present = label.probabilities
    .map((share, genre) => ({ share, genre }))
    .filter(({ share }) => share >= 0.01)
    .sort((a, b) => b.share - a.share);
  return [
    shares(table, how.seconds, lead, words),
    make("div", { class: "axis", "aria-hidden": "true" },
      ...[0, 0.25, 0.5, 0.75, 1].map((part) => make("span", {}, clock(part * length)))),
    make("ul", { class: "legend", "aria-label": texts.song.inIt },
      ...present.map(({ genre, share }) =>
        make("li", {}, swatch(genre), `${how.labels[genre]} ${texts.song.percent(share)}`))),
    make("p", { class: "top" },
      texts.song.votes(label.votes[lead]!, label.segments, how.labels[lead]!),
      one.corrected === null ? "" : ` ${texts.song.heardAs(label.genre)}`),
  ];
}

function tools(one: LabelledSong, how: Judgement, actions: SongActions): HTMLElement {
  const heard = one.label?.genre ?? texts.library.failed;
  const choices: Record<string, string> = { [AS_HEARD]: texts.song.asHeard(heard) };
  for (const genre of how.labels) choices[genre] = genre;
  const { path } = one.song;
  const choose = select(choices, one.corrected ?? AS_HEARD, (genre) =>
    actions.correct(path, genre === AS_HEARD ? null : genre));
  return make("div", { class: "tools" },
    make("label", {}, texts.song.genre, choose),
    button(texts.song.forget, () => actions.forget(path), "quiet"));
}
