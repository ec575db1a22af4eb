/** Card that plays uncertain songs one after another and asks for the genre of each. */
import { type LibrarySong, type Song, songCredits, songTitle } from "../rules/song.ts";
import { labelName, texts } from "../texts.ts";
import { button, make, swatch } from "./dom.ts";
import { genreChoice } from "./genre-choice.ts";
import { drawnParts } from "./timeline-chart.ts";

export interface ReviewActions {
  readonly correct: (song: Song, genre: string) => void;
  readonly play: (labelled: LibrarySong, seconds: number) => void;
}

export class Review {
  readonly element = make("section", { class: "card review", "aria-labelledby": "review-title", hidden: true });
  private queue: readonly LibrarySong[] = [];
  private position = 0;

  /** @param labels returns the genres to choose from */
  constructor(private readonly actions: ReviewActions, private readonly labels: () => readonly string[]) {}

  /** Ask for the genres of songs, which must have a prediction. */
  start(songs: readonly LibrarySong[]): void {
    this.queue = songs;
    this.position = 0;
    this.element.hidden = false;
    this.show();
    this.element.scrollIntoView({ block: "start" });
  }

  close(): void {
    this.element.hidden = true;
    this.element.replaceChildren();
    this.queue = [];
  }

  private show(): void {
    const labelled = this.queue[this.position];
    if (!labelled) return this.close();
    const { song, prediction } = labelled;
    const likely = prediction!.top.map(([genre]) => genre);
    const others = this.labels().filter((genre) => !likely.includes(genre));
    const { list, field } = genreChoice({ "": texts.review.other }, others, "", (genre) => genre && this.answer(genre));
    list.setAttribute("aria-label", texts.review.other);
    const title = make("h2", { id: "review-title", tabindex: "-1" },
      texts.review.question, " ", make("bdi", {}, songTitle(song)));
    this.element.replaceChildren(
      make("p", { class: "soft small" }, texts.review.position(this.position + 1, this.queue.length)),
      title,
      make("p", { class: "soft", dir: "auto" }, songCredits(song)),
      make("div", { class: "actions" },
        ...prediction!.top.map(([genre, share]) => {
          const choice = button(`${labelName(genre)} ${texts.song.percent(share)}`, () => this.answer(genre));
          choice.prepend(swatch(genre, prediction!.labels));
          return choice;
        }), list, field),
      make("div", { class: "actions" },
        button(texts.review.skip, () => this.next(), "quiet"),
        button(texts.review.stop, () => this.close(), "quiet")));
    title.focus({ preventScroll: true });
    this.actions.play(labelled, startOfLongestPart(labelled));
  }

  private answer(genre: string): void {
    this.actions.correct(this.queue[this.position]!.song, genre);
    this.next();
  }

  private next(): void {
    this.position += 1;
    this.show();
  }
}

/** Return the time in seconds at which the longest part of one genre begins. */
function startOfLongestPart({ prediction }: LibrarySong): number {
  const parts = drawnParts(prediction!);
  return parts.reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a)).start;
}
