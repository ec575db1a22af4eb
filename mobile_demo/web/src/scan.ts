/**
 * Classify the files of a selection, one after another, while the next song is decoded.
 *
 * Each song is saved before the next one starts, so that an interrupted scan can be continued.
 */
import type { Catalog } from "./catalog.ts";
import { decodeMono } from "./decoding.ts";
import { AudioError, InferenceError, toAudioError, UnreadableError } from "./errors.ts";
import type { DecodedAudio, InferenceClient } from "./inference-client.ts";
import type { Song } from "./rules/song.ts";
import { reasons } from "./texts.ts";

export interface SelectedFile {
  /** Path from the selected folder's name on; only the file's name outside a folder. */
  readonly path: string;
  readonly file: File;
}

/** Number of unfinished attempts after which a song is skipped. */
const MAX_ATTEMPTS = 3;

/** Return the files that are new, have changed, or had a transient error. */
export function filesToScan(
  files: readonly SelectedFile[], stored: ReadonlyMap<string, Song>,
): SelectedFile[] {
  return files.filter(({ path, file }) => {
    const song = stored.get(path);
    const unchanged = song?.size === file.size && song.modified === file.lastModified;
    return !unchanged || song.passing;
  });
}

export interface ScanEvents {
  readonly onStart: (path: string) => void;
  /** Called when a song is saved. */
  readonly onFinish: (song: Song) => void;
}

export class Scan {
  private resumed: Promise<void> = Promise.resolve();
  private resolveResumed: () => void = () => {};
  private paused = false;

  /**
   * @param model SHA-256 of the model
   * @param stop signal after which no further song starts
   */
  constructor(
    private readonly files: readonly SelectedFile[],
    private readonly model: string,
    private readonly client: InferenceClient,
    private readonly catalog: Catalog,
    private readonly stop: AbortSignal,
    private readonly events: ScanEvents,
  ) {
    stop.addEventListener("abort", () => this.resume());
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
    if (!(await this.mayContinue())) return false;
    let next: Promise<DecodedAudio | AudioError | null> | undefined;
    next = this.files[0] && this.decode(this.files[0]);
    for (const [i, selected] of this.files.entries()) {
      this.events.onStart(selected.path);
      const current = next!;
      const following = this.files[i + 1];
      // The next song waits until this one is decoded, so that at most two are in memory.
      next = following && current
        .then(() => this.mayContinue())
        .then((go) => (go ? this.decode(following) : null));
      next?.catch(() => {}); // its error is thrown when the song is awaited
      const decoded = await current;
      if (decoded === null || this.stop.aborted) return false;
      this.events.onFinish(await this.classify(selected, decoded));
      if (!(await this.mayContinue())) return false;
    }
    return true;
  }

  /** Wait while the scan is paused. Return false if it was stopped. */
  private async mayContinue(): Promise<boolean> {
    await this.resumed;
    return !this.stop.aborted;
  }

  private async decode({ path, file }: SelectedFile): Promise<DecodedAudio | AudioError> {
    const attempts = await this.catalog.startAttempt(path);
    if (attempts >= MAX_ATTEMPTS) return new AudioError(reasons.killed);
    return catchAudioError(() => decodeMono(file));
  }

  private async classify({ path, file }: SelectedFile, decoded: DecodedAudio | AudioError): Promise<Song> {
    const result =
      decoded instanceof AudioError ? decoded : await catchAudioError(() => this.analyze(decoded));
    const failed = result instanceof AudioError;
    const song: Song = {
      path,
      size: file.size,
      modified: file.lastModified,
      model: this.model,
      error: failed ? result.message : null,
      passing: result instanceof UnreadableError,
      ...(failed ? NO_ANALYSIS : result),
    };
    await this.catalog.saveSong(song);
    await this.catalog.finishAttempt(path);
    return song;
  }

  private async analyze(audio: DecodedAudio): Promise<Analysis> {
    const { durationSeconds, isPartial } = audio;
    const { probabilities, isDamaged, seconds } = await this.client.predict(audio);
    return { probabilities, analyzedSeconds: seconds, durationSeconds, partial: isPartial || isDamaged };
  }
}

type Analysis = Pick<Song, "probabilities" | "analyzedSeconds" | "durationSeconds" | "partial">;

const NO_ANALYSIS: Analysis = { probabilities: null, analyzedSeconds: null, durationSeconds: null, partial: false };

/** Return the result of an action, or its AudioError. An InferenceError is thrown. */
async function catchAudioError<T>(action: () => Promise<T>): Promise<T | AudioError> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    return toAudioError(error);
  }
}
