/** Card with the progress of a scan, the time left, and buttons to pause and stop it. */
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

/** Interval between announcements to screen readers. */
const ANNOUNCE_MS = 20_000;
/** Number of songs after which the time left is estimated, from their size in bytes. */
const MIN_SONGS = 2;
const NO_SONG = { size: 0, share: 0 };

export interface ScanActions {
  readonly pause: () => void;
  readonly resume: () => void;
  readonly stop: () => void;
}

export class ScanProgress {
  readonly element = make("section", { class: "card", "aria-labelledby": "scan-title", hidden: true });
  private readonly title = make("h2", { id: "scan-title" }, texts.scan.title);
  private readonly bar = make("progress", { "aria-label": texts.scan.bar });
  private readonly numbers = make("p", { class: "numbers" });
  private readonly current = make("p", { class: "soft one-line", dir: "auto" });
  private readonly announcement = make("p", { class: "hidden", role: "status" });
  private readonly pauseButton: HTMLButtonElement;
  private paused = false;
  private busySince = 0;
  private busyMs = 0;
  private announcedAt = 0;
  private bytes = { done: 0, total: 0 };
  private songs = { done: 0, total: 0 };
  private song = NO_SONG;

  constructor(private readonly actions: ScanActions) {
    this.pauseButton = button(texts.scan.pause, () => this.togglePause());
    this.element.append(
      this.title, this.bar, this.numbers, this.current, this.announcement,
      make("div", { class: "actions" },
        this.pauseButton, button(texts.scan.stop, () => this.actions.stop(), "quiet")),
      make("p", { class: "soft small" }, texts.scan.keepOpen),
    );
  }

  /** @param sizes size of each file in bytes */
  start(sizes: readonly number[]): void {
    this.bytes = { done: 0, total: sizes.reduce((a, b) => a + b, 0) };
    this.songs = { done: 0, total: sizes.length };
    this.song = NO_SONG;
    this.busyMs = 0;
    this.busySince = performance.now();
    this.setPaused(false);
    this.current.textContent = texts.loadingModel;
    this.element.hidden = false;
    this.update();
  }

  /** @param size size of the file in bytes */
  startSong(path: string, size: number): void {
    this.current.textContent = path;
    this.song = { size, share: 0 };
  }

  /** @param share share of the song that is classified */
  updateSong(share: number): void {
    this.song = { ...this.song, share: Math.min(share, 1) };
    this.update();
  }

  finishSong(): void {
    this.bytes.done += this.song.size;
    this.songs.done += 1;
    this.song = NO_SONG;
    this.update();
  }

  end(): void {
    this.element.hidden = true;
    document.title = texts.title;
  }

  private togglePause(): void {
    this.setPaused(!this.paused);
    (this.paused ? this.actions.pause : this.actions.resume)();
  }

  private setPaused(paused: boolean): void {
    if (paused) this.busyMs += performance.now() - this.busySince;
    else this.busySince = performance.now();
    this.paused = paused;
    this.pauseButton.textContent = paused ? texts.scan.resume : texts.scan.pause;
    this.title.textContent = paused ? texts.scan.paused : texts.scan.title;
  }

  private update(): void {
    const { songs } = this;
    this.bar.max = songs.total;
    this.bar.value = songs.done + this.song.share;
    const parts = [texts.scan.progress(songs.done, songs.total)];
    const left = this.secondsLeft();
    if (left !== null) parts.push(texts.scan.timeLeft(left));
    this.numbers.textContent = parts.join(" · ");
    document.title = texts.scan.pageTitle(parts[0]!);
    if (performance.now() - this.announcedAt > ANNOUNCE_MS) {
      this.announcedAt = performance.now();
      this.announcement.textContent = parts.join(", ");
    }
  }

  /** Estimate the time left, or return null if it is too early. */
  private secondsLeft(): number | null {
    const { songs, bytes } = this;
    if (songs.done < Math.min(MIN_SONGS, songs.total) || bytes.done === 0) return null;
    const busyMs = this.busyMs + (this.paused ? 0 : performance.now() - this.busySince);
    const done = bytes.done + this.song.size * this.song.share;
    return ((bytes.total - done) / done) * (busyMs / 1000);
  }
}
