/** Installing, working offline, and new versions: told, and taken on a person's word. */
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

interface InstallPrompt extends Event {
  prompt(): Promise<void>;
}

/** The banner of a new version, and the line that says the page works offline. */
export class Updates {
  readonly banner = make("div", { class: "banner", role: "status", hidden: true });
  readonly offline = make("p", { class: "soft small offline" });

  constructor() {
    window.addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault();
      this.offerInstall(event as InstallPrompt);
    });
    if ("serviceWorker" in navigator) void this.register();
  }

  private async register(): Promise<void> {
    // What takes over where nothing was is the first version; else all pages begin anew with it.
    let first = !navigator.serviceWorker.controller;
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (first) first = false;
      else location.reload();
    });
    try {
      const registration = await navigator.serviceWorker.register("./sw.js", { updateViaCache: "none" });
      this.watch(registration);
      await navigator.serviceWorker.ready;
      this.offline.prepend(make("span", {}, texts.offline.ready));
    } catch (error) {
      console.warn("not kept for offline use:", error);
    }
  }

  private watch(registration: ServiceWorkerRegistration): void {
    const tell = () => {
      if (registration.waiting && navigator.serviceWorker.controller) this.announce(registration.waiting);
    };
    tell();
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", tell);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") registration.update().catch(() => {}); // offline
    });
  }

  private announce(waiting: ServiceWorker): void {
    this.banner.replaceChildren(
      make("span", {}, `${texts.offline.update} ${texts.offline.updateScan}`),
      button(texts.offline.reload, () => waiting.postMessage("take over"), "main"),
      button(texts.offline.later, () => (this.banner.hidden = true), "quiet"),
    );
    this.banner.hidden = false;
  }

  private offerInstall(event: InstallPrompt): void {
    const install = button(texts.offline.install, () => {
      install.remove();
      void event.prompt();
    });
    this.offline.append(install);
  }
}
