/** Where the page begins. */
import { Catalog } from "./catalog.ts";
import { App } from "./page/app.ts";
import { make } from "./page/dom.ts";
import { loadSettings } from "./page/settings.ts";
import { texts } from "./texts.ts";

const NEEDED = ["indexedDB", "Worker", "WebAssembly", "OfflineAudioContext"] as const;

const root = document.getElementById("app")!;

async function start(): Promise<void> {
  const missing = NEEDED.find((name) => !(name in window));
  if (missing) return sorry(texts.trouble.missing(missing));
  let catalog: Catalog;
  try {
    catalog = await Catalog.open(() => location.reload());
  } catch {
    return sorry(texts.trouble.database);
  }
  const app = new App(catalog, await loadSettings(catalog));
  root.replaceChildren(...app.elements);
  await app.start();
}

function sorry(why: string): void {
  const title = make("h1", {}, texts.trouble.title);
  root.replaceChildren(make("main", { class: "page" }, title, make("p", { class: "reason" }, why)));
}

void start();
