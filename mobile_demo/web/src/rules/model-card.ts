import type { ConfidenceModel } from "./confidence.ts";

/** The part of a model card that the page uses, as pocketgenre/models/model_card.py. */
export interface ModelCard {
  /** Genres, and possibly NOT_MUSIC, in the order of the model's outputs. */
  readonly labels: readonly string[];
  readonly front_end: {
    /** In Hz. */
    readonly sample_rate: number;
    /** Length of one segment, in samples. */
    readonly segment_samples: number;
  };
  /** SHA-256 of the model file, in hexadecimal. */
  readonly sha256: string;
  /** Calibration of the songs' confidence; cards of models without one lack it. */
  readonly confidence?: ConfidenceModel;
}

/** Return the length of one segment in seconds. */
export function segmentSeconds(card: ModelCard): number {
  return card.front_end.segment_samples / card.front_end.sample_rate;
}
