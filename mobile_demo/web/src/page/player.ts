/** Bar at the bottom of the page that plays songs, also from the lock screen and a headset. */
import { type LibrarySong, songTitle } from "../rules/song.ts";
import { texts } from "../texts.ts";
import type { Covers } from "./covers.ts";
import { iconButton, icons, make, setIcon } from "./dom.ts";
import { clock } from "./timeline-chart.ts";

export interface PlayerSources {
  /** Return the file of a song, or null if the browser has no access to it now. */
  readonly file: (path: string) => Promise<File | null>;
  /** Return the next (1) or the previous (-1) song of the same genre in the list, or null. */
  readonly neighbour: (path: string, step: 1 | -1) => LibrarySong | null;
  readonly showMessage: (text: string) => void;
}

export class Player {
  readonly element = make("section", { class: "player", "aria-label": texts.player.title, hidden: true });
  private readonly audio = make("audio", { preload: "auto" });
  private readonly cover = make("img", { alt: "", width: "48", height: "48", hidden: true });
  private readonly title = make("strong", { class: "one-line", dir: "auto" });
  private readonly credits = make("span", { class: "one-line soft small", dir: "auto" });
  private readonly time = make("span", { class: "numbers soft small" });
  private readonly position = make("input", {
    type: "range", min: "0", max: "0", step: "1", value: "0", "aria-label": texts.player.position,
  });
  private readonly toggleButton = iconButton(texts.player.pause, icons.pause, () => this.toggle(), "main");
  private readonly nextButton = iconButton(texts.player.next, icons.next, () => this.step(1));
  /** The song whose file was asked for last. */
  private requested: LibrarySong | null = null;
  private current: LibrarySong | null = null;
  private url: string | null = null;

  constructor(private readonly sources: PlayerSources, private readonly covers: Covers) {
    this.element.append(
      this.cover,
      make("div", { class: "player-text" }, this.title, this.credits),
      this.toggleButton, this.nextButton,
      iconButton(texts.player.close, icons.close, () => this.close(), "quiet"),
      make("div", { class: "player-time" }, this.position, this.time),
      this.audio,
    );
    this.position.addEventListener("input", () => (this.audio.currentTime = Number(this.position.value)));
    for (const event of ["play", "pause"]) this.audio.addEventListener(event, () => this.updateState());
    for (const event of ["timeupdate", "durationchange"]) this.audio.addEventListener(event, () => this.updateTime());
    this.audio.addEventListener("ended", () => this.step(1));
    this.audio.addEventListener("error", () => this.fail());
    this.handle("play", () => void this.audio.play());
    this.handle("pause", () => this.audio.pause());
    this.handle("nexttrack", () => this.step(1));
    this.handle("previoustrack", () => this.step(-1));
    this.handle("seekto", ({ seekTime }) => (this.audio.currentTime = seekTime ?? 0));
  }

  /** @param seconds time in the song from which it is played */
  async play(labelled: LibrarySong, seconds = 0): Promise<void> {
    const { song } = labelled;
    this.requested = labelled;
    const isLoaded = this.current?.song.path === song.path && this.url !== null;
    if (!isLoaded) {
      const file = await this.sources.file(song.path);
      if (this.requested !== labelled) return; // the user has started another song meanwhile
      if (!file) return this.sources.showMessage(texts.player.noFile(songTitle(song)));
      this.release();
      this.url = URL.createObjectURL(file);
      this.audio.src = this.url;
    }
    this.current = labelled;
    this.audio.currentTime = seconds;
    this.showSong(labelled);
    await this.audio.play().catch(() => {}); // an error of the file has its event; another song may interrupt
  }

  close(): void {
    this.release();
    this.requested = null;
    this.current = null;
    if ("mediaSession" in navigator) navigator.mediaSession.metadata = null;
    this.element.hidden = true;
    document.body.classList.remove("playing");
  }

  private release(): void {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }

  private toggle(): void {
    if (this.audio.paused) void this.audio.play();
    else this.audio.pause();
  }

  private step(step: 1 | -1): void {
    const next = this.current && this.sources.neighbour(this.current.song.path, step);
    if (next) void this.play(next);
    else this.audio.pause();
  }

  private fail(): void {
    if (!this.current || this.url === null) return;
    this.sources.showMessage(texts.player.unplayable(songTitle(this.current.song)));
    this.close();
  }

  private showSong({ song }: LibrarySong): void {
    const title = songTitle(song);
    const { artist = null, album = null, cover = null } = song.tags ?? {};
    this.title.textContent = title;
    this.credits.textContent = [artist, album].filter(Boolean).join(" · ");
    this.cover.hidden = cover === null;
    this.cover.removeAttribute("src");
    if (cover !== null) this.covers.show(cover, this.cover);
    this.nextButton.disabled = this.sources.neighbour(song.path, 1) === null;
    this.element.hidden = false;
    document.body.classList.add("playing");
    void this.describe(title, artist, album, cover);
  }

  /** Set the title and the cover of the lock screen. */
  private async describe(title: string, artist: string | null, album: string | null, cover: string | null): Promise<void> {
    if (!("mediaSession" in navigator)) return;
    const address = cover === null ? null : await this.covers.address(cover);
    const artwork = address === null ? [] : [{ src: address, type: "image/jpeg" }];
    navigator.mediaSession.metadata = new MediaMetadata({ title, artist: artist ?? "", album: album ?? "", artwork });
  }

  private updateState(): void {
    const { paused } = this.audio;
    setIcon(this.toggleButton, paused ? texts.player.resume : texts.player.pause, paused ? icons.play : icons.pause);
  }

  private updateTime(): void {
    const { currentTime, duration } = this.audio;
    const isKnown = Number.isFinite(duration);
    this.position.disabled = !isKnown;
    this.position.max = String(isKnown ? Math.floor(duration) : 0);
    this.position.value = String(Math.floor(currentTime));
    this.position.setAttribute("aria-valuetext", clock(currentTime));
    this.time.textContent = isKnown ? `${clock(currentTime)} / ${clock(duration)}` : clock(currentTime);
  }

  private handle(action: MediaSessionAction, handler: MediaSessionActionHandler): void {
    try {
      navigator.mediaSession?.setActionHandler(action, handler);
    } catch {
      // The browser does not know this action.
    }
  }
}
