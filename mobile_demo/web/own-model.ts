/** Put the model that the variable MODEL names into the page, as the module `virtual:own-model`. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Plugin } from "vite";
import { segmentSeconds, type ModelCard } from "./src/rules/model-card.ts";

const ID = "virtual:own-model";
const RESOLVED = `\0${ID}`;
const MAX_SEGMENT_SECONDS = 60;

type Card = ModelCard & { readonly input?: string };

export function ownModel(): Plugin {
  const { MODEL, INIT_CWD = "." } = process.env;
  const file = MODEL ? resolve(INIT_CWD, MODEL) : null; // relative to the user's folder, not to the one of npm
  if (file) check(file);
  return {
    name: "own-model",
    resolveId: (id) => (id === ID ? RESOLVED : null),
    load: (id) => (id === RESOLVED ? source(file) : null),
  };
}

/** Return a module whose default export is the model, or null without one. */
function source(file: string | null): string {
  if (!file) return "export default null;";
  return [
    `import url from ${JSON.stringify(`${file}?url`)};`,
    `export default { name: ${JSON.stringify(basename(file, ".tflite"))}, card: ${readFileSync(cardOf(file), "utf8")}, url };`,
  ].join("\n");
}

/** End the build with one sentence if the page cannot use a file. */
function check(file: string): void {
  const problem = problemOf(file);
  if (!problem) return;
  console.error(`Error: ${file} ${problem}`);
  process.exit(1);
}

function problemOf(file: string): string | null {
  let model: Buffer, card: Card;
  try {
    model = readFileSync(file);
    card = JSON.parse(readFileSync(cardOf(file), "utf8")) as Card;
  } catch (error) {
    return `and its card ${basename(cardOf(file))} cannot be read: ${(error as Error).message}`;
  }
  if (!file.endsWith(".tflite") || model.toString("latin1", 4, 8) !== "TFL3") {
    return "is not a TFLite model; export-tflite writes one.";
  }
  if (card.sha256 !== createHash("sha256").update(model).digest("hex")) {
    return "is not the file that its card describes; export the model again.";
  }
  if (card.input !== "waveform") {
    return "has features as input, which the page does not compute; export it with --input waveform.";
  }
  // The Python package writes and checks the rest of the card.
  if (!(segmentSeconds(card) <= MAX_SEGMENT_SECONDS)) {
    return `has segments of more than ${MAX_SEGMENT_SECONDS} s, too long for a phone; prepare shorter ones.`;
  }
  return null;
}

function cardOf(file: string): string {
  return file.replace(/\.tflite$/, ".json");
}
