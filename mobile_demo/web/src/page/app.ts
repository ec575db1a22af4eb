/** The page: select songs, scan them, and show the results. */
import type { Catalog } from "../catalog.ts";
import { errorText, InferenceError } from "../errors.ts";
import { MODELS } from "../models.ts";
import type { ModelCard } from "../rules/model-card.ts";
import { labelSong, type LibrarySong, type Song } from "../rules/song.ts";
import { filesToScan, type SelectedFile } from "../scan.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";
import { ExportPanel } from "./export-panel.ts";
import { FilePicker, type Select } from "./file-picker.ts";
import { Library } from "./library.ts";
import { ScanController } from "./scan-controller.ts";
import { labelConfig, type Settings, settingsDialog } from "./settings.ts";
import { TaskQueue } from "./task-queue.ts";
import { Updates } from "./updates.ts";

/** Shortest interval between updates of the list during a scan. */
const REDRAW_MS = 1_000;

export class App {
  private readonly tasks = new TaskQueue(
    (busy) => this.picker.setHidden(busy),
    (error) => this.showMessage(messageFor(error)),
  );
  private readonly updates = new Updates();
  private readonly picker: FilePicker;
  private readonly library: Library;
  private readonly exportPanel: ExportPanel;
  private readonly scanController: ScanController;
  private readonly message = make("p", { class: "message", role: "status" });
  private readonly dialog: HTMLDialogElement;

  private songs = new Map<string, LibrarySong>();
  private corrections = new Map<string, string>();
  private selected: readonly SelectedFile[] = [];
  private redrawTimer = 0;
  private loaded: Promise<void> = Promise.resolve();

  constructor(private readonly catalog: Catalog, private settings: Settings) {
    const showMessage = (text: string) => this.showMessage(text);
    this.picker = new FilePicker(catalog, (select) => this.select(select), showMessage);
    this.library = new Library({
      correct: (path, genre) => void this.correct(path, genre),
      remove: (path) => void this.remove(path),
    }, () => this.retry());
    this.exportPanel = new ExportPanel(() => this.library.shown, () => this.card.labels);
    this.scanController = new ScanController(catalog, () => this.tasks.stop());
    this.dialog = settingsDialog(
      catalog, settings, (changed) => this.changeSettings(changed), () => this.clear());
    const clearAttempts = () => this.scanController.clearAttempts();
    window.addEventListener("pagehide", clearAttempts);
    document.addEventListener("visibilitychange", () => document.hidden && clearAttempts());
  }

  get elements(): HTMLElement[] {
    const settings = button(texts.settings.open, () => this.dialog.showModal(), "quiet");
    const icon = make("img", { src: "./icon.svg", alt: "", width: "36", height: "36" });
    return [
      make("header", { class: "page top-bar" }, make("h1", {}, icon, texts.title), settings),
      this.updates.banner,
      make("main", { class: "page" },
        this.picker.element, this.scanController.element, this.message,
        this.exportPanel.element, this.library.element),
      make("footer", { class: "page" },
        make("p", { class: "soft small" }, texts.promise), this.updates.offline),
      this.dialog,
    ];
  }

  start(): Promise<void> {
    this.loaded = this.load();
    return this.loaded;
  }

  private async load(): Promise<void> {
    this.corrections = await this.catalog.corrections();
    await this.loadSongs();
    await this.picker.showFolders();
  }

  private async loadSongs(): Promise<void> {
    const songs = await this.catalog.songs(this.card.sha256);
    this.songs = new Map(songs.map((song) => [song.path, this.label(song)]));
    this.showSongs();
  }

  /** The card of the selected model. */
  private get card(): ModelCard {
    return MODELS[this.settings.model].card;
  }

  private label(song: Song): LibrarySong {
    const corrected = this.corrections.get(song.path) ?? null;
    return labelSong(song, this.card, labelConfig(this.settings), corrected);
  }

  private showSongs(): void {
    this.library.show([...this.songs.values()], this.card.labels);
    this.updateCards();
  }

  /** Show further songs of a scan without disturbing the user's work in the list. */
  private showScanned(finished: boolean): void {
    this.library.showScanned([...this.songs.values()], finished);
    this.updateCards();
  }

  private updateCards(): void {
    clearTimeout(this.redrawTimer);
    this.redrawTimer = 0;
    this.exportPanel.element.hidden = this.songs.size === 0;
    this.picker.setCompact(this.songs.size > 0);
  }

  private showMessage(text: string): void {
    this.message.textContent = text;
  }

  private select(select: Select): void {
    this.tasks.runIfIdle(async (stop) => {
      this.showMessage("");
      const selection = await select();
      await this.loaded; // otherwise stored songs would be scanned again
      if (stop.aborted) return this.showMessage("");
      if (!selection) return;
      const { files, unreadable, folder } = selection;
      if (folder !== null) {
        await this.catalog.markVanished(folder, new Set(files.map(({ path }) => path)));
        await this.loadSongs();
      }
      const warning = unreadable.length ? texts.unreadable(unreadable.length) : "";
      this.selected = files;
      const remaining = this.remainingFiles();
      if (remaining.length) await this.scan(remaining, stop, warning);
      else this.showMessage(`${files.length ? texts.nothingNew : texts.noSongs} ${warning}`);
    });
  }

  /** Return the selected files that the model has not classified. */
  private remainingFiles(): SelectedFile[] {
    return filesToScan(this.selected, new Map(Array.from(this.songs, ([path, { song }]) => [path, song])));
  }

  private async scan(files: readonly SelectedFile[], stop: AbortSignal, warning = ""): Promise<void> {
    this.showMessage(warning);
    try {
      const { model } = this.settings;
      this.showMessage(await this.scanController.run(files, model, stop, (song) => this.addSong(song)));
    } finally {
      this.showScanned(true);
      this.showRest();
    }
  }

  private addSong(song: Song): void {
    if (song.model !== this.card.sha256) return; // the user has selected another model meanwhile
    this.songs.set(song.path, this.label(song));
    this.redrawTimer ||= window.setTimeout(() => this.showScanned(false), REDRAW_MS);
  }

  private showRest(): void {
    const rest = this.remainingFiles();
    this.picker.showRest(rest.length, () => this.tasks.runIfIdle((stop) => this.scan(rest, stop)));
  }

  private async correct(path: string, genre: string | null): Promise<void> {
    await this.catalog.saveCorrection(path, genre);
    if (genre === null) this.corrections.delete(path);
    else this.corrections.set(path, genre);
    const labelled = this.songs.get(path);
    if (labelled) this.songs.set(path, this.label(labelled.song));
    this.showSongs();
  }

  private async remove(path: string): Promise<void> {
    await this.catalog.removeSong(path);
    this.songs.delete(path);
    this.selected = this.selected.filter((file) => file.path !== path);
    this.showSongs();
  }

  private retry(): void {
    if (this.tasks.busy) return this.showMessage(texts.library.retryLater);
    this.tasks.runIfIdle(async (stop) => {
      this.showMessage("");
      const failed = [...this.songs.values()].filter(({ prediction }) => prediction === null);
      for (const { song } of failed) {
        await this.catalog.removePrediction(song.model, song.path);
        this.songs.delete(song.path);
      }
      const remaining = this.remainingFiles();
      this.showSongs();
      if (remaining.length) await this.scan(remaining, stop);
      else this.showMessage(texts.library.retrySelect);
    });
  }

  private clear(): void {
    this.tasks.runAfterStop(async () => {
      this.scanController.unload();
      await this.catalog.clear();
      this.corrections.clear();
      this.songs.clear();
      this.selected = [];
      this.picker.clear();
      this.showMessage("");
      this.showSongs();
    });
  }

  private changeSettings(settings: Settings): void {
    const isOtherModel = settings.model !== this.settings.model;
    this.settings = settings;
    if (isOtherModel) {
      this.songs.clear(); // each model has its own list
      this.tasks.runAfterStop(async () => {
        this.scanController.unload();
        await this.loadSongs();
        this.showRest();
      });
    } else {
      this.songs = new Map(Array.from(this.songs, ([path, { song }]) => [path, this.label(song)]));
      this.showSongs();
    }
  }
}

function messageFor(error: unknown): string {
  if (error instanceof InferenceError) return texts.scan.failed(error.message);
  if (error instanceof DOMException && error.name === "QuotaExceededError") return texts.errors.storage;
  return texts.errors.other(errorText(error));
}
