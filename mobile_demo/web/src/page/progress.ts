/** What the scan is doing, how long it will take, and the buttons that hold it. */
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

const ANNOUNCE_MS = 20_000;
/** Songs after which the time left is told, from the bytes that they had. */
const FIRST_GUESS = 2;

export interface ProgressActions {
  readonly pause: () => void;
  readonly resume: () => void;
  readonly stop: () => void;
}

export class Progress {
  readonly element = make("section", { class: "card working", "aria-labelledby": "working-title", hidden: true });
  private readonly title = make("h2", { id: "working-title" }, texts.working.title);
  private readonly bar = make("progress", { "aria-label": texts.working.bar });
  private readonly numbers = make("p", { class: "numbers" });
  private readonly current = make("p", { class: "soft one-line", dir: "auto" });
  private readonly spoken = make("p", { class: "hidden", role: "status" });
  private readonly hold: HTMLButtonElement;
  private paused = false;
  private busySince = 0;
  private busy = 0;
  private spokenAt = 0;
  private bytes = { done: 0, all: 0 };
  private songs = { done: 0, all: 0 };

  constructor(private readonly actions: ProgressActions) {
    this.hold = button(texts.working.pause, () => this.toggle());
    this.element.append(
      this.title, this.bar, this.numbers, this.current, this.spoken,
      make("div", { class: "actions" },
        this.hold, button(texts.working.stop, () => this.actions.stop(), "quiet")),
      make("p", { class: "soft small" }, texts.working.keepOpen),
    );
  }

  start(sizes: readonly number[]): void {
    this.bytes = { done: 0, all: sizes.reduce((a, b) => a + b, 0) };
    this.songs = { done: 0, all: sizes.length };
    this.busy = 0;
    this.busySince = performance.now();
    this.setPaused(false);
    this.current.textContent = texts.gettingReady;
    this.element.hidden = false;
    this.update();
  }

  begun(path: string): void {
    this.current.textContent = path;
  }

  done(size: number): void {
    this.bytes.done += size;
    this.songs.done += 1;
    this.update();
  }

  end(): void {
    this.element.hidden = true;
  }

  private toggle(): void {
    this.setPaused(!this.paused);
    (this.paused ? this.actions.pause : this.actions.resume)();
  }

  private setPaused(paused: boolean): void {
    if (paused) this.busy += performance.now() - this.busySince;
    else this.busySince = performance.now();
    this.paused = paused;
    this.hold.textContent = paused ? texts.working.resume : texts.working.pause;
    this.title.textContent = paused ? texts.working.paused : texts.working.title;
  }

  private update(): void {
    const { songs } = this;
    this.bar.max = songs.all;
    this.bar.value = songs.done;
    const words = [texts.working.progress(songs.done, songs.all)];
    const left = this.secondsLeft();
    if (left !== null) words.push(texts.working.left(left));
    this.numbers.textContent = words.join(" · ");
    if (performance.now() - this.spokenAt > ANNOUNCE_MS) {
      this.spokenAt = performance.now();
      this.spoken.textContent = words.join(", ");
    }
  }

  private secondsLeft(): number | null {
    const { songs, bytes } = this;
    if (songs.done < Math.min(FIRST_GUESS, songs.all) || bytes.done === 0) return null;
    const busy = this.busy + (this.paused ? 0 : performance.now() - this.busySince);
    return ((bytes.all - bytes.done) / bytes.done) * (busy / 1000);
  }
}
