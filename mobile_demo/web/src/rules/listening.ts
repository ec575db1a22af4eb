/** From samples to rows of probabilities, as mobile_demo/classifier.py. */
import type { ModelCard } from "./card.ts";
import { AudioError } from "./errors.ts";
import { cutSegments } from "./segments.ts";

/** A song that never leaves this peak, one step of 16 bits, holds nothing to judge. */
export const SILENCE = 2 ** -15;

/** Mean over channels. */
export function mixDown(channels: readonly Float32Array[]): Float32Array {
  const first = channels[0]!;
  if (channels.length === 1) return first;
  const mean = new Float32Array(first.length);
  for (const channel of channels) for (let i = 0; i < mean.length; i++) mean[i]! += channel[i]!;
  for (let i = 0; i < mean.length; i++) mean[i]! /= channels.length;
  return mean;
}

/**
 * The segments of a song; where samples are not numbers it ends, as where a file breaks.
 *
 * @throws AudioError there is no segment, or nothing but silence.
 */
export function audibleSegments(samples: Float32Array, card: ModelCard): Float32Array[] {
  const bad = samples.findIndex((sample) => !Number.isFinite(sample));
  const good = bad < 0 ? samples : samples.subarray(0, bad);
  if (bad >= 0 && good.length < card.front_end.segment_samples) {
    throw new AudioError("damaged: some samples are not numbers");
  }
  const segments = cutSegments(good, card);
  // Of the segments alone: what comes after the last one is not heard.
  if (segments.every(isSilent)) throw new AudioError("there is only silence in it");
  return segments;
}

function isSilent(segment: Float32Array): boolean {
  return segment.every((sample) => Math.abs(sample) <= SILENCE);
}
