/** Cut a song's samples into the 3 s segments that the network hears, as mobile_demo/segments.py. */
import { AudioError } from "./errors.ts";
import type { ModelCard } from "./card.ts";
import { rounded } from "./rounding.ts";

/** A song shorter than a segment is repeated to fill one, unless it is shorter than this. */
export const SHORTEST_SECONDS = 1.0;

/**
 * Consecutive segments of a song, each a view of `samples`; a rest shorter than one is dropped.
 *
 * @throws AudioError the song lasts less than SHORTEST_SECONDS.
 */
export function cutSegments(samples: Float32Array, card: ModelCard): Float32Array[] {
  const { segment_samples: size, sample_rate: rate } = card.front_end;
  const whole = Math.floor(samples.length / size);
  if (whole > 0) {
    return Array.from({ length: whole }, (_, i) => samples.subarray(i * size, (i + 1) * size));
  }
  if (samples.length < SHORTEST_SECONDS * rate) {
    const seconds = rounded(samples.length / rate, 2).toFixed(2);
    throw new AudioError(
      `too short: ${seconds} s of audio, at least ${SHORTEST_SECONDS} s are needed`,
    );
  }
  return [Float32Array.from({ length: size }, (_, i) => samples[i % samples.length]!)];
}
