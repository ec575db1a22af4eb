/** Calibrate the confidence of songs on held-out predictions, as pocketgenre/training/evaluation/confidence_fit.py. */
import { type ConfidenceModel, modelConfidence, type SongEvidence, songEvidence } from "../rules/confidence.ts";
import { LEARNING } from "../rules/constants.ts";
import { predictSong } from "../rules/prediction.ts";
import { rounded } from "../rules/rounding.ts";
import { minimize } from "./minimize.ts";
import { logLoss } from "./regression.ts";

const QUANTITIES = ["probability", "vote_share", "margin", "segments"] as const;
const EXCERPT_SEGMENTS = [1, 2, 4];
const EXCERPTS_PER_LENGTH = 3;
/** Number of decimals of the weights, and of the threshold. */
const [WEIGHT_DIGITS, THRESHOLD_STEPS] = [4, 1000];
/** C of scikit-learn's regression with one row of weights; with one row for each answer it is half of this. */
const INVERSE_REGULARIZATION = 1;

/** Evidence of a whole song, which is the first, and of excerpts of it. */
interface Excerpts {
  readonly evidence: readonly SongEvidence[];
  readonly isCorrect: readonly boolean[];
}

/**
 * Fit the confidence on held-out predictions.
 *
 * @param tables probabilities [segments, labels] of each song
 * @param songs genre and group of each song
 * @returns null with too few songs or groups, or if all labels are equally correct
 */
export function fitSongConfidence(
  tables: readonly Float32Array[], songs: readonly { genre: string; group: number }[], labels: readonly string[],
): ConfidenceModel | null {
  const groups = songs.map(({ group }) => group);
  if (tables.length < LEARNING.confidence_songs || new Set(groups).size < LEARNING.folds) return null;
  const excerpts = tables.map((table, i) => excerptsOf(table, labels, songs[i]!.genre));
  const correct = excerpts.map(({ isCorrect }) => isCorrect[0]!);
  if (correct.every(Boolean) || !correct.some(Boolean)) return null;
  const folds = groupFolds(groups, LEARNING.folds);
  const models = Array.from({ length: LEARNING.folds }, (_, fold) => fit(excerpts.filter((_, i) => folds[i] !== fold)));
  const confidences = excerpts.map(({ evidence }, i) => modelConfidence(models[folds[i]!]!, evidence[0]!));
  return fit(excerpts, defaultThreshold(confidences, correct));
}

/** Number the fold of each song, so that folds share no group: scikit-learn's GroupKFold. */
export function groupFolds(groups: readonly number[], folds: number): number[] {
  const sizes = new Map<number, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const totals = new Array<number>(folds).fill(0);
  const chosen = new Map<number, number>();
  for (const [group, size] of [...sizes].sort((a, b) => b[1] - a[1] || b[0] - a[0])) {
    const fold = totals.indexOf(Math.min(...totals));
    totals[fold]! += size;
    chosen.set(group, fold);
  }
  return groups.map((group) => chosen.get(group)!);
}

/** Return the lowest threshold at which enough labels are correct; 1 if no threshold reaches that. */
function defaultThreshold(confidences: readonly number[], correct: readonly boolean[]): number {
  const order = [...confidences.keys()].sort((a, b) => confidences[b]! - confidences[a]!);
  let hits = 0, lowest = 1;
  for (const [i, song] of order.entries()) {
    hits += Number(correct[song]);
    if (hits / (i + 1) >= LEARNING.target_accuracy) lowest = confidences[song]!;
  }
  return Math.floor(THRESHOLD_STEPS * lowest) / THRESHOLD_STEPS;
}

function excerptsOf(table: Float32Array, labels: readonly string[], genre: string): Excerpts {
  const width = labels.length;
  const predictions = parts(table, width).map((values) => predictSong({ values, width }, labels));
  return {
    evidence: predictions.map(({ probability, voteShare, margin, votes }) =>
      songEvidence(probability, voteShare, margin, votes.reduce((a, b) => a + b))),
    isCorrect: predictions.map(({ winner }) => winner === genre),
  };
}

function parts(table: Float32Array, width: number): Float32Array[] {
  const segments = table.length / width;
  const excerpts = EXCERPT_SEGMENTS.filter((length) => length < segments).flatMap((length) => {
    const count = Math.min(EXCERPTS_PER_LENGTH, Math.floor(segments / length));
    return Array.from({ length: count }, (_, i) => {
      const start = Math.floor((i * segments) / count);
      return table.subarray(start * width, Math.min(start + length, segments) * width);
    });
  });
  return [table, ...excerpts];
}

/** Fit a logistic regression to standardized evidence. All excerpts of a song together have the weight 1. */
function fit(songs: readonly Excerpts[], threshold = 0): ConfidenceModel {
  const rows = songs.flatMap(({ evidence }) => evidence.map((one) => QUANTITIES.map((name) => one[name])));
  const targets = songs.flatMap(({ isCorrect }) => isCorrect.flatMap((correct) => {
    const weight = INVERSE_REGULARIZATION / 2 / isCorrect.length;
    return correct ? [0, weight] : [weight, 0];
  }));
  const means = QUANTITIES.map((_, i) => mean(rows.map((row) => row[i]!)));
  const deviations = QUANTITIES.map((_, i) => Math.sqrt(mean(rows.map((row) => (row[i]! - means[i]!) ** 2))) || 1);
  const values = Float64Array.from(rows.flatMap((row) => row.map((x, i) => (x - means[i]!) / deviations[i]!)));
  const start = new Float64Array(2 * (QUANTITIES.length + 1));
  const fitted = minimize(logLoss(values, Float64Array.from(targets), QUANTITIES.length, 2, start, false), start);
  const count = QUANTITIES.length;
  const slopes = QUANTITIES.map((_, i) => (fitted[count + i]! - fitted[i]!) / deviations[i]!);
  const intercept = slopes.reduce((rest, slope, i) => rest - slope * means[i]!, fitted[2 * count + 1]! - fitted[2 * count]!);
  const weights = Object.fromEntries(QUANTITIES.map((name, i) => [name, rounded(slopes[i]!, WEIGHT_DIGITS)]));
  return {
    intercept: rounded(intercept, WEIGHT_DIGITS),
    weights: weights as Record<(typeof QUANTITIES)[number], number>,
    min_confidence: threshold,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}
