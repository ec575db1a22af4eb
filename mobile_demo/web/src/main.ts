/** Entry point of the page. */
import { Catalog } from "./catalog.ts";
import { App } from "./page/app.ts";
import { make } from "./page/dom.ts";
import { loadSettings } from "./page/settings.ts";
import { texts } from "./texts.ts";

const REQUIRED = ["indexedDB", "Worker", "WebAssembly", "OfflineAudioContext"] as const;

const root = document.getElementById("app")!;

async function start(): Promise<void> {
  const missing = REQUIRED.find((name) => !(name in window));
  if (missing) return showError(texts.errors.missing(missing));
  let catalog: Catalog;
  try {
    catalog = await Catalog.open(() => location.reload());
  } catch {
    return showError(texts.errors.database);
  }
  const app = new App(catalog, await loadSettings(catalog));
  root.replaceChildren(...app.elements);
  await app.start();
  root.removeAttribute("aria-busy");
}

function showError(reason: string): void {
  root.removeAttribute("aria-busy");
  const title = make("h1", {}, texts.errors.title);
  root.replaceChildren(make("main", { class: "page" }, title, make("p", { class: "reason" }, reason)));
}

void start();
