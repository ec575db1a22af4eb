/** The page as a whole: what was picked is heard, what was heard is shown. */
import type { Catalog } from "../catalog.ts";
import { BrokenEarError } from "../hearing.ts";
import { MODELS } from "../models.ts";
import { labelledSong, type LabelledSong, type Song } from "../rules/song.ts";
import { type PickedFile, unheard } from "../scan.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";
import { Library } from "./library.ts";
import { Listening } from "./listening.ts";
import { Picker, type Search } from "./picker.ts";
import { Save } from "./save.ts";
import { judgement, type Settings, settingsDialog } from "./settings.ts";
import { Turns } from "./turns.ts";
import { Updates } from "./updates.ts";

/** While songs come in, the list is drawn no more often than this. */
const REDRAW_MS = 1_000;

export class App {
  private readonly turns = new Turns(
    (busy) => this.picker.hide(busy),
    (error) => this.say(wordsFor(error)),
  );
  private readonly updates = new Updates();
  private readonly picker: Picker;
  private readonly library: Library;
  private readonly save: Save;
  private readonly listening: Listening;
  private readonly message = make("p", { class: "message", role: "status" });
  private readonly dialog: HTMLDialogElement;

  private how;
  private labelled = new Map<string, LabelledSong>();
  private corrections = new Map<string, string>();
  private picked: readonly PickedFile[] = [];
  private redraw = 0;
  private started: Promise<void> = Promise.resolve();

  constructor(private readonly catalog: Catalog, private settings: Settings) {
    this.how = judgement(settings);
    this.picker = new Picker(catalog, (search) => this.choose(search), (text) => this.say(text));
    this.library = new Library(
      { correct: (path, genre) => void this.correct(path, genre), forget: (path) => void this.forget(path) },
      () => this.retry(),
    );
    this.save = new Save(() => this.library.shown, () => this.how);
    this.listening = new Listening(catalog, () => this.turns.stop());
    this.dialog = settingsDialog(catalog, settings,
      (changed) => this.change(changed), () => this.forgetAll());
    const leave = () => this.listening.leave();
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
        this.picker.element, this.listening.element, this.message, this.save.element, this.library.element),
      make("footer", { class: "page" },
        make("p", { class: "soft small" }, texts.promise), this.updates.offline),
      this.dialog,
    ];
  }

  start(): Promise<void> {
    return (this.started = this.begin());
  }

  private async begin(): Promise<void> {
    this.corrections = await this.catalog.corrections();
    await this.load();
    await this.picker.offerFolders();
  }

  private async load(): Promise<void> {
    const songs = await this.catalog.songs(this.model);
    this.labelled = new Map(songs.map((song) => [song.path, this.label(song)]));
    this.show();
  }

  /** Of the network that is chosen: what its songs are kept under. */
  private get model(): string {
    return MODELS[this.settings.model].card.sha256;
  }

  private label(song: Song): LabelledSong {
    return labelledSong(song, this.how, this.corrections.get(song.path) ?? null);
  }

  private show(): void {
    this.library.show([...this.labelled.values()], this.how);
    this.showAround();
  }

  /** The same for a scan, which must not disturb who is at the list. */
  private showMore(all: boolean): void {
    this.library.add([...this.labelled.values()], all);
    this.showAround();
  }

  private showAround(): void {
    clearTimeout(this.redraw);
    this.redraw = 0;
    this.save.element.hidden = this.labelled.size === 0;
    this.picker.compact(this.labelled.size > 0);
  }

  private say(text: string): void {
    this.message.textContent = text;
  }

  private choose(search: Search): void {
    this.turns.begin(async (stop) => {
      this.say("");
      const found = await search();
      await this.started; // what is known is not heard again
      if (stop.aborted) return this.say("");
      if (!found) return;
      const { files, unlistable, folder } = found;
      if (folder !== null) {
        await this.catalog.markVanished(folder, new Set(files.map(({ path }) => path)));
        await this.load();
      }
      const trouble = unlistable.length ? texts.unlistable(unlistable.length) : "";
      this.picked = files;
      const songs = this.waiting();
      if (songs.length) await this.listen(songs, stop, trouble);
      else this.say(`${files.length ? texts.nothingNew : texts.noSongs} ${trouble}`);
    });
  }

  /** What was picked and is not yet heard by this network. */
  private waiting(): PickedFile[] {
    return unheard(this.picked, new Map(Array.from(this.labelled, ([path, one]) => [path, one.song])));
  }

  private async listen(files: readonly PickedFile[], stop: AbortSignal, trouble = ""): Promise<void> {
    this.say(trouble);
    try {
      this.say(await this.listening.hear(files, this.settings.model, stop, (song) => this.add(song)));
    } finally {
      this.showMore(true);
      this.offerRest();
    }
  }

  private add(song: Song): void {
    if (song.model !== this.model) return; // heard while another network was chosen
    this.labelled.set(song.path, this.label(song));
    this.redraw ||= window.setTimeout(() => this.showMore(false), REDRAW_MS);
  }

  private offerRest(): void {
    const rest = this.waiting();
    this.picker.offerRest(rest.length, () => this.turns.begin((stop) => this.listen(rest, stop)));
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

  private retry(): void {
    if (this.turns.busy) return this.say(texts.library.againLater);
    this.turns.begin(async (stop) => {
      this.say("");
      const failed = [...this.labelled.values()].filter(({ label }) => label === null);
      for (const { song } of failed) {
        await this.catalog.renew(song.model, song.path);
        this.labelled.delete(song.path);
      }
      const again = this.waiting();
      this.show();
      if (again.length) await this.listen(again, stop);
      else this.say(texts.library.againPick);
    });
  }

  private forgetAll(): void {
    this.turns.instead(async () => {
      this.listening.close();
      await this.catalog.forgetAll();
      this.corrections.clear();
      this.labelled.clear();
      this.picked = [];
      this.picker.forget();
      this.say("");
      this.show();
    });
  }

  private change(settings: Settings): void {
    const other = settings.model !== this.settings.model;
    this.settings = settings;
    this.how = judgement(settings);
    if (other) {
      this.labelled.clear(); // each network keeps its own list
      this.turns.instead(async () => {
        this.listening.close();
        await this.load();
        this.offerRest();
      });
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
