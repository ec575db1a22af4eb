/** Bar that sets the genre of all selected songs. */
import type { Song } from "../rules/song.ts";
import { labelName, texts } from "../texts.ts";
import { button, make, select } from "./dom.ts";

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

  /** @param labels the model's genres */
  show(songs: readonly Song[], labels: readonly string[]): void {
    this.songs = songs;
    this.element.hidden = false;
    this.count.textContent = texts.selection.count(songs.length);
    const options: Record<string, string> = { "": texts.selection.choose, [AS_PREDICTED]: texts.selection.asPredicted };
    for (const genre of labels) options[genre] = labelName(genre);
    const choice = select<string>(options, "", (genre) => {
      if (genre) this.actions.correct(this.songs, genre === AS_PREDICTED ? null : genre);
    });
    choice.disabled = songs.length === 0;
    choice.setAttribute("aria-label", texts.selection.choose);
    this.choice.replaceChildren(choice);
  }

  hide(): void {
    this.element.hidden = true;
  }
}
