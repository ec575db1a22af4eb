/** The page as a whole: what was picked is heard, what was heard is shown. */
import type { Catalog } from "../catalog.ts";
import { BrokenEarError, Ear } from "../hearing.ts";
import { MODELS } from "../models.ts";
import type { Found } from "../picking.ts";
import { labelledSong, type LabelledSong, type Song } from "../rules/song.ts";
import { type PickedFile, Scan, unheard } from "../scan.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";
import { Library } from "./library.ts";
import { Picker } from "./picker.ts";
import { Progress } from "./progress.ts";
import { Save } from "./save.ts";
import { judgement, type Settings, settingsDialog } from "./settings.ts";
import { Updates } from "./updates.ts";

/** While songs come in, the list is drawn no more often than this. */
const REDRAW_MS = 1_000;

export class App {
  private readonly updates = new Updates();
  private readonly picker: Picker;
  private readonly library: Library;
  private readonly save: Save;
  private readonly progress: Progress;
  private readonly message = make("p", { class: "message", role: "status" });
  private readonly dialog: HTMLDialogElement;

  private how;
  private labelled = new Map<string, LabelledSong>();
  private corrections = new Map<string, string>();
  private picked: readonly PickedFile[] = [];
  private scan: Scan | null = null;
  private ear: Ear | null = null;
  private redraw = 0;

  constructor(private readonly catalog: Catalog, private settings: Settings) {
    this.how = judgement(settings);
    this.picker = new Picker(catalog, (found) => this.take(found), (text) => this.say(text));
    this.library = new Library(
      { correct: (path, genre) => void this.correct(path, genre), forget: (path) => void this.forget(path) },
      () => void this.retry(),
    );
    this.save = new Save(() => this.library.shown, () => this.how);
    this.progress = new Progress({
      pause: () => this.scan?.pause(),
      resume: () => this.scan?.resume(),
      stop: () => this.scan?.stop(),
    });
    this.dialog = settingsDialog(catalog, settings,
      (changed) => void this.change(changed), () => void this.forgetAll());
    const leave = () => void this.scan?.forgive();
    window.addEventListener("pagehide", leave);
    document.addEventListener("visibilitychange", () => document.hidden && leave());
  }

  get elements(): HTMLElement[] {
    const settings = button(texts.settings.open, () => this.dialog.showModal(), "quiet");
    return [
      make("header", { class: "page top-bar" },
        make("h1", {}, make("img", { src: "./icon.svg", alt: "", width: "36", height: "36" }), texts.title),
        settings),
      this.updates.banner,
      make("main", { class: "page" },
        this.picker.element, this.progress.element, this.message, this.save.element, this.library.element),
      make("footer", { class: "page" },
        make("p", { class: "soft small" }, texts.promise), this.updates.offline),
      this.dialog,
    ];
  }

  async start(): Promise<void> {
    this.corrections = await this.catalog.corrections();
    await this.load();
    await this.picker.offerFolders();
  }

  private async load(): Promise<void> {
    const songs = await this.catalog.songs(MODELS[this.settings.model].card.sha256);
    this.labelled = new Map(songs.map((song) => [song.path, this.label(song)]));
    this.show();
  }

  private label(song: Song): LabelledSong {
    return labelledSong(song, this.how, this.corrections.get(song.path) ?? null);
  }

  private show(): void {
    clearTimeout(this.redraw);
    this.redraw = 0;
    this.library.show([...this.labelled.values()], this.how);
    this.save.element.hidden = this.labelled.size === 0;
    this.picker.compact(this.labelled.size > 0);
  }

  private say(text: string): void {
    this.message.textContent = text;
  }

  private async take({ files, unlistable }: Found): Promise<void> {
    const trouble = unlistable.length ? `${texts.unlistable(unlistable.length)}` : "";
    this.picked = files;
    const songs = this.waiting();
    if (songs.length) await this.listen(songs, trouble);
    else this.say(`${files.length ? texts.nothingNew : texts.noSongs} ${trouble}`);
  }

  /** What was picked and is not yet heard by this network. */
  private waiting(): PickedFile[] {
    return unheard(this.picked, new Map(Array.from(this.labelled, ([path, one]) => [path, one.song])));
  }

  private async listen(files: readonly PickedFile[], trouble = ""): Promise<void> {
    this.say(trouble);
    const { model } = this.settings;
    const sizes = new Map(files.map(({ path, file }) => [path, file.size]));
    const awake = await stayAwake();
    this.ear ??= new Ear(model);
    this.picker.element.hidden = true;
    this.progress.start([...sizes.values()]);
    let heard = 0;
    this.scan = new Scan(files, MODELS[model].card.sha256, this.ear, this.catalog, {
      begun: (path) => this.progress.begun(path),
      heard: (song) => {
        heard += 1;
        this.progress.done(sizes.get(song.path)!);
        this.labelled.set(song.path, this.label(song));
        this.redraw ||= window.setTimeout(() => this.show(), REDRAW_MS);
      },
    });
    try {
      await this.ear.prepare();
      const ended = await this.scan.run();
      this.say(ended ? texts.working.finished(heard) : texts.working.stopped(heard));
    } catch (error) {
      this.say(wordsFor(error));
      this.ear?.close();
      this.ear = null;
    } finally {
      this.scan = null;
      this.progress.end();
      this.picker.element.hidden = false;
      this.show();
      this.offerRest();
      void awake?.release();
    }
  }

  private offerRest(): void {
    const rest = this.waiting();
    this.picker.offerRest(rest.length, () => void this.listen(rest));
  }

  private async correct(path: string, genre: string | null): Promise<void> {
    await this.catalog.correct(path, genre);
    if (genre === null) this.corrections.delete(path);
    else this.corrections.set(path, genre);
    const one = this.labelled.get(path);
    if (one) this.labelled.set(path, this.label(one.song));
    this.show();
  }

  private async forget(path: string): Promise<void> {
    await this.catalog.forget(path);
    this.labelled.delete(path);
    this.picked = this.picked.filter((one) => one.path !== path);
    this.show();
  }

  private async retry(): Promise<void> {
    this.say("");
    const failed = [...this.labelled.values()].filter(({ label }) => label === null);
    for (const { song } of failed) {
      await this.catalog.forget(song.path);
      this.labelled.delete(song.path);
    }
    const again = this.waiting();
    this.show();
    if (again.length && !this.scan) await this.listen(again);
    else this.say(texts.library.againPick);
  }

  private async forgetAll(): Promise<void> {
    this.scan?.stop();
    await this.catalog.forgetAll();
    this.corrections.clear();
    this.labelled.clear();
    this.picked = [];
    this.picker.forget();
    this.say("");
    this.show();
  }

  private async change(settings: Settings): Promise<void> {
    const other = settings.model !== this.settings.model;
    this.settings = settings;
    this.how = judgement(settings);
    if (other) {
      this.scan?.stop();
      if (!this.scan) this.ear?.close();
      this.ear = null;
      await this.load();
      if (!this.scan) this.offerRest();
    } else {
      this.labelled = new Map(Array.from(this.labelled, ([path, one]) => [path, this.label(one.song)]));
      this.show();
    }
  }
}

function wordsFor(error: unknown): string {
  if (error instanceof BrokenEarError) return texts.working.broken(error.message);
  if (error instanceof DOMException && error.name === "QuotaExceededError") return texts.trouble.storage;
  return texts.trouble.other(error instanceof Error ? error.message : String(error));
}

/** A phone that goes to sleep stops the scan, and what is kept should be kept. */
async function stayAwake(): Promise<WakeLockSentinel | null> {
  void navigator.storage?.persist?.();
  try {
    return (await navigator.wakeLock?.request("screen")) ?? null;
  } catch {
    return null; // low battery, say
  }
}
