/** The learned last layer that the page stores and applies. Installed pages store it, so the keys must not change. */
import type { ConfidenceModel } from "../rules/confidence.ts";
import type { ModelCard } from "../rules/model-card.ts";
import { isSilentRow, segmentCount, segmentRow } from "../rules/prediction.ts";
import { type Layer } from "./regression.ts";
import { predictTable } from "./teaching.ts";
import { dequantized, type OutputLayer } from "./tflite-file.ts";

/** A layer with the parts of its model card that do not depend on the network below. */
export interface CardedLayer extends Layer {
  /** SHA-256 of its model file; for a layer that the page has learned, of the model file it began with. */
  readonly sha256: string;
  /** Null if the card has no calibration. */
  readonly confidence: ConfidenceModel | null;
  readonly training: Readonly<Record<string, unknown>>;
  readonly accuracy: Readonly<Record<string, unknown>>;
}

export interface LearnedHead extends Pick<OutputLayer, "scale" | "zeroPoint"> {
  /** SHA-256 of the page's model whose features it takes. */
  readonly base: string;
  readonly layer: CardedLayer;
  /** The opened layer from which the page learns; null for that of the page's model. */
  readonly start: CardedLayer | null;
}

/** Return the card of a model with a learned layer. */
export function cardOf(head: LearnedHead, base: ModelCard): ModelCard {
  const { labels, confidence } = head.layer;
  const { front_end, sha256 } = base;
  return { labels, front_end, sha256, ...(confidence && { confidence }) };
}

/** Compute the probabilities [segments, labels] from a song's stored features. */
export function predictRows(head: LearnedHead, features: Int8Array): Float32Array {
  return predictTable(head.layer, dequantized(features, head));
}

/**
 * Return probabilities of all segments of a song, from those of its audible segments.
 *
 * @param audible rows of `width` probabilities
 * @param base probabilities of the song by the page's model, with zeros for the other segments
 * @returns null if the two do not belong together
 */
export function withSilentRows(
  audible: Float32Array, width: number, base: Float32Array, baseWidth: number,
): Float32Array | null {
  const table = { values: base, width: baseWidth };
  const result = new Float32Array(segmentCount(table) * width);
  let at = 0;
  for (let segment = 0; segment < segmentCount(table); segment++) {
    if (isSilentRow(segmentRow(table, segment))) continue;
    result.set(audible.subarray(at, at + width), segment * width);
    at += width;
  }
  return at === audible.length ? result : null;
}
