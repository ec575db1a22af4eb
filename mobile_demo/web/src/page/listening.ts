/** Scans as the page runs them: the ear that they share, their progress, a screen that stays on. */
import type { Catalog } from "../catalog.ts";
import { Ear } from "../hearing.ts";
import { MODELS, type ModelName } from "../models.ts";
import type { Song } from "../rules/song.ts";
import { type PickedFile, Scan } from "../scan.ts";
import { texts } from "../texts.ts";
import { Awake } from "./awake.ts";
import { Progress } from "./progress.ts";

export class Listening {
  private readonly progress: Progress;
  private readonly awake = new Awake();
  private scan: Scan | null = null;
  private ear: Ear | null = null;

  /** @param stop called when a person has had enough of a scan */
  constructor(private readonly catalog: Catalog, stop: () => void) {
    this.progress = new Progress({
      pause: () => {
        this.scan?.pause();
        this.awake.want(false);
      },
      resume: () => {
        this.scan?.resume();
        this.awake.want(true);
      },
      stop,
    });
  }

  get element(): HTMLElement {
    return this.progress.element;
  }

  /**
   * Hear songs until they are all heard or `stop` says so; gives what there is to tell of it.
   *
   * @param heard called with each song once it is in the catalogue
   */
  async hear(
    files: readonly PickedFile[], model: ModelName, stop: AbortSignal, heard: (song: Song) => void,
  ): Promise<string> {
    void navigator.storage?.persist?.(); // what is kept should be kept
    const sizes = new Map(files.map(({ path, file }) => [path, file.size]));
    let count = 0;
    this.awake.want(true);
    this.progress.start([...sizes.values()]);
    try {
      this.ear ??= new Ear(model);
      this.scan = new Scan(files, MODELS[model].card.sha256, this.ear, this.catalog, stop, {
        begun: (path) => this.progress.begun(path),
        heard: (song) => {
          count += 1;
          this.progress.done(sizes.get(song.path)!);
          heard(song);
        },
      });
      await this.ear.prepare();
      const ended = await this.scan.run();
      return ended ? texts.working.finished(count) : texts.working.stopped(count);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.scan = null;
      this.progress.end();
      this.awake.want(false);
    }
  }

  /** What is begun now was not what ended the page: to be called when it is left. */
  leave(): void {
    void this.scan?.forgive();
  }

  /** Let go of the runtime and the network; the next scan loads its own. */
  close(): void {
    this.ear?.close();
    this.ear = null;
  }
}
