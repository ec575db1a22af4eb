/** Run scans with an inference client, a progress card and a screen wake lock. */
import type { Catalog } from "../catalog.ts";
import { InferenceClient } from "../inference-client.ts";
import { MODELS, type ModelName } from "../models.ts";
import type { Song } from "../rules/song.ts";
import { Scan, type ScannedSong, type SelectedFile } from "../scan.ts";
import { texts } from "../texts.ts";
import { ScanProgress } from "./scan-progress.ts";
import { WakeLock } from "./wake-lock.ts";

export class ScanController {
  private readonly progress: ScanProgress;
  private readonly wakeLock = new WakeLock();
  private scan: Scan | null = null;
  private client: InferenceClient | null = null;

  /**
   * @param onStop called when the user stops a scan
   * @param isOutdated returns true for a song that has to be classified again
   */
  constructor(
    private readonly catalog: Catalog, onStop: () => void, private readonly isOutdated: (song: Song) => boolean,
  ) {
    this.progress = new ScanProgress({
      pause: () => {
        this.scan?.pause();
        this.wakeLock.set(false);
      },
      resume: () => {
        this.scan?.resume();
        this.wakeLock.set(true);
      },
      stop: onStop,
    });
  }

  get element(): HTMLElement {
    return this.progress.element;
  }

  /**
   * Scan files until all are classified or `stop` is aborted.
   *
   * @param onSong called with each song when it is saved
   * @returns a message for the user
   */
  async run(
    files: readonly SelectedFile[], model: ModelName, stop: AbortSignal, onSong: (scanned: ScannedSong) => void,
  ): Promise<string> {
    // Two tabs would scan the same songs at half the speed. Without the lock's interface, they do.
    if (!navigator.locks) return this.scanFiles(files, model, stop, onSong);
    return navigator.locks.request("scan", { ifAvailable: true }, (lock) =>
      lock ? this.scanFiles(files, model, stop, onSong) : texts.scan.otherTab);
  }

  private async scanFiles(
    files: readonly SelectedFile[], model: ModelName, stop: AbortSignal, onSong: (scanned: ScannedSong) => void,
  ): Promise<string> {
    void navigator.storage?.persist?.(); // asks the browser not to delete the results
    const sizes = new Map(files.map(({ path, file }) => [path, file.size]));
    let labelled = 0, failed = 0;
    this.wakeLock.set(true);
    this.progress.start([...sizes.values()]);
    try {
      this.client ??= new InferenceClient(model);
      this.scan = new Scan(files, MODELS[model].card.sha256, this.client, this.catalog, stop, {
        isOutdated: this.isOutdated,
        onStart: (path) => this.progress.startSong(path, sizes.get(path)!),
        onProgress: (share) => this.progress.updateSong(share),
        onFinish: (scanned) => {
          if (scanned.song.error === null) labelled += 1;
          else failed += 1;
          this.progress.finishSong();
          onSong(scanned);
        },
      });
      await this.client.load();
      const complete = await this.scan.run();
      if (this.client.isBusy) this.unload(); // a song that does not end
      return complete ? texts.scan.finished(labelled, failed) : texts.scan.stopped(labelled + failed);
    } catch (error) {
      this.unload();
      throw error;
    } finally {
      this.scan = null;
      this.progress.end();
      this.wakeLock.set(false);
    }
  }

  /** Clear the current attempts when the page is closed normally, since they did not crash it. */
  clearAttempts(): void {
    void this.scan?.clearAttempts();
  }

  /** Free the runtime and the model; the next scan loads them again. */
  unload(): void {
    this.client?.close();
    this.client = null;
  }
}
