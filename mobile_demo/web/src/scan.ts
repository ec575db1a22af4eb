/**
 * Classify the files of a selection, one after another.
 *
 * Each song is saved before the next one starts, so that an interrupted scan can be continued.
 */
import type { Catalog } from "./catalog.ts";
import { decodeWhole } from "./decoding.ts";
import { AudioError, InferenceError, toAudioError, UnreadableError } from "./errors.ts";
import { hashFile } from "./file-hash.ts";
import type { InferenceClient, SongResult } from "./inference-client.ts";
import type { Song } from "./rules/song.ts";
import { reasons } from "./texts.ts";

export interface SelectedFile {
  /** Path from the selected folder's name on; only the file's name outside a folder. */
  readonly path: string;
  readonly file: File;
}

type StoredResult = Pick<Song, "probabilities" | "analyzedSeconds" | "durationSeconds" | "partial"> & {
  readonly features: Int8Array | null;
};

const STOPPED = Symbol("stopped");
/** Time after a stop in which the worker may end the slice in progress, to keep its model. */
const GRACE_MS = 500;

/** Number of unfinished attempts after which a song is skipped. */
const MAX_ATTEMPTS = 3;

/**
 * Return the files that are new, have changed, or had a transient error.
 *
 * @param isOutdated returns true for a song that has to be scanned again all the same
 */
export function filesToScan(
  files: readonly SelectedFile[], stored: ReadonlyMap<string, Song>, isOutdated: (song: Song) => boolean,
): SelectedFile[] {
  return files.filter(({ path, file }) => {
    const song = stored.get(path);
    const unchanged = song?.size === file.size && song.modified === file.lastModified;
    return !unchanged || song.passing || isOutdated(song);
  });
}

/** A saved song. */
export interface ScannedSong {
  readonly song: Song;
  /** True if its features are stored. */
  readonly hasFeatures: boolean;
  /** Probabilities by the learned head, one row per audible segment; null without one. */
  readonly learned: Float32Array | null;
}

export interface ScanEvents {
  /** Returns true for a stored result that does not suffice, so that the song is classified again. */
  readonly isOutdated: (song: Song) => boolean;
  readonly onStart: (path: string) => void;
  /** Called with the share of the song in progress that is classified. */
  readonly onProgress: (share: number) => void;
  /** Called when a song is saved. */
  readonly onFinish: (scanned: ScannedSong) => void;
}

export class Scan {
  private resumed: Promise<void> = Promise.resolve();
  private resolveResumed: () => void = () => {};
  private paused = false;
  /** Paths of earlier results by the hash of the song's content. */
  private known: ReadonlyMap<string, string> = new Map();
  private readonly stopped: Promise<typeof STOPPED>;

  /**
   * @param model SHA-256 of the model
   * @param stop signal that ends the scan within a second
   */
  constructor(
    private readonly files: readonly SelectedFile[],
    private readonly model: string,
    private readonly client: InferenceClient,
    private readonly catalog: Catalog,
    private readonly stop: AbortSignal,
    private readonly events: ScanEvents,
  ) {
    this.stopped = new Promise((resolve) => {
      stop.addEventListener("abort", () => {
        this.resume();
        setTimeout(() => resolve(STOPPED), GRACE_MS);
      });
    });
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.resumed = new Promise((resolve) => (this.resolveResumed = resolve));
  }

  resume(): void {
    this.paused = false;
    this.resolveResumed();
  }

  /**
   * Classify all files. Return true if the scan is complete, false if it was stopped.
   *
   * @throws InferenceError if the runtime fails; the songs before stay saved
   */
  async run(): Promise<boolean> {
    try {
      this.known = await this.catalog.pathsByHash(this.model);
      return await this.scanAll();
    } finally {
      await this.clearAttempts();
    }
  }

  /** Clear the current attempts when the page is closed normally, since they did not crash it. */
  async clearAttempts(): Promise<void> {
    await this.catalog.clearAttempts();
  }

  private async scanAll(): Promise<boolean> {
    for (const selected of this.files) {
      if (!(await this.mayContinue())) return false;
      this.events.onStart(selected.path);
      const hash = await hashFile(selected.file).catch(() => null);
      const result = (await this.storedResult(hash)) ?? (await this.classify(selected));
      if (result === STOPPED) return false;
      await this.save(selected, hash, result);
    }
    return true;
  }

  /** Wait while the scan is paused. Return false if it was stopped. */
  private async mayContinue(): Promise<boolean> {
    await this.resumed;
    return !this.stop.aborted;
  }

  /** Return the result of a file with the same content: it was moved or copied, or restored from a backup. */
  private async storedResult(hash: string | null): Promise<StoredResult | null> {
    const path = this.known.get(hash ?? "");
    const song = path === undefined ? undefined : await this.catalog.song(this.model, path);
    if (song?.hash !== hash || song.error !== null || this.events.isOutdated(song)) return null;
    const { probabilities, analyzedSeconds, durationSeconds, partial } = song;
    const features = await this.catalog.featuresOf(this.model, song.path);
    return { probabilities, features, analyzedSeconds, durationSeconds, partial };
  }

  private async classify({ path, file }: SelectedFile): Promise<SongResult | AudioError | typeof STOPPED> {
    const attempts = await this.catalog.startAttempt(path);
    if (attempts >= MAX_ATTEMPTS) return new AudioError(reasons.killed);
    return Promise.race([catchAudioError(() => this.analyze(file)), this.stopped]);
  }

  /** Classify a song slice by slice, so that the scan can pause within it. */
  private async analyze(file: File): Promise<SongResult | typeof STOPPED> {
    const undecodable = await this.client.open(file);
    const whole = undecodable === null ? null : await decodeWhole(file, undecodable);
    if (whole && !this.stop.aborted) await this.client.openDecoded(whole.song);
    while (await this.mayContinue()) {
      const { share, result } = await this.client.next(whole ? whole.slices.next().value : null);
      if (result) return result;
      this.events.onProgress(share);
    }
    return STOPPED;
  }

  private async save(
    { path, file }: SelectedFile, hash: string | null, result: StoredResult | AudioError,
  ): Promise<void> {
    const failed = result instanceof AudioError;
    const { features, ...stored } = failed ? NO_RESULT : result;
    // A song that does not end keeps the worker busy.
    const { tags = null, cover = null } = this.client.isBusy ? {} : await this.client.tags(file);
    if (cover) await this.catalog.saveCover(cover);
    const song: Song = {
      path,
      size: file.size,
      modified: file.lastModified,
      hash,
      model: this.model,
      error: failed ? result.message : null,
      passing: result instanceof UnreadableError,
      tags,
      ...stored,
    };
    const learned = await this.catalog.saveScanned(song, features);
    await this.catalog.finishAttempt(path);
    this.events.onFinish({ song, hasFeatures: features !== null, learned });
  }
}

const NO_RESULT = { probabilities: null, features: null, analyzedSeconds: null, durationSeconds: null, partial: false };

/** Return the result of an action, or its AudioError. An InferenceError is thrown. */
async function catchAudioError<T>(action: () => Promise<T>): Promise<T | AudioError> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    return toAudioError(error);
  }
}
