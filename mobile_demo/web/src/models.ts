/** The models of the page, which are files of the Python package. */
import bestCard from "../../../pocketgenre/models/best_waveform.json";
import bestUrl from "../../../pocketgenre/models/best_waveform.tflite?url";
import standardCard from "../../../pocketgenre/models/standard_waveform.json";
import standardUrl from "../../../pocketgenre/models/standard_waveform.tflite?url";
import type { ModelCard } from "./rules/model-card.ts";

export type ModelName = "best" | "standard";

export interface Model {
  readonly card: ModelCard;
  readonly url: string;
  /** True if the model ends in a layer that can be learned. */
  readonly isTeachable: boolean;
}

export const DEFAULT_MODEL: ModelName = "best";

export const MODELS: Readonly<Record<ModelName, Model>> = {
  best: { card: usedFields(bestCard), url: bestUrl, isTeachable: true },
  standard: { card: usedFields(standardCard), url: standardUrl, isTeachable: false },
};

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
