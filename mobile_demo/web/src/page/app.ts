/** The page: select songs, scan them, and show the results. */
import { version } from "../../package.json";
import type { Catalog } from "../catalog.ts";
import { BackupError, errorText, InferenceError } from "../errors.ts";
import type { ModelCard } from "../rules/model-card.ts";
import { type Correction, type LibrarySong, type Song, songTitle } from "../rules/song.ts";
import { hashFile } from "../file-hash.ts";
import { fileInFolder, fromShare } from "../file-sources.ts";
import { filesToScan, type ScannedSong, type SelectedFile } from "../scan.ts";
import { labelName, texts } from "../texts.ts";
import { Covers } from "./covers.ts";
import { button, make } from "./dom.ts";
import { downloadFile, ExportPanel } from "./export-panel.ts";
import { FilePicker, type Select } from "./file-picker.ts";
import { LearningController } from "./learning-controller.ts";
import { Library } from "./library.ts";
import { followLinks } from "./links.ts";
import { Player } from "./player.ts";
import { Review } from "./review.ts";
import { ScanController } from "./scan-controller.ts";
import { labelConfig, type Settings, settingsDialog } from "./settings.ts";
import { takeSharedSongs } from "./shared-songs.ts";
import { TaskQueue } from "./task-queue.ts";
import { Updates } from "./updates.ts";

/** Shortest interval between updates of the list during a scan. */
const REDRAW_MS = 1_000;
/** Number of songs that are labelled at once; the page responds between them. */
const LABELLED_SONGS = 20;

export class App {
  private readonly tasks = new TaskQueue(
    (busy) => this.picker.setHidden(busy),
    (error) => this.showMessage(messageFor(error)),
  );
  private readonly updates = new Updates(() => this.tasks.busy, () => this.tasks.idle(), () => this.tasks.stop());
  private readonly picker: FilePicker;
  private readonly library: Library;
  private readonly exportPanel: ExportPanel;
  private readonly scanController: ScanController;
  private readonly learning: LearningController;
  private readonly covers: Covers;
  private readonly player: Player;
  private readonly review: Review;
  private readonly message = make("div", { class: "message", role: "status" });
  /** Connects the tabs of the page, which show the same songs. */
  private readonly tabs = new BroadcastChannel("songs");
  private readonly dialog: HTMLDialogElement;

  private songs = new Map<string, LibrarySong>();
  private corrections = new Map<string, string>();
  /** Genres of songs and for corrections. */
  private genres: readonly string[] = [];
  private selected: readonly SelectedFile[] = [];
  /** Hashes of the songs whose files changed, before and after. */
  private changed: [before: string, after: string][] = [];
  private redrawTimer = 0;
  private loaded: Promise<void> = Promise.resolve();

  constructor(private readonly catalog: Catalog, private settings: Settings) {
    const showMessage = (text: string) => this.showMessage(text);
    this.picker = new FilePicker(catalog, (select) => this.select(select),
      (name) => this.removeFolder(name), showMessage);
    this.covers = new Covers(catalog);
    this.player = new Player({
      file: (path) => this.fileOf(path),
      neighbour: (path, step) => this.library.neighbour(path, step),
      showMessage,
    }, this.covers);
    const play = (labelled: LibrarySong, seconds: number) => void this.player.play(labelled, seconds);
    this.review = new Review({
      correct: (song, genre) => void this.correct([{ song, genre }], true),
      play,
    }, () => this.genres);
    this.learning = new LearningController(catalog, {
      songs: () => this.songs,
      model: () => this.settings.model,
      runIfIdle: (task) => {
        if (this.tasks.busy) return false;
        this.tasks.runIfIdle(task);
        return true;
      },
      relabel: () => this.relabel(),
      refresh: () => this.showSongs(),
    });
    this.library = new Library({
      correct: (songs, genre) => void this.correct(songs.map((song) => ({ song, genre })), true),
      remove: (song) => void this.remove(song),
      play,
      review: (songs) => this.review.start(songs),
    }, this.covers, () => this.retry());
    this.exportPanel = new ExportPanel(
      () => this.library.shown, () => this.card.labels, () => catalog.folders());
    this.scanController = new ScanController(catalog, () => this.tasks.stop(), (song) => this.learning.isOutdated(song));
    this.dialog = settingsDialog(catalog, settings, {
      change: (changed) => this.changeSettings(changed),
      clear: () => this.clear(),
      backup: () => void this.saveBackup(),
      restore: (file) => void this.restoreBackup(file),
    });
    this.tabs.onmessage = () => void this.loadCorrections().then(() => this.loadSongs());
    const clearAttempts = () => this.scanController.clearAttempts();
    window.addEventListener("pagehide", clearAttempts);
    document.addEventListener("visibilitychange", () => document.hidden && clearAttempts());
  }

  get elements(): HTMLElement[] {
    const settings = button(texts.settings.open, () => this.dialog.showModal(), "quiet");
    const icon = make("img", { src: "./icon.svg", alt: "", width: "36", height: "36" });
    return [
      make("header", { class: "page" },
        make("div", { class: "top-bar" }, make("h1", {}, icon, texts.title),
          make("div", {}, this.updates.install, settings)),
        make("p", { class: "facts soft small" }, make("span", {}, texts.promise), this.updates.offline,
          make("span", {}, texts.version(version)))),
      this.updates.banner,
      make("main", { class: "page" },
        this.scanController.element, this.message,
        make("div", { class: "toolbar" }, this.picker.element, this.exportPanel.element, this.learning.element),
        this.review.element, this.library.element),
      make("div", { class: "dock" }, this.library.selectionBar.element, this.player.element),
      this.dialog,
    ];
  }

  start(): Promise<void> {
    this.loaded = this.load();
    return this.loaded;
  }

  private async load(): Promise<void> {
    await this.loadCorrections();
    await this.loadSongs();
    await this.picker.showFolders();
    followLinks((target, value) => this.library.open(target, value), (text) => this.showMessage(text));
    void this.scanShared();
  }

  private async scanShared(): Promise<void> {
    const files = await takeSharedSongs();
    if (files?.length) this.select(async () => fromShare(files));
    else if (files) this.showMessage(texts.noShared);
  }

  private async loadCorrections(): Promise<void> {
    this.corrections = await this.catalog.corrections();
  }

  private async loadSongs(): Promise<void> {
    const songs = await this.catalog.songs(this.card.sha256);
    await this.learning.load();
    this.songs = new Map(songs.map((song) => [song.path, this.label(song)]));
    this.showSongs();
  }

  /** The card of the selected model, with what was learned. */
  private get card(): ModelCard {
    return this.learning.card;
  }

  private label(song: Song): LibrarySong {
    const corrected = this.corrections.get(song.hash ?? song.path) ?? this.corrections.get(song.path) ?? null;
    return this.learning.label(song, labelConfig(this.settings), corrected);
  }

  /** Label all songs again after what was learned has changed. */
  private async relabel(): Promise<void> {
    for (const [i, path] of [...this.songs.keys()].entries()) {
      if (i % LABELLED_SONGS === 0) await new Promise((resolve) => setTimeout(resolve));
      const labelled = this.songs.get(path);
      if (labelled) this.songs.set(path, this.label(labelled.song));
    }
    this.review.close(); // its choices are those of before
    this.showSongs();
    this.tabs.postMessage(null);
  }

  private showSongs(): void {
    const genres = this.learning.genres(this.corrections.values());
    if (genres.join("\0") !== this.genres.join("\0")) this.genres = genres;
    this.library.show([...this.songs.values()], this.genres);
    this.updateCards();
    this.showRest();
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
    this.learning.update();
    this.picker.setCompact(this.songs.size > 0);
  }

  /** @param undo reverts what the message reports */
  private showMessage(text: string, undo?: () => Promise<void>): void {
    this.message.textContent = text;
    if (!undo) return;
    const undoButton = button(texts.undo, () => {
      this.showMessage("");
      void undo();
    }, "quiet");
    this.message.append(" ", undoButton);
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
      await this.addHashes(files);
      const warning = unreadable.length ? texts.unreadable(unreadable.length) : "";
      this.selected = files;
      const remaining = this.remainingFiles();
      if (remaining.length) await this.scan(remaining, stop, warning);
      else this.showMessage(`${files.length ? texts.nothingNew : texts.noSongs} ${warning}`);
    });
  }

  /** Hash the corrected songs of version 2, so that their correction stays if they move. */
  private async addHashes(files: readonly SelectedFile[]): Promise<void> {
    for (const { path, file } of files) {
      const song = this.songs.get(path)?.song;
      const genre = this.corrections.get(path);
      if (!song || song.hash !== null || genre === undefined) continue;
      const hash = await hashFile(file).catch(() => null);
      const isSame = song.size === file.size && song.modified === file.lastModified;
      if (hash === null || !isSame) continue;
      const hashed = { ...song, hash };
      await this.catalog.saveSong(hashed);
      await this.catalog.saveCorrections([{ song: hashed, genre }]);
      await this.loadCorrections();
      this.songs.set(path, this.label(hashed));
    }
  }

  /** Keep the corrections of songs whose files changed, for example their tags. */
  private async keepCorrections(): Promise<void> {
    if (this.changed.length === 0) return;
    const present = new Set(Array.from(this.songs.values(), ({ song }) => song.hash));
    for (const [before, after] of this.changed) {
      const genre = this.corrections.get(before);
      // A file whose content is elsewhere now was moved, and another song took its path.
      if (genre === undefined || this.corrections.has(after) || present.has(before)) continue;
      await this.catalog.saveCorrections([{ song: { hash: after, path: after }, genre }]);
    }
    this.changed = [];
    await this.loadCorrections();
    for (const [path, { song }] of this.songs) this.songs.set(path, this.label(song));
  }

  /** Return the file of a song that was selected or is in a stored folder; null if the page cannot read it now. */
  private async fileOf(path: string): Promise<File | null> {
    const selected = this.selected.find((one) => one.path === path);
    return selected?.file ?? fileInFolder(await this.catalog.folders(), path);
  }

  /** Return the selected files that the model has not classified. */
  private remainingFiles(): SelectedFile[] {
    const stored = new Map(Array.from(this.songs, ([path, { song }]) => [path, song]));
    return filesToScan(this.selected, stored, (song) => this.learning.isOutdated(song));
  }

  private async scan(files: readonly SelectedFile[], stop: AbortSignal, warning = ""): Promise<void> {
    this.showMessage(warning);
    let message: string;
    try {
      const { model } = this.settings;
      message = await this.scanController.run(files, model, stop, (scanned) => this.addSong(scanned));
    } finally {
      await this.keepCorrections();
      this.showScanned(true);
      this.tabs.postMessage(null);
      this.showRest();
    }
    this.showMessage(message);
  }

  private addSong(scanned: ScannedSong): void {
    const { song } = scanned;
    if (song.model !== this.card.sha256) return; // the user has selected another model meanwhile
    const before = this.songs.get(song.path)?.song.hash;
    if (before && song.hash && before !== song.hash) this.changed.push([before, song.hash]);
    this.learning.add(scanned);
    this.songs.set(song.path, this.label(song));
    this.redrawTimer ||= window.setTimeout(() => {
      this.showScanned(false);
      this.tabs.postMessage(null);
    }, REDRAW_MS);
  }

  private showRest(): void {
    const rest = this.remainingFiles();
    this.picker.showRest(rest.length, () => this.tasks.runIfIdle((stop) => this.scan(rest, stop)));
  }

  /** @param canUndo true to offer that the corrections are reverted */
  private async correct(chosen: readonly Correction[], canUndo: boolean): Promise<void> {
    const corrections = chosen.map(({ song, genre }) =>
      ({ song, genre: genre && this.learning.spelled(genre, this.genres) }));
    const before = corrections.map(({ song }) => ({ song, genre: this.songs.get(song.path)?.corrected ?? null }));
    await this.catalog.saveCorrections(corrections);
    await this.loadCorrections();
    const paths = new Set(corrections.map(({ song }) => song.path));
    const hashes = new Set(corrections.map(({ song }) => song.hash));
    for (const [path, { song }] of this.songs) {
      if (paths.has(path) || (song.hash !== null && hashes.has(song.hash))) this.songs.set(path, this.label(song));
    }
    this.showSongs();
    this.tabs.postMessage(null);
    if (canUndo) this.showMessage(this.describe(corrections), () => this.correct(before, false));
  }

  private describe(corrections: readonly Correction[]): string {
    const [first, ...others] = corrections.map(({ song }) => this.songs.get(song.path));
    const chosen = first?.corrected ?? null;
    if (others.length) return texts.correctedMany(corrections.length, chosen && labelName(chosen));
    const name = first ? songTitle(first.song) : "";
    return texts.corrected(name, first?.genre ? labelName(first.genre) : texts.song.noPrediction);
  }

  private async remove(song: Song): Promise<void> {
    const { path } = song;
    const removed = await this.catalog.removeSong(path);
    const { selected } = this;
    this.selected = selected.filter((file) => file.path !== path);
    await this.loadSongs();
    this.tabs.postMessage(null);
    this.showMessage(texts.removed(songTitle(song)), async () => {
      await this.catalog.putBack(removed);
      this.selected = selected;
      await this.loadSongs();
      this.tabs.postMessage(null);
    });
  }

  private removeFolder(name: string): void {
    if (!confirm(texts.removeFolderConfirm(name))) return;
    this.tasks.runAfterStop(async () => {
      await this.catalog.removeFolder(name);
      this.selected = this.selected.filter(({ path }) => !path.startsWith(`${name}/`));
      await this.loadSongs();
      await this.picker.showFolders();
      this.showRest();
      this.tabs.postMessage(null);
    });
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
      await this.learning.load();
      this.player.close();
      this.review.close();
      this.covers.clear();
      this.tabs.postMessage(null);
      this.corrections.clear();
      this.songs.clear();
      this.selected = [];
      this.picker.clear();
      this.showMessage("");
      this.showSongs();
    });
  }

  private async saveBackup(): Promise<void> {
    const { writeBackup } = await import("../backup.ts");
    const content = await writeBackup(await this.catalog.backup());
    downloadFile(new File([content], "pocketgenre-backup.json", { type: "application/json" }));
  }

  private async restoreBackup(file: File): Promise<void> {
    try {
      const { readBackup } = await import("../backup.ts"); // the page starts faster without it
      const added = await this.catalog.restore(await readBackup(file));
      this.covers.clear();
      await this.loadCorrections();
      await this.loadSongs();
      this.tabs.postMessage(null);
      this.showMessage(texts.backup.restored(added));
    } catch (error) {
      this.showMessage(messageFor(error));
    }
  }

  private changeSettings(settings: Settings): void {
    const isOtherModel = settings.model !== this.settings.model;
    this.settings = settings;
    if (isOtherModel) {
      this.review.close();
      this.songs.clear(); // each model has its own list
      const wasScanning = this.tasks.busy;
      this.tasks.runAfterStop(async () => {
        this.scanController.unload();
        await this.loadSongs();
        this.showRest();
        if (wasScanning) this.showMessage(texts.scan.otherModel(settings.model));
      });
    } else {
      this.songs = new Map(Array.from(this.songs, ([path, { song }]) => [path, this.label(song)]));
      this.showSongs();
    }
  }
}

function messageFor(error: unknown): string {
  if (error instanceof BackupError) return error.message;
  if (error instanceof InferenceError) return texts.scan.failed(error.message);
  if (error instanceof DOMException && error.name === "QuotaExceededError") return texts.errors.storage;
  return texts.errors.other(errorText(error));
}
