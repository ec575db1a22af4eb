/** Estimate the probability that a song's label is correct, as pocketgenre/confidence.py. */
import { CONFIDENCE_MAX_SEGMENTS } from "./constants.ts";

/** A mean of half-precision values has no more digits. */
const MIN_PROBABILITY = 1e-3;

/** Quantities of a song from which its confidence is computed. */
export interface SongEvidence {
  /** Log-odds of the label's mean probability. */
  readonly probability: number;
  /** Share of the votes for the label. */
  readonly vote_share: number;
  /** Mean probability of the label minus the highest of any other. */
  readonly margin: number;
  /** Natural logarithm of the number of votes, of at most CONFIDENCE_MAX_SEGMENTS. */
  readonly segments: number;
}

/** Logistic regression of a model card, from a song's evidence to the probability that its label is correct. */
export interface ConfidenceModel {
  readonly intercept: number;
  readonly weights: SongEvidence;
  /** Confidence below which a label is uncertain, unless the user chooses otherwise. */
  readonly min_confidence: number;
}

/** Compute the evidence from the label's mean probability, its share of the votes, its margin and the number of votes. */
export function songEvidence(probability: number, voteShare: number, margin: number, votes: number): SongEvidence {
  const p = Math.min(Math.max(probability, MIN_PROBABILITY), 1 - MIN_PROBABILITY);
  return {
    probability: Math.log(p / (1 - p)),
    vote_share: voteShare,
    margin,
    segments: Math.log(Math.min(votes, CONFIDENCE_MAX_SEGMENTS)),
  };
}

/** Compute the probability that a label is correct, in (0, 1). */
export function modelConfidence({ intercept, weights }: ConfidenceModel, evidence: SongEvidence): number {
  const names = ["probability", "vote_share", "margin", "segments"] as const;
  const sum = names.reduce((total, name) => total + weights[name] * evidence[name], 0);
  return 1 / (1 + Math.exp(-(intercept + sum)));
}
