/** Keep the screen on during a scan, since a phone that locks its screen stops the scan. */
export class WakeLock {
  private wanted = false;
  private sentinel: WakeLockSentinel | null = null;
  private updated: Promise<void> = Promise.resolve();

  constructor() {
    // Browsers release the lock whenever the page is hidden.
    document.addEventListener("visibilitychange", () => this.set(this.wanted));
  }

  /** Keep the screen on, or let it turn off. */
  set(wanted: boolean): void {
    this.wanted = wanted;
    this.updated = this.updated.then(() => this.update());
  }

  private async update(): Promise<void> {
    const held = this.sentinel !== null && !this.sentinel.released;
    if (this.wanted === held) return;
    try {
      if (held) await this.sentinel!.release();
      else this.sentinel = (await navigator.wakeLock?.request("screen")) ?? null;
    } catch {
      // For example, the battery is low or the page is hidden.
    }
  }
}
