/** The models of the page: those of the Python package, and the one that it was built with. */
import own from "virtual:own-model";
import bestCard from "../../../pocketgenre/models/best_waveform.json";
import bestUrl from "../../../pocketgenre/models/best_waveform.tflite?url";
import standardCard from "../../../pocketgenre/models/standard_waveform.json";
import standardUrl from "../../../pocketgenre/models/standard_waveform.tflite?url";
import type { ModelCard } from "./rules/model-card.ts";

export type ModelName = "own" | "best" | "standard";

export interface Model {
  readonly card: ModelCard;
  readonly url: string;
  /** True if the model ends in a layer that can be learned. */
  readonly isTeachable: boolean;
}

export const DEFAULT_MODEL: ModelName = own ? "own" : "best";

/** Name of the file of the model "own"; null if the page has none. */
export const OWN_MODEL: string | null = own && own.name;

const INCLUDED = {
  best: { card: usedFields(bestCard), url: bestUrl, isTeachable: true },
  standard: { card: usedFields(standardCard), url: standardUrl, isTeachable: false },
};

/** The models by name; without the one of the build, settings never name "own". */
export const MODELS = {
  ...(own && { own: { card: usedFields(own.card), url: own.url, isTeachable: false } }),
  ...INCLUDED,
} as Readonly<Record<ModelName, Model>>;

/** Keep only the fields that the page uses, so that the bundle omits the others. */
function usedFields({ labels, front_end, sha256, confidence }: ModelCard): ModelCard {
  return { labels, front_end, sha256, ...(confidence && { confidence }) };
}

/** Return the content of a model's file. */
export async function fetchModel(name: ModelName): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(new URL(MODELS[name].url, self.location.href));
  if (!response.ok) throw new Error(`the model could not be downloaded (HTTP ${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}
