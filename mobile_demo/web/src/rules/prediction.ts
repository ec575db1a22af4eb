/** Predict a song's genre from its segments, as pocketgenre/prediction.py. */
import { TOP_GENRES, UNCERTAIN } from "./constants.ts";

/** "majority": each segment has one vote; "probability": the mean probability decides. */
export type VoteRule = "majority" | "probability";

/** Genre probabilities of a song's segments: rows of `width` values, in time order. */
export interface SegmentProbabilities {
  readonly values: Float32Array;
  readonly width: number;
}

export interface LabelConfig {
  readonly vote: VoteRule;
  /** Confidence below which a song is UNCERTAIN. */
  readonly minConfidence: number;
  /** Margin below which a song is UNCERTAIN. */
  readonly minMargin: number;
}

export const DEFAULT_LABEL_CONFIG: LabelConfig = { vote: "majority", minConfidence: 0, minMargin: -1 };

export interface SongPrediction {
  /** The most voted genre, or UNCERTAIN. */
  readonly genre: string;
  /** The genre's share of the votes, or its mean probability, by the vote rule. */
  readonly confidence: number;
  /** The genre's mean probability. */
  readonly probability: number;
  /** `probability` minus the best other genre's; negative if votes and probabilities disagree. */
  readonly margin: number;
  /** The three most probable genres with their mean probabilities. */
  readonly top: readonly (readonly [genre: string, probability: number])[];
  /** Number of segments per genre, in the order of the labels. */
  readonly votes: readonly number[];
  /** Mean probability per genre, in the order of the labels. */
  readonly probabilities: readonly number[];
  /** The model's genres. */
  readonly labels: readonly string[];
  readonly segments: number;
  readonly segmentProbabilities: SegmentProbabilities;
  readonly secondsPerSegment: number;
}

/**
 * Predict a song's genre.
 *
 * @param table probabilities of at least one segment
 */
export function predictSong(
  table: SegmentProbabilities,
  labels: readonly string[],
  config: LabelConfig = DEFAULT_LABEL_CONFIG,
  secondsPerSegment = 0,
): SongPrediction {
  const segments = segmentCount(table);
  const votes = countVotes(table);
  const sums = sumColumns(table);
  const probabilities = sums.map((sum) => sum / segments);
  const winner = config.vote === "majority" ? mostVoted(votes, sums) : argmax(sums);
  const confidence = (config.vote === "majority" ? votes : sums)[winner]! / segments;
  const ranked = probabilities.map((p, genre) => [genre, p] as const).sort((a, b) => b[1] - a[1]);
  const probability = probabilities[winner]!;
  const margin = probability - (ranked.find(([genre]) => genre !== winner)?.[1] ?? 0);
  const certain = confidence >= config.minConfidence && margin >= config.minMargin;
  return {
    genre: certain ? labels[winner]! : UNCERTAIN,
    confidence,
    probability,
    margin,
    top: ranked.slice(0, TOP_GENRES).map(([genre, p]) => [labels[genre]!, p] as const),
    votes,
    probabilities,
    labels,
    segments,
    segmentProbabilities: table,
    secondsPerSegment,
  };
}

export function segmentCount(table: SegmentProbabilities): number {
  return table.values.length / table.width;
}

/** Return the index of the first maximum. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Return the index of the most votes; the larger probability breaks a tie. */
function mostVoted(votes: readonly number[], sums: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < votes.length; i++) {
    const difference = votes[i]! - votes[best]! || sums[i]! - sums[best]!;
    if (difference >= 0) best = i;
  }
  return best;
}

function countVotes(table: SegmentProbabilities): number[] {
  const votes = new Array<number>(table.width).fill(0);
  for (let start = 0; start < table.values.length; start += table.width) {
    votes[argmax(table.values.subarray(start, start + table.width))]! += 1;
  }
  return votes;
}

function sumColumns(table: SegmentProbabilities): number[] {
  const sums = new Array<number>(table.width).fill(0);
  table.values.forEach((value, i) => (sums[i % table.width]! += value));
  return sums;
}
