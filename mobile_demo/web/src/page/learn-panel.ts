/** Card on which the page learns genres from the songs whose genre the user has set. */
import { LEARNING } from "../rules/constants.ts";
import { type LibrarySong, songTitle } from "../rules/song.ts";
import { countOf } from "../rules/text.ts";
import { labelName, texts } from "../texts.ts";
import { button, make } from "./dom.ts";

/** Number of songs that are listed for one change of genre. */
const LISTED = 20;

/** A song whose predicted genre is another one than before. */
export interface Change {
  readonly labelled: LibrarySong;
  readonly before: string;
  readonly after: string;
}

export interface LearnActions {
  /** @param onlyExamples true to leave out the genres without examples */
  readonly learn: (onlyExamples: boolean) => void;
  readonly save: () => void;
  readonly open: (files: readonly File[]) => void;
  /** Return to the genres of the page's model. */
  readonly reset: () => void;
}

export interface LearnState {
  /** Number of examples of each genre. */
  readonly examples: ReadonlyMap<string, number>;
  /** Number of examples, and of other songs, that have to be scanned again. */
  readonly missing: { readonly examples: number; readonly others: number };
  /** True if the library has learned genres. */
  readonly hasLearned: boolean;
}

export class LearnPanel {
  readonly element = make("details", { class: "card export learn", hidden: true });
  private readonly examples = make("p");
  private readonly hints = make("div");
  private readonly result = make("div", { role: "status" });
  private readonly only = make("input", { type: "checkbox" });
  private readonly learnButton: HTMLButtonElement;
  private readonly saveButton: HTMLButtonElement;
  private readonly resetButton: HTMLButtonElement;

  constructor(actions: LearnActions) {
    const t = texts.learn;
    this.learnButton = button(t.learn, () => actions.learn(this.only.checked), "main");
    this.saveButton = button(t.save, actions.save);
    this.resetButton = button(t.reset, actions.reset, "quiet");
    const input = make("input", {
      type: "file", accept: ".zip,.tflite,.json", multiple: true, class: "hidden", tabindex: "-1", "aria-hidden": "true",
      change: () => {
        const files = [...(input.files ?? [])];
        input.value = ""; // without this, the same files trigger no second event
        if (files.length) actions.open(files);
      },
    });
    this.element.append(
      make("summary", {}, make("span", { class: "song-head" }, make("span", { class: "name" }, t.title))),
      make("p", {}, t.explanation),
      this.examples, this.hints,
      make("label", { class: "check" }, this.only, t.only),
      make("div", { class: "actions" }, this.learnButton),
      this.result,
      make("div", { class: "actions" }, this.saveButton, button(t.open, () => input.click()), input, this.resetButton),
      make("p", { class: "soft small" }, t.note),
    );
  }

  show({ examples, missing, hasLearned }: LearnState): void {
    const t = texts.learn;
    const sorted = [...examples].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    this.examples.textContent = t.examples(sorted.map(([genre, n]) => [labelName(genre), n]));
    this.learnButton.disabled = examples.size === 0;
    this.saveButton.hidden = this.resetButton.hidden = !hasLearned;
    const few = sorted.filter(([, n]) => n < LEARNING.few_songs).map(([genre]) => labelName(genre));
    const hints = [
      few.length && t.few(few, LEARNING.few_songs),
      missing.examples && t.missingExamples(missing.examples),
      missing.others && hasLearned && t.missingOthers(missing.others),
    ];
    this.hints.replaceChildren(...hints.filter((text) => typeof text === "string")
      .map((text) => make("p", { class: "soft small" }, text)));
  }

  /** Remove the result of what was learned before. */
  clear(): void {
    this.result.replaceChildren();
  }

  showText(text: string): void {
    this.result.replaceChildren(make("p", {}, text));
  }

  /**
   * Show what was learned, with an undo button, and the songs that have another genre.
   *
   * @param lines further sentences
   */
  showChanges(changes: readonly Change[], lines: readonly string[], undo: () => void): void {
    const t = texts.learn;
    const groups = new Map<string, Change[]>();
    for (const change of changes) {
      const name = t.change(labelName(change.before), labelName(change.after));
      groups.set(name, [...(groups.get(name) ?? []), change]);
    }
    const sorted = [...groups].sort((a, b) => b[1].length - a[1].length);
    this.result.replaceChildren(
      make("p", {}, t.changed(changes.length), " ", button(texts.undo, undo, "quiet")),
      ...lines.map((line) => make("p", { class: "soft small" }, line)),
      ...sorted.map(([name, songs]) => make("details", { class: "changes" },
        make("summary", {}, `${name}: ${countOf(songs.length, "song")}`),
        make("ul", {}, ...songs.slice(0, LISTED).map(({ labelled }) => make("li", { dir: "auto" }, songTitle(labelled.song)))),
        songs.length > LISTED && make("p", { class: "soft small" }, t.more(songs.length - LISTED)))),
    );
  }
}
