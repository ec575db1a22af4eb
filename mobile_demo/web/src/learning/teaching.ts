/** Learn a last layer from songs whose genre is known, and test it on songs of other artists, as pocketgenre/learning/teaching.py. */
import type { ConfidenceModel } from "../rules/confidence.ts";
import { LEARNING, NOT_MUSIC } from "../rules/constants.ts";
import { predictSong } from "../rules/prediction.ts";
import { fitSongConfidence } from "./confidence-fit.ts";
import { stratifiedFolds } from "./folds.ts";
import { dotProduct, type Example, fitLayer, type Layer, logitsOf, softmax, widthOf } from "./regression.ts";

/** Every song has a label, however low its confidence. */
const WITHOUT_THRESHOLDS = { vote: "majority", minConfidence: 0, minMargin: -1 } as const;
/** Smallest probability whose logarithm is taken. */
const SMALLEST = 1e-9;
const TEMPERATURES = [0.05, 20] as const;
/** Part of an interval at which golden-section search divides it. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const TEMPERATURE_TOLERANCE = 1e-6;

/** A song whose genre is known. */
export interface TaughtSong {
  /** Features of the segments, without silent ones: [segments, features] */
  readonly features: Float32Array;
  readonly genre: string;
  /** Songs of one artist or album have one number. */
  readonly group: number;
}

/** Result of a cross-validation in which no group is in training and test at once. */
export interface Evaluation {
  /** The tested songs. Genres of which all songs are in one group are not tested. */
  readonly songs: readonly TaughtSong[];
  /** Predicted label of each tested song. */
  readonly predicted: readonly string[];
  /** Probabilities of each tested song: [segments, labels] */
  readonly tables: readonly Float32Array[];
}

export interface Lesson {
  readonly layer: Layer;
  /** Null if no genre has songs of two artists or albums. */
  readonly evaluation: Evaluation | null;
  /** Divisor of the logits. */
  readonly temperature: number;
  /** Null if too few songs were tested. */
  readonly confidence: ConfidenceModel | null;
}

/** Return the labels of a new layer: the old ones, those taught, and NOT_MUSIC at the end, as pocketgenre/learning/cli.py. */
export function labelNames(old: readonly string[], genres: Iterable<string>, onlyTaught: boolean): string[] {
  const taught = [...new Set(genres)].sort(byCodePoint);
  const kept = old.filter((label) => !onlyTaught || taught.includes(label) || label === NOT_MUSIC);
  const labels = [...new Set([...kept, ...taught])];
  return [...labels.filter((label) => label !== NOT_MUSIC), ...labels.filter((label) => label === NOT_MUSIC)];
}

/**
 * Learn a layer, test it, and calibrate it.
 *
 * @param others mean features of songs whose genre is not known
 * @param labels labels of the new layer
 */
export function learn(
  songs: readonly TaughtSong[], others: readonly Float32Array[], old: Layer, labels: readonly string[],
): Lesson {
  const teacher = new Teacher(songs, others, old, labels);
  const layer = teacher.fit(songs);
  const evaluation = crossValidate(songs, teacher);
  if (!evaluation) return { layer, evaluation, temperature: 1, confidence: null };
  const targets = evaluation.songs.map(({ genre }) => labels.indexOf(genre));
  const temperature = fitTemperature(evaluation.tables, targets, labels.length);
  const tables = evaluation.tables.map((table) => scaled(table, temperature, labels.length));
  return {
    layer: { labels, kernel: layer.kernel.map((x) => x / temperature), bias: layer.bias.map((x) => x / temperature) },
    evaluation,
    temperature,
    confidence: fitSongConfidence(tables, evaluation.songs, labels),
  };
}

/** Compute the probabilities [segments, labels] from features [segments, features]. */
export function predictTable(layer: Layer, features: Float32Array): Float32Array {
  const width = widthOf(layer);
  const count = layer.labels.length;
  const kernel = new Float64Array(layer.kernel.length); // [labels, features]
  for (let i = 0; i < width; i++) for (let label = 0; label < count; label++) kernel[label * width + i] = layer.kernel[i * count + label]!;
  const rows = new Float64Array(features);
  const table = new Float32Array((features.length / width) * count);
  const logits = new Float64Array(count);
  for (let from = 0, to = 0; from < rows.length; from += width, to += count) {
    for (let label = 0; label < count; label++) {
      logits[label] = layer.bias[label]! + dotProduct(rows, from, kernel, label * width, width);
    }
    table.set(softmax(logits), to);
  }
  return table;
}

/** Compute the mean of the rows of features [segments, features]. */
export function meanOf(features: Float32Array, width: number): Float32Array {
  const sums = new Float64Array(width);
  for (let at = 0; at < features.length; at += width) for (let i = 0; i < width; i++) sums[i]! += features[at + i]!;
  return Float32Array.from(sums, (sum) => (sum * width) / features.length);
}

/** Fits layers to parts of the songs, and to the old layer's labels of other songs, so that no genre is forgotten. */
class Teacher {
  private readonly means: ReadonlyMap<TaughtSong, Float32Array>;
  private readonly width: number;
  /** Labels of the old layer that the new one has, as positions in both. */
  private readonly kept: readonly (readonly [before: number, after: number])[];
  /** The other songs, whose weights have a sum of 1. */
  private readonly rehearsal: readonly Example[];

  constructor(
    songs: readonly TaughtSong[], others: readonly Float32Array[],
    private readonly old: Layer, readonly labels: readonly string[],
  ) {
    this.width = widthOf(old);
    this.means = new Map(songs.map((song) => [song, meanOf(song.features, this.width)]));
    this.kept = old.labels.flatMap((label, before) => {
      const after = labels.indexOf(label);
      return after < 0 ? [] : [[before, after] as const];
    });
    this.rehearsal = this.kept.length > 1 ? this.rehearse(others) : [];
  }

  fit(songs: readonly TaughtSong[]): Layer {
    const genres = songs.map(({ genre }) => this.labels.indexOf(genre));
    const counts = new Map<number, number>();
    for (const genre of genres) counts.set(genre, (counts.get(genre) ?? 0) + 1);
    const genreWeight = songs.length / counts.size;
    const taught = songs.map((song, i): Example => {
      const weight = LEARNING.evidence * (genreWeight / counts.get(genres[i]!)!);
      return { features: this.means.get(song)!, weights: new Map([[genres[i]!, weight]]) };
    });
    const factor = LEARNING.evidence * LEARNING.rehearsal_weight * genreWeight * this.kept.length;
    const others = this.rehearsal.map(({ features, weights }): Example =>
      ({ features, weights: new Map(Array.from(weights, ([label, weight]) => [label, factor * weight])) }));
    return fitLayer([...taught, ...others], this.start(taught));
  }

  private rehearse(others: readonly Float32Array[]): Example[] {
    let total = 0;
    const examples = others.map((features) => {
      const shares = keptShares(this.old, features, this.kept.map(([before]) => before));
      const weights = new Map<number, number>();
      for (const [i, [, after]] of this.kept.entries()) {
        if (shares[i]! < LEARNING.min_share) continue;
        weights.set(after, shares[i]!);
        total += shares[i]!;
      }
      return { features, weights };
    });
    return examples.map(({ features, weights }) =>
      ({ features, weights: new Map(Array.from(weights, ([label, weight]) => [label, weight / total])) }));
  }

  /**
   * Give each label weights before any is fitted.
   *
   * A label of the old layer keeps its weights. A new one begins as a mixture of old genres, with the shares that the
   * old layer predicts for its songs.
   */
  private start(taught: readonly Example[]): Layer {
    const { old, labels, width } = this;
    const genres = [...old.labels.keys()].filter((i) => old.labels[i] !== NOT_MUSIC); // a new genre is music
    const kernel = new Float32Array(width * labels.length);
    const bias = new Float32Array(labels.length);
    for (const [label, name] of labels.entries()) {
      const mixture = new Float64Array(old.labels.length);
      const known = old.labels.indexOf(name);
      if (known >= 0) mixture[known] = 1;
      const songs = known >= 0 ? [] : taught.filter(({ weights }) => weights.has(label));
      for (const { features } of songs) {
        const shares = keptShares(old, features, genres);
        for (const [i, genre] of genres.entries()) mixture[genre]! += shares[i]! / songs.length;
      }
      for (const [before, share] of mixture.entries()) {
        if (share === 0) continue;
        bias[label]! += share * old.bias[before]!;
        for (let i = 0; i < width; i++) kernel[i * labels.length + label]! += share * old.kernel[i * mixture.length + before]!;
      }
    }
    return { labels, kernel, bias };
  }
}

/** Return the probabilities of some of a layer's labels, whose sum is 1. */
function keptShares(layer: Layer, features: Float32Array, kept: readonly number[]): Float64Array {
  const logits = logitsOf(layer, features);
  return softmax(Float64Array.from(kept, (label) => logits[label]!));
}

function crossValidate(songs: readonly TaughtSong[], teacher: Teacher): Evaluation | null {
  const groups = new Map<string, Set<number>>();
  for (const { genre, group } of songs) groups.set(genre, (groups.get(genre) ?? new Set()).add(group));
  const tested = songs.filter(({ genre }) => groups.get(genre)!.size > 1);
  if (tested.length < 2) return null;
  const alone = songs.filter(({ genre }) => groups.get(genre)!.size === 1);
  const largest = Math.max(...Array.from(groups.keys(), (name) => tested.filter(({ genre }) => genre === name).length));
  const count = Math.min(LEARNING.folds, new Set(tested.map(({ group }) => group)).size, largest);
  const folds = stratifiedFolds(tested.map(({ genre }) => genre), tested.map(({ group }) => group), count);
  const tables = new Map<TaughtSong, Float32Array>();
  for (let fold = 0; fold < count; fold++) {
    const layer = teacher.fit([...tested.filter((_, i) => folds[i] !== fold), ...alone]);
    for (const [i, song] of tested.entries()) if (folds[i] === fold) tables.set(song, predictTable(layer, song.features));
  }
  const width = teacher.labels.length;
  const predicted = tested.map((song) =>
    predictSong({ values: tables.get(song)!, width }, teacher.labels, WITHOUT_THRESHOLDS).winner);
  return { songs: tested, predicted, tables: tested.map((song) => tables.get(song)!) };
}

/**
 * Find the divisor of the logits that minimises the log loss, as pocketgenre/training/evaluation/calibration.py.
 *
 * @param tables probabilities [segments, labels] of each song
 * @param targets label of each song
 */
export function fitTemperature(tables: readonly Float32Array[], targets: readonly number[], width: number): number {
  const rows = tables.flatMap((table, song) => calibrationRows(table, width).map((logits) => ({ logits, target: targets[song]! })));
  const loss = (logTemperature: number) => {
    const temperature = Math.exp(logTemperature);
    return rows.reduce((sum, { logits, target }) => {
      const divided = logits.map((x) => x / temperature);
      const highest = divided.reduce((a, b) => Math.max(a, b));
      const total = divided.reduce((all, x) => all + Math.exp(x - highest), 0);
      return sum + highest + Math.log(total) - divided[target]!;
    }, 0);
  };
  let [low, high] = TEMPERATURES.map(Math.log) as [number, number];
  while (high - low > TEMPERATURE_TOLERANCE) {
    const [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
    if (loss(left) < loss(right)) high = right;
    else low = left;
  }
  return Math.exp((low + high) / 2);
}

/** Return the logits of some segments of a song, spread over it. */
function calibrationRows(table: Float32Array, width: number): Float64Array[] {
  const segments = table.length / width;
  const count = Math.min(segments, LEARNING.calibration_segments);
  return Array.from({ length: count }, (_, i) => {
    const segment = count === 1 ? 0 : Math.floor((i * (segments - 1)) / (count - 1));
    return logitsFrom(table.subarray(segment * width, (segment + 1) * width));
  });
}

function scaled(table: Float32Array, temperature: number, width: number): Float32Array {
  const result = new Float32Array(table.length);
  for (let at = 0; at < table.length; at += width) {
    result.set(softmax(logitsFrom(table.subarray(at, at + width)).map((x) => x / temperature)), at);
  }
  return result;
}

function logitsFrom(probabilities: Float32Array): Float64Array {
  return Float64Array.from(probabilities, (p) => Math.log(Math.max(p, SMALLEST)));
}

/** Compare as Python does. */
function byCodePoint(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
    if (difference) return difference;
  }
  return left.length - right.length;
}
