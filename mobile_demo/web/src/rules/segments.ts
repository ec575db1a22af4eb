/** Mix a song to mono and cut it into segments, as pocketgenre/audio/segments.py. */
import { AudioError } from "../errors.ts";
import { MIN_SONG_SECONDS } from "./constants.ts";
import type { ModelCard } from "./model-card.ts";

/** Average the channels of a song. */
export function mixToMono(channels: readonly Float32Array[]): Float32Array {
  const first = channels[0]!;
  if (channels.length === 1) return first;
  const mean = new Float32Array(first.length);
  for (const channel of channels) for (let i = 0; i < mean.length; i++) mean[i]! += channel[i]!;
  for (let i = 0; i < mean.length; i++) mean[i]! /= channels.length;
  return mean;
}

/** Cuts a song into consecutive segments while its samples arrive, up to the first non-finite sample. */
export class SegmentCutter {
  private readonly segment: Float32Array;
  private filled = 0;
  private count = 0;
  private damaged = false;

  constructor(private readonly card: ModelCard) {
    this.segment = new Float32Array(card.front_end.segment_samples);
  }

  /** True if a sample is not finite; the song ends before it. */
  get isDamaged(): boolean {
    return this.damaged;
  }

  /** Length of the song so far, with the remainder after the last segment. */
  get seconds(): number {
    return (this.count * this.segment.length + this.filled) / this.card.front_end.sample_rate;
  }

  /** Return the segments that these samples complete. */
  push(samples: Float32Array): Float32Array[] {
    if (this.damaged) return [];
    const invalid = samples.findIndex((sample) => !Number.isFinite(sample));
    this.damaged = invalid >= 0;
    const valid = this.damaged ? samples.subarray(0, invalid) : samples;
    const complete: Float32Array[] = [];
    for (let at = 0; at < valid.length; ) {
      const part = valid.subarray(at, at + this.segment.length - this.filled);
      this.segment.set(part, this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled < this.segment.length) break;
      complete.push(this.segment.slice());
      this.count += 1;
      this.filled = 0;
    }
    return complete;
  }

  /**
   * Drop the remainder at the end; return a song shorter than a segment, repeated to fill one.
   *
   * @throws AudioError if there is no segment because the song is damaged, or shorter than MIN_SONG_SECONDS
   */
  finish(): Float32Array[] {
    if (this.count > 0) return [];
    if (this.damaged) throw new AudioError("damaged: some samples are not finite");
    if (this.seconds < MIN_SONG_SECONDS) {
      const seconds = (Math.floor(this.seconds * 100) / 100).toFixed(2); // 0.999 s is not shown as 1.00 s
      throw new AudioError(`too short: ${seconds} s of audio, at least ${MIN_SONG_SECONDS} s are needed`);
    }
    return [this.segment.map((_, i) => this.segment[i % this.filled]!)];
  }
}
