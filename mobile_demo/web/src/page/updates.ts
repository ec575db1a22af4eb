/** Install the page, store it for offline use, and offer new versions. */
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

interface InstallPrompt extends Event {
  prompt(): Promise<void>;
}

/** The banner for a new version, and the facts about offline use with the button that installs the page. */
export class Updates {
  readonly banner = make("div", { class: "banner", role: "status", hidden: true });
  readonly offline = make("span");
  readonly install = make("span");

  /**
   * @param isBusy returns true while a task of the page is running
   * @param idle resolves when no task of the page is running
   * @param onStop called when the user stops the task for the new version
   */
  constructor(
    private readonly isBusy: () => boolean,
    private readonly idle: () => Promise<void>,
    private readonly onStop: () => void,
  ) {
    window.addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault();
      this.showInstallButton(event as InstallPrompt);
    });
    if ("serviceWorker" in navigator) void this.register();
  }

  private async register(): Promise<void> {
    // The first version takes control of a page that had none. Any later one reloads all pages.
    let isFirst = !navigator.serviceWorker.controller;
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (isFirst) isFirst = false;
      else void this.reload();
    });
    try {
      const registration = await navigator.serviceWorker.register("./sw.js", { updateViaCache: "none" });
      this.observe(registration);
      await navigator.serviceWorker.ready;
      this.offline.textContent = isIosBrowser() ? texts.offline.readyIos : texts.offline.ready;
    } catch {
      this.offline.textContent = texts.offline.unavailable;
    }
  }

  /** Reload as soon as no scan is running, here or in the tab where the user accepted the new version. */
  private async reload(): Promise<void> {
    if (this.isBusy()) {
      this.banner.replaceChildren(
        make("span", {}, texts.offline.afterScan), button(texts.offline.stopScan, this.onStop, "main"));
      this.banner.hidden = false;
      await this.idle();
    }
    location.reload();
  }

  private observe(registration: ServiceWorkerRegistration): void {
    const check = () => {
      if (registration.waiting && navigator.serviceWorker.controller) this.showBanner(registration.waiting);
    };
    check();
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", check);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") registration.update().catch(() => {}); // fails offline
    });
  }

  private showBanner(waiting: ServiceWorker): void {
    this.banner.replaceChildren(
      make("span", {}, `${texts.offline.update} ${texts.offline.updateScan}`),
      button(texts.offline.reload, () => waiting.postMessage("take over"), "main"),
      button(texts.offline.later, () => (this.banner.hidden = true), "quiet"),
    );
    this.banner.hidden = false;
  }

  private showInstallButton(event: InstallPrompt): void {
    const install = button(texts.offline.install, () => {
      install.remove();
      void event.prompt();
    });
    this.install.replaceChildren(install);
  }
}

/** Return true in a browser of iOS that shows the page in a tab; only iOS has this property. */
function isIosBrowser(): boolean {
  return (navigator as { standalone?: boolean }).standalone === false;
}
