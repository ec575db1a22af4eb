/** Bar that sets the genre of all selected songs. */
import type { Song } from "../rules/song.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";
import { genreChoice } from "./genre-choice.ts";

/** Value of the option that restores the predicted genres. */
const AS_PREDICTED = "\0";

export interface SelectionActions {
  /** Set the genre of the selected songs; null restores the predicted genres. */
  readonly correct: (songs: readonly Song[], genre: string | null) => void;
  readonly selectShown: () => void;
  readonly end: () => void;
}

export class SelectionBar {
  readonly element = make("section", { class: "selection", "aria-label": texts.selection.title, hidden: true });
  private readonly count = make("span", { role: "status" });
  private readonly choice = make("span");
  private songs: readonly Song[] = [];

  constructor(private readonly actions: SelectionActions) {
    this.element.append(
      this.count,
      this.choice,
      button(texts.selection.all, this.actions.selectShown, "quiet"),
      button(texts.selection.end, this.actions.end, "quiet"),
    );
  }

  /** @param labels genres to choose from */
  show(songs: readonly Song[], labels: readonly string[]): void {
    this.songs = songs;
    this.element.hidden = false;
    this.count.textContent = texts.selection.count(songs.length);
    const options = { "": texts.selection.choose, [AS_PREDICTED]: texts.selection.asPredicted };
    const { list, field } = genreChoice(options, labels, "", (genre) => {
      if (genre) this.actions.correct(this.songs, genre === AS_PREDICTED ? null : genre);
    });
    list.disabled = songs.length === 0;
    list.setAttribute("aria-label", texts.selection.choose);
    this.choice.replaceChildren(list, field);
  }

  hide(): void {
    this.element.hidden = true;
  }
}
