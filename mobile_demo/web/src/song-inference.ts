/** Classify a song while its samples arrive: resample, cut, and run the model on each segment. */
import type { MonoSlice } from "./audio-stream.ts";
import { SILENCE_DECIBELS } from "./rules/constants.ts";
import type { ModelCard } from "./rules/model-card.ts";
import { Resampler, type ResamplerStream } from "./rules/resample.ts";
import type { Excerpt } from "./rules/sampling.ts";
import { SegmentCutter } from "./rules/segments.ts";
import { level, silentSegments } from "./rules/silence.ts";

export interface SegmentResult {
  readonly probabilities: Float32Array;
  /** Inputs of the model's last layer; null if that layer cannot be learned. */
  readonly features: Int8Array | null;
}

/** Run the model on a segment. */
export type RunModel = (segment: Float32Array) => Promise<SegmentResult>;

export interface InferenceResult {
  /** One row of probabilities per segment; zeros for a segment that is silent or was not classified. */
  readonly probabilities: Float32Array;
  /** One row of features per segment whose probabilities are not zeros; null if the model has none. */
  readonly features: Int8Array | null;
  /** True if samples are not finite; the song ends before them. */
  readonly isDamaged: boolean;
  /** Length of the classified audio. */
  readonly seconds: number;
}

interface Row {
  /** Index of the segment in the song. */
  readonly segment: number;
  /** In dB of full scale. */
  readonly level: number;
  /** Null for a silent segment. */
  readonly result: SegmentResult | null;
}

/** A table of filters takes 0.1 s to compute, and most songs have one of two rates. */
const resamplers = new Map<string, Resampler>();

export class SongInference {
  private readonly rows: Row[] = [];
  private excerpt: Excerpt = { start: 0, count: Infinity };
  private cutter: SegmentCutter;
  private resampler: ResamplerStream | null = null;
  private sampleRate = 0;
  private cut = 0;
  private seconds = 0;
  private isDamaged = false;

  constructor(private readonly card: ModelCard, private readonly run: RunModel) {
    this.cutter = new SegmentCutter(card);
  }

  /** Start an excerpt; without this call, the whole song is one. */
  async start(excerpt: Excerpt): Promise<void> {
    await this.endExcerpt();
    this.excerpt = excerpt;
    this.cutter = new SegmentCutter(this.card);
    this.resampler = null;
    this.cut = 0;
  }

  async push({ samples, sampleRate }: MonoSlice): Promise<void> {
    if (!this.resampler || sampleRate !== this.sampleRate) {
      await this.flush();
      this.sampleRate = sampleRate;
      this.resampler = resamplerStream(sampleRate, this.card.front_end.sample_rate);
    }
    await this.classify(this.cutter.push(this.resampler.push(samples)));
  }

  /**
   * Return the result of the whole song.
   *
   * @param segments number of segments of the song, if only excerpts were classified
   * @throws AudioError if there is no audible segment
   */
  async finish(segments: number | null): Promise<InferenceResult> {
    await this.flush();
    if (this.rows.length === 0) await this.classify(this.cutter.finish());
    await this.endExcerpt();
    const silent = silentSegments(this.rows.map((row) => row.level));
    const width = this.card.labels.length;
    const probabilities = new Float32Array(width * (segments ?? this.rows.length));
    const features: Int8Array[] = [];
    for (const [i, { result, segment }] of this.rows.entries()) {
      if (silent[i] || !result) continue;
      probabilities.set(result.probabilities, segment * width);
      if (result.features) features.push(result.features);
    }
    return { probabilities, features: joined(features), isDamaged: this.isDamaged, seconds: this.seconds };
  }

  private async flush(): Promise<void> {
    if (this.resampler) await this.classify(this.cutter.push(this.resampler.finish()));
    this.resampler = null;
  }

  private async endExcerpt(): Promise<void> {
    await this.flush();
    const { sample_rate: rate, segment_samples: size } = this.card.front_end;
    this.seconds += Math.min(this.cutter.seconds, (this.excerpt.count * size) / rate);
    this.isDamaged ||= this.cutter.isDamaged;
  }

  private async classify(segments: readonly Float32Array[]): Promise<void> {
    for (const segment of segments) {
      if (this.cut >= this.excerpt.count) return;
      const decibels = level(segment);
      // Segments far below the loudest one get zeros as well, but it may still follow.
      const result = decibels < SILENCE_DECIBELS ? null : await this.run(segment);
      this.rows.push({ segment: this.excerpt.start + this.cut, level: decibels, result });
      this.cut += 1;
    }
  }
}

function joined(rows: readonly Int8Array[]): Int8Array | null {
  const width = rows[0]?.length;
  if (width === undefined) return null;
  const result = new Int8Array(rows.length * width);
  for (const [i, row] of rows.entries()) result.set(row, i * width);
  return result;
}

function resamplerStream(from: number, to: number): ResamplerStream {
  const key = `${from} to ${to}`;
  const resampler = resamplers.get(key) ?? new Resampler(from, to);
  resamplers.set(key, resampler);
  return resampler.stream();
}
