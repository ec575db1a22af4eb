/** One thing at a time, from the choice of songs to the end of their scan. */

/** What is to be done; the signal says when it should come to an end. */
export type Action = (stop: AbortSignal) => Promise<void>;

export class Turns {
  private taken = 0;
  private last: Promise<void> = Promise.resolve();
  private stopper = new AbortController();

  /**
   * @param changed called when something begins and when nothing goes on any more
   * @param failed called with what an action throws
   */
  constructor(
    private readonly changed: (busy: boolean) => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  get busy(): boolean {
    return this.taken > 0;
  }

  /** Do it now, or not at all while something else goes on. */
  begin(action: Action): void {
    if (this.busy) return;
    this.last = this.take(action);
  }

  /** Stop what goes on, and do it as soon as that has ended. */
  instead(action: Action): void {
    this.stop();
    const before = this.last;
    this.last = this.take(async (stop) => {
      await before;
      await action(stop);
    });
  }

  stop(): void {
    this.stopper.abort();
  }

  /** It is begun before this returns: a drop and a dialog can't wait. */
  private async take(action: Action): Promise<void> {
    if (!this.busy) this.changed(true);
    this.taken += 1;
    this.stopper = new AbortController();
    try {
      await action(this.stopper.signal);
    } catch (error) {
      this.failed(error);
    } finally {
      this.taken -= 1;
      if (!this.busy) this.changed(false);
    }
  }
}
