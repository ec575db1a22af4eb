/** A song's genre by a vote of its segments, as mobile_demo/vote.py. */

export type Rule = "majority" | "probability";

/** Genre probabilities of the segments of a song: rows of `width`, in time order. */
export interface Table {
  readonly values: Float32Array;
  readonly width: number;
}

/** What the segments of a song say together; arrays are in the order of the model's labels. */
export interface Vote {
  readonly winner: number;
  readonly votes: readonly number[];
  readonly segments: number;
  /** The winner's share: of the votes, or of the probability. */
  readonly confidence: number;
  /** Mean probability of each genre over the segments. */
  readonly probabilities: readonly number[];
}

export function rows(table: Table): number {
  return table.values.length / table.width;
}

/** Let every segment vote for its most probable genre; among equals the larger sum wins. */
export function majorityVote(table: Table): Vote {
  const votes = countVotes(table);
  const sums = sumColumns(table);
  let winner = 0;
  for (let genre = 1; genre < table.width; genre++) {
    const more = votes[genre]! - votes[winner]! || sums[genre]! - sums[winner]!;
    if (more >= 0) winner = genre;
  }
  return makeVote(table, votes, sums, winner, votes[winner]! / rows(table));
}

/** Let every segment give each genre as much of a vote as it finds it probable. */
export function probabilityVote(table: Table): Vote {
  const sums = sumColumns(table);
  const winner = argmax(sums);
  return makeVote(table, countVotes(table), sums, winner, sums[winner]! / rows(table));
}

export const VOTES: Readonly<Record<Rule, (table: Table) => Vote>> = {
  majority: majorityVote,
  probability: probabilityVote,
};

/** The first of the largest values. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function makeVote(
  table: Table, votes: number[], sums: number[], winner: number, confidence: number,
): Vote {
  const segments = rows(table);
  const probabilities = sums.map((sum) => sum / segments);
  return { winner, votes, segments, confidence, probabilities };
}

function countVotes(table: Table): number[] {
  const votes = new Array<number>(table.width).fill(0);
  for (let start = 0; start < table.values.length; start += table.width) {
    votes[argmax(table.values.subarray(start, start + table.width))]! += 1;
  }
  return votes;
}

function sumColumns(table: Table): number[] {
  const sums = new Array<number>(table.width).fill(0);
  table.values.forEach((value, i) => (sums[i % table.width]! += value));
  return sums;
}
