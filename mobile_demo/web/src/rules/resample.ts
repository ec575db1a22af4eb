/**
 * Resample a song to a model's sample rate with a windowed sinc filter.
 *
 * Chromium's own resampler is coarse: it changes the predicted label of 3 to 4 % of the segments
 * (docs/phone-page.md). This filter is as flat and as steep as soxr's HQ, which the Python package
 * uses, as far as it affects predictions.
 */

/** Share of the lower Nyquist frequency up to which the filter is flat, as in soxr's HQ. */
const PASSBAND = 0.913;
const STOPBAND_DB = 80;

/** A resampler between two rates, in Hz, with its table of filters. */
export class Resampler {
  readonly up: number;
  readonly down: number;
  readonly half: number;
  readonly taps: number;
  readonly filters: Float32Array;

  constructor(from: number, to: number) {
    const common = gcd(from, to);
    this.up = to / common;
    this.down = from / common;
    const edge = Math.min(1, to / from); // stopband edge, as a share of the input's Nyquist frequency
    const width = Math.PI * edge * (1 - PASSBAND);
    this.half = 2 * Math.ceil((STOPBAND_DB - 8) / (2.285 * width) / 4); // even, for a number of taps divisible by 4
    this.taps = 2 * this.half;
    this.filters = makeFilters(this.up, this.half, (edge * (1 + PASSBAND)) / 2);
  }

  /** Start a song, with silence before it. */
  stream(): ResamplerStream {
    return new ResamplerStream(this);
  }
}

/** A song that is resampled slice by slice; the result does not depend on where the slices end. */
export class ResamplerStream {
  private input: Float32Array;
  /** Index into `input` and position between two samples, in 1 / `up`, of the next output. */
  private start = 0;
  private phase = 0;
  private received = 0;
  private produced = 0;

  constructor(private readonly resampler: Resampler) {
    this.input = new Float32Array(resampler.half - 1);
  }

  /** Resample a slice, up to its last samples, which need those that follow. */
  push(samples: Float32Array): Float32Array {
    this.received += samples.length;
    if (this.resampler.up === this.resampler.down) return samples;
    return this.resample(samples, Infinity);
  }

  /** Resample the rest of the song, with silence after it. */
  finish(): Float32Array {
    const { up, down, half } = this.resampler;
    if (up === down) return new Float32Array(0);
    return this.resample(new Float32Array(half + 1), Math.ceil((this.received * up) / down) - this.produced);
  }

  private resample(samples: Float32Array, limit: number): Float32Array {
    const { up, down, taps, filters } = this.resampler;
    const input = new Float32Array(this.input.length + samples.length);
    input.set(this.input);
    input.set(samples, this.input.length);
    const complete = Math.ceil(((input.length - taps - this.start + 1) * up - this.phase) / down);
    const out = new Float32Array(Math.max(0, Math.min(complete, limit)));
    let { start, phase } = this;
    for (let n = 0; n < out.length; n++) {
      const filter = phase * taps;
      // Four independent sums run in parallel on the processor.
      let a = 0, b = 0, c = 0, d = 0;
      for (let k = 0; k < taps; k += 4) {
        a += input[start + k]! * filters[filter + k]!;
        b += input[start + k + 1]! * filters[filter + k + 1]!;
        c += input[start + k + 2]! * filters[filter + k + 2]!;
        d += input[start + k + 3]! * filters[filter + k + 3]!;
      }
      out[n] = a + b + c + d;
      phase += down;
      start += Math.floor(phase / up);
      phase %= up;
    }
    const used = Math.min(start, input.length);
    this.input = input.slice(used);
    this.start = start - used;
    this.phase = phase;
    this.produced += out.length;
    return out;
  }
}

/** Compute 2 * half weights that sum to one, for each of `up` positions between two samples. */
function makeFilters(up: number, half: number, cutoff: number): Float32Array {
  const taps = 2 * half;
  const beta = 0.1102 * (STOPBAND_DB - 8.7);
  const table = new Float32Array(up * taps);
  for (let phase = 0; phase < up; phase++) {
    const row = Float64Array.from({ length: taps }, (_, k) => {
      const t = k - (half - 1) - phase / up;
      const x = t / half;
      return sinc(cutoff * t) * bessel(beta * Math.sqrt(Math.max(0, 1 - x * x)));
    });
    const sum = row.reduce((a, b) => a + b, 0);
    table.set(row.map((weight) => weight / sum), phase * taps);
  }
  return table;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Compute the modified Bessel function of the first kind and order zero, for Kaiser's window. */
function bessel(x: number): number {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
