/** Run the tasks of the page one at a time, for example a selection of songs and its scan. */

/** A task ends soon after `stop` is aborted. */
export type Task = (stop: AbortSignal) => Promise<void>;

export class TaskQueue {
  private count = 0;
  private last: Promise<void> = Promise.resolve();
  private controller = new AbortController();

  /**
   * @param onBusy called with true when a task starts, and with false when none is left
   * @param onError called with the error that a task throws
   */
  constructor(
    private readonly onBusy: (busy: boolean) => void,
    private readonly onError: (error: unknown) => void,
  ) {}

  get busy(): boolean {
    return this.count > 0;
  }

  /** Run a task now, or drop it if another one is running. */
  runIfIdle(task: Task): void {
    if (this.busy) return;
    this.last = this.run(task);
  }

  /** Stop the running task, and run this one as soon as it has ended. */
  runAfterStop(task: Task): void {
    this.stop();
    const previous = this.last;
    this.last = this.run(async (stop) => {
      await previous;
      await task(stop);
    });
  }

  /** Wait until no task is running. */
  async idle(): Promise<void> {
    while (this.busy) await this.last;
  }

  stop(): void {
    this.controller.abort();
  }

  /** Start a task before returning, since dropped files and dialogs are lost after their event. */
  private async run(task: Task): Promise<void> {
    if (!this.busy) this.onBusy(true);
    this.count += 1;
    this.controller = new AbortController();
    try {
      await task(this.controller.signal);
    } catch (error) {
      this.onError(error);
    } finally {
      this.count -= 1;
      if (!this.busy) this.onBusy(false);
    }
  }
}
