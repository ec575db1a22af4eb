/**
 * Hear what has not been heard yet, one song after another; while one is heard the next is decoded.
 *
 * Each song is in the catalogue before the next one is asked for, so that a scan which ends, by
 * whatever, goes on where it was.
 */
import type { Catalog } from "./catalog.ts";
import { decodeMono } from "./decoding.ts";
import { asAudioError } from "./faults.ts";
import { BrokenEarError, type Ear, type Sound } from "./hearing.ts";
import { AudioError, UnreadableError } from "./rules/errors.ts";
import type { Song } from "./rules/song.ts";
import { reasons } from "./texts.ts";

/** A file that was picked, with its path from the picked folder's name on. */
export interface PickedFile {
  readonly path: string;
  readonly file: File;
}

/** A song over which the page was killed this often is not begun again. */
const MOST_ATTEMPTS = 3;

/** What of the picked files must be heard: the new, the changed, and those that couldn't be read. */
export function unheard(files: readonly PickedFile[], known: ReadonlyMap<string, Song>): PickedFile[] {
  return files.filter(({ path, file }) => {
    const song = known.get(path);
    const same = song?.size === file.size && song.modified === file.lastModified;
    return !same || song.passing;
  });
}

export interface ScanEvents {
  /** A song was heard and is in the catalogue. */
  readonly heard: (song: Song) => void;
  readonly begun: (path: string) => void;
}

export class Scan {
  private running: Promise<void> = Promise.resolve();
  private go: () => void = () => {};
  private paused = false;

  /** @param stop says when no other song is to be begun */
  constructor(
    private readonly files: readonly PickedFile[],
    private readonly model: string,
    private readonly ear: Ear,
    private readonly catalog: Catalog,
    private readonly stop: AbortSignal,
    private readonly events: ScanEvents,
  ) {
    stop.addEventListener("abort", () => this.resume());
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.running = new Promise((resolve) => (this.go = resolve));
  }

  resume(): void {
    this.paused = false;
    this.go();
  }

  /**
   * Hear all files; true if the end was reached, false if it was stopped.
   *
   * @throws BrokenEarError the runtime failed; what was heard before is kept.
   */
  async run(): Promise<boolean> {
    try {
      return await this.hearAll();
    } finally {
      await this.forgive();
    }
  }

  /** What is begun now was not what ended the page: to be called when it is left. */
  async forgive(): Promise<void> {
    await this.catalog.forgetAttempts();
  }

  private async hearAll(): Promise<boolean> {
    if (!(await this.proceed())) return false;
    let next: Promise<Sound | AudioError | null> | undefined;
    next = this.files[0] && this.begin(this.files[0]);
    for (const [i, picked] of this.files.entries()) {
      this.events.begun(picked.path);
      const decoding = next!;
      const after = this.files[i + 1];
      // Not before this one is decoded: memory is for two songs at most.
      next = after && decoding.then(() => this.proceed()).then((on) => on ? this.begin(after) : null);
      next?.catch(() => {}); // told when it is that song's turn
      const outcome = await decoding;
      if (outcome === null || this.stop.aborted) return false;
      this.events.heard(await this.finish(picked, outcome));
      if (!(await this.proceed())) return false;
    }
    return true;
  }

  private async proceed(): Promise<boolean> {
    await this.running;
    return !this.stop.aborted;
  }

  /** Its sound, or why there is none. */
  private async begin({ path, file }: PickedFile): Promise<Sound | AudioError> {
    if ((await this.catalog.begin(path)) >= MOST_ATTEMPTS) return new AudioError(reasons.killed);
    return asError(() => decodeMono(file));
  }

  private async finish({ path, file }: PickedFile, outcome: Sound | AudioError): Promise<Song> {
    const heard =
      outcome instanceof AudioError ? outcome : await asError(() => this.ear.hear(outcome));
    const song: Song = {
      path,
      size: file.size,
      modified: file.lastModified,
      model: this.model,
      error: heard instanceof AudioError ? heard.message : null,
      passing: heard instanceof UnreadableError,
      probabilities: heard instanceof AudioError ? null : heard,
    };
    await this.catalog.keep(song);
    await this.catalog.end(path);
    return song;
  }
}

/** What it gives, or the AudioError that it throws; a broken ear is everyone's trouble. */
async function asError<T>(action: () => Promise<T>): Promise<T | AudioError> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof BrokenEarError) throw error;
    return asAudioError(error);
  }
}
