/** What a song is called and how sure that is, as mobile_demo/scanner/label.py. */
import { type Rule, type Table, VOTES } from "./vote.ts";

/** What a song is called about which the network is in doubt. */
export const UNCERTAIN = "uncertain";

const TOP = 3;

/** Below which a song is not called anything. */
export interface Thresholds {
  /** Least share of the votes, or of the probability, by the rule of the vote. */
  readonly confidence: number;
  /** Least distance of the genre's mean probability to the next one's. */
  readonly margin: number;
}

export const NO_THRESHOLDS: Thresholds = { confidence: 0, margin: -1 };

export interface SongLabel {
  /** The winner of the vote, or UNCERTAIN. */
  readonly genre: string;
  readonly confidence: number;
  /** The winner's mean probability. */
  readonly probability: number;
  /** That less the best of the others; negative where vote and probabilities disagree. */
  readonly margin: number;
  /** The three most probable genres with their mean probabilities. */
  readonly top: readonly (readonly [string, number])[];
  /** Number of segments for each genre, and mean probability, in the order of the labels. */
  readonly votes: readonly number[];
  readonly probabilities: readonly number[];
  readonly segments: number;
}

/** Label a song from what the network says of its segments, of which there is at least one. */
export function labelSong(
  table: Table,
  labels: readonly string[],
  rule: Rule = "majority",
  thresholds: Thresholds = NO_THRESHOLDS,
): SongLabel {
  const vote = VOTES[rule](table);
  const ranked = vote.probabilities
    .map((p, genre) => [genre, p] as const)
    .sort((a, b) => b[1] - a[1]);
  const probability = vote.probabilities[vote.winner]!;
  const margin = probability - (ranked.find(([genre]) => genre !== vote.winner)?.[1] ?? 0);
  const sure = vote.confidence >= thresholds.confidence && margin >= thresholds.margin;
  return {
    genre: sure ? labels[vote.winner]! : UNCERTAIN,
    confidence: vote.confidence,
    probability,
    margin,
    top: ranked.slice(0, TOP).map(([genre, p]) => [labels[genre]!, p] as const),
    votes: vote.votes,
    probabilities: vote.probabilities,
    segments: vote.segments,
  };
}
