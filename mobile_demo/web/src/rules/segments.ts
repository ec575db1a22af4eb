/** Mix a song to mono and cut it into segments, as pocketgenre/audio/segments.py. */
import { AudioError } from "../errors.ts";
import { MIN_SONG_SECONDS, SILENCE_DECIBELS } from "./constants.ts";
import type { ModelCard } from "./model-card.ts";
import { rounded } from "./rounding.ts";
import { level, silenceThreshold } from "./silence.ts";

/** A song, cut into segments. */
export interface SongSegments {
  readonly segments: readonly Float32Array[];
  /** For each segment, whether it is silent and has no vote. */
  readonly silent: readonly boolean[];
  /** True if samples in the song are not finite; the segments end before them. */
  readonly isDamaged: boolean;
  /** Length of the song up to there, with the remainder after the last segment. */
  readonly seconds: number;
}

/** Average the channels of a song. */
export function mixToMono(channels: readonly Float32Array[]): Float32Array {
  const first = channels[0]!;
  if (channels.length === 1) return first;
  const mean = new Float32Array(first.length);
  for (const channel of channels) for (let i = 0; i < mean.length; i++) mean[i]! += channel[i]!;
  for (let i = 0; i < mean.length; i++) mean[i]! /= channels.length;
  return mean;
}

/**
 * Cut a song into segments, up to its first non-finite sample, and find the silent ones.
 *
 * @throws AudioError if there is no segment, or only silence
 */
export function songSegments(samples: Float32Array, card: ModelCard): SongSegments {
  const invalid = samples.findIndex((sample) => !Number.isFinite(sample));
  const valid = invalid < 0 ? samples : samples.subarray(0, invalid);
  if (invalid >= 0 && valid.length < card.front_end.segment_samples) {
    throw new AudioError("damaged: some samples are not finite");
  }
  const segments = cutSegments(valid, card);
  const levels = segments.map(level);
  // The remainder after the last segment is not classified, so sound in it does not count.
  if (levels.every((one) => one < SILENCE_DECIBELS)) throw new AudioError("it holds only silence");
  const threshold = silenceThreshold(levels);
  const seconds = valid.length / card.front_end.sample_rate;
  return { segments, silent: levels.map((one) => one < threshold), isDamaged: invalid >= 0, seconds };
}

/**
 * Return consecutive segments, each a view of `samples`; a remainder at the end is dropped.
 *
 * @throws AudioError if the song is shorter than MIN_SONG_SECONDS
 */
export function cutSegments(samples: Float32Array, card: ModelCard): Float32Array[] {
  const { segment_samples: size, sample_rate: rate } = card.front_end;
  const count = Math.floor(samples.length / size);
  if (count > 0) {
    return Array.from({ length: count }, (_, i) => samples.subarray(i * size, (i + 1) * size));
  }
  if (samples.length < MIN_SONG_SECONDS * rate) {
    const seconds = rounded(samples.length / rate, 2).toFixed(2);
    throw new AudioError(`too short: ${seconds} s of audio, at least ${MIN_SONG_SECONDS} s are needed`);
  }
  return [Float32Array.from({ length: size }, (_, i) => samples[i % samples.length]!)];
}
