/** The models that the page comes with; the Python package ships the same files. */
import bestCard from "../../../pocketgenre/models/best_waveform.json";
import bestUrl from "../../../pocketgenre/models/best_waveform.tflite?url";
import standardCard from "../../../pocketgenre/models/standard_waveform.json";
import standardUrl from "../../../pocketgenre/models/standard_waveform.tflite?url";
import type { ModelCard } from "./rules/card.ts";

export type ModelName = "best" | "standard";

export interface Model {
  readonly card: ModelCard;
  readonly url: string;
}

export const DEFAULT_MODEL: ModelName = "best";

export const MODELS: Readonly<Record<ModelName, Model>> = {
  best: { card: usedOf(bestCard), url: bestUrl },
  standard: { card: usedOf(standardCard), url: standardUrl },
};

function usedOf({ labels, front_end, sha256 }: ModelCard): ModelCard {
  return { labels, front_end, sha256 };
}
