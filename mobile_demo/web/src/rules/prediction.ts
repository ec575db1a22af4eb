/** Predict a song's genre from its segments, as pocketgenre/prediction.py. */
import { type ConfidenceModel, modelConfidence, songEvidence } from "./confidence.ts";
import { NOT_MUSIC, TOP_GENRES, UNCERTAIN } from "./constants.ts";

/** "majority": each segment has one vote; "probability": the mean probability decides. */
export type VoteRule = "majority" | "probability";

/** Label probabilities of a song's segments: rows of `width` values, in time order; zeros for a silent segment. */
export interface SegmentProbabilities {
  readonly values: Float32Array;
  readonly width: number;
}

export interface LabelConfig {
  readonly vote: VoteRule;
  /** Confidence below which a song is UNCERTAIN; null for the threshold of the model. */
  readonly minConfidence: number | null;
  /** Margin below which a song is UNCERTAIN. */
  readonly minMargin: number;
}

export const DEFAULT_LABEL_CONFIG: LabelConfig = { vote: "majority", minConfidence: null, minMargin: -1 };

export interface SongPrediction {
  /** The winner, or UNCERTAIN below the thresholds. */
  readonly genre: string;
  /** The label that won the vote, whatever the thresholds. */
  readonly winner: string;
  /**
   * Probability that the winner is correct; for a model that is not calibrated, the vote share or
   * the mean probability, by the vote rule.
   */
  readonly confidence: number;
  /** The winner's share of the votes. */
  readonly voteShare: number;
  /** The winner's mean probability. */
  readonly probability: number;
  /** `probability` minus the best other label's; negative if votes and probabilities disagree. */
  readonly margin: number;
  /** The three most probable labels with their mean probabilities. */
  readonly top: readonly (readonly [genre: string, probability: number])[];
  /** Number of segments whose most probable label it is, in the order of the labels. */
  readonly votes: readonly number[];
  /** Mean probability per label over the segments that are not silent, in the order of the labels. */
  readonly probabilities: readonly number[];
  /** The model's labels. */
  readonly labels: readonly string[];
  /** Number of segments, silent ones included. */
  readonly segments: number;
  readonly segmentProbabilities: SegmentProbabilities;
  readonly secondsPerSegment: number;
}

/**
 * Predict a song's genre.
 *
 * A song is NOT_MUSIC if more than half of its votes are for that label (rule "majority"), or if
 * its mean probability is above one half (rule "probability"). Otherwise one of the genres wins.
 *
 * @param table probabilities of the segments, at least one of which is not silent
 * @param confidenceModel calibration of the confidence; undefined if there is none
 */
export function predictSong(
  table: SegmentProbabilities,
  labels: readonly string[],
  config: LabelConfig = DEFAULT_LABEL_CONFIG,
  secondsPerSegment = 0,
  confidenceModel?: ConfidenceModel | null,
): SongPrediction {
  const { votes, voters, probabilities } = summarize(table);
  const winner = findWinner(votes, probabilities, labels, config.vote);
  const ranked = probabilities.map((p, label) => [label, p] as const).sort((a, b) => b[1] - a[1]);
  const probability = probabilities[winner]!;
  const voteShare = votes[winner]! / voters;
  const margin = probability - (ranked.find(([label]) => label !== winner)?.[1] ?? 0);
  const confidence = confidenceModel
    ? modelConfidence(confidenceModel, songEvidence(probability, voteShare, margin, voters))
    : config.vote === "majority" ? voteShare : probability;
  const minConfidence = config.minConfidence ?? confidenceModel?.min_confidence ?? 0;
  const certain = confidence >= minConfidence && margin >= config.minMargin;
  return {
    genre: certain ? labels[winner]! : UNCERTAIN,
    winner: labels[winner]!,
    confidence,
    voteShare,
    probability,
    margin,
    top: ranked.slice(0, TOP_GENRES).map(([label, p]) => [labels[label]!, p] as const),
    votes,
    probabilities,
    labels,
    segments: segmentCount(table),
    segmentProbabilities: table,
    secondsPerSegment,
  };
}

export function segmentCount(table: SegmentProbabilities): number {
  return table.values.length / table.width;
}

/** Return the probabilities of a segment, a view of the table. */
export function segmentRow(table: SegmentProbabilities, segment: number): Float32Array {
  return table.values.subarray(segment * table.width, (segment + 1) * table.width);
}

/** Return true if a segment's probabilities are those of a silent one, which are zeros. */
export function isSilentRow(row: Float32Array): boolean {
  return row.every((value) => value === 0);
}

/** Return the index of the first maximum. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Count votes and compute mean probabilities over the segments that are not silent. */
function summarize(table: SegmentProbabilities): { votes: number[]; voters: number; probabilities: number[] } {
  const votes = new Array<number>(table.width).fill(0);
  const sums = new Array<number>(table.width).fill(0);
  let voters = 0;
  for (let segment = 0; segment < segmentCount(table); segment++) {
    const row = segmentRow(table, segment);
    if (isSilentRow(row)) continue;
    voters += 1;
    votes[argmax(row)]! += 1;
    row.forEach((value, label) => (sums[label]! += value));
  }
  return { votes, voters, probabilities: sums.map((sum) => sum / voters) };
}

function findWinner(
  votes: readonly number[], means: readonly number[], labels: readonly string[], rule: VoteRule,
): number {
  const shares = rule === "majority" ? votes : means;
  const half = rule === "majority" ? votes.reduce((a, b) => a + b) / 2 : 0.5;
  const notMusic = labels.indexOf(NOT_MUSIC);
  if (notMusic >= 0 && (shares[notMusic]! > half || labels.length === 1)) return notMusic;
  const genreShares = shares.map((share, label) => (label === notMusic ? -1 : share));
  return rule === "majority" ? mostVoted(genreShares, means) : argmax(genreShares);
}

/** Return the index of the most votes; the larger mean probability breaks a tie. */
function mostVoted(votes: readonly number[], means: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < votes.length; i++) {
    const difference = votes[i]! - votes[best]! || means[i]! - means[best]!;
    if (difference >= 0) best = i;
  }
  return best;
}
