/** A screen that stays on while it is wanted: a phone that goes to sleep stops the scan. */
export class Awake {
  private wanted = false;
  private lock: WakeLockSentinel | null = null;
  private settled: Promise<void> = Promise.resolve();

  constructor() {
    // Browsers let go of it whenever the page is out of sight.
    document.addEventListener("visibilitychange", () => this.want(this.wanted));
  }

  want(wanted: boolean): void {
    this.wanted = wanted;
    this.settled = this.settled.then(() => this.settle());
  }

  private async settle(): Promise<void> {
    const held = this.lock !== null && !this.lock.released;
    if (this.wanted === held) return;
    try {
      if (held) await this.lock!.release();
      else this.lock = (await navigator.wakeLock?.request("screen")) ?? null;
    } catch {
      // low battery, say, or the page is out of sight
    }
  }
}
