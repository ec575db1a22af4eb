/** Find the silent segments of a song, which have no vote, as pocketgenre/audio/silence.py. */
import { AudioError } from "../errors.ts";
import { SILENCE_DECIBELS, SILENCE_RANGE_DECIBELS } from "./constants.ts";

const SMALLEST_POWER = 1e-20;

/** Compute the level of a segment: its root mean square without the mean, in dB of full scale. */
export function level(segment: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < segment.length; i++) sum += segment[i]!;
  const mean = sum / segment.length;
  let power = 0;
  for (let i = 0; i < segment.length; i++) power += (segment[i]! - mean) ** 2;
  return 10 * Math.log10(Math.max(power / segment.length, SMALLEST_POWER));
}

/** Compute the level below which segments of a song are silent, in dB of full scale. */
export function silenceThreshold(levels: readonly number[]): number {
  const loudest = levels.reduce((a, b) => Math.max(a, b));
  return Math.max(SILENCE_DECIBELS, loudest - SILENCE_RANGE_DECIBELS);
}

/**
 * Return for each level of a song's segments whether the segment is silent.
 *
 * @throws AudioError if all are
 */
export function silentSegments(levels: readonly number[]): boolean[] {
  // The remainder after the last segment is not classified, so sound in it does not count.
  if (levels.every((one) => one < SILENCE_DECIBELS)) throw new AudioError("it holds only silence");
  const threshold = silenceThreshold(levels);
  return levels.map((one) => one < threshold);
}
