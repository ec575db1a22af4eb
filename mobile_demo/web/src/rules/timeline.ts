/**
 * How a song goes from genre to genre, as mobile_demo/scanner/timeline.py.
 *
 * In float32 where NumPy computes in float32, so that a song on the edge falls on the same side.
 */
import { argmax, rows, type Table } from "./vote.ts";

export const WINDOW_SECONDS = 15.0;

/** By how much a genre's mean probability in a window must exceed the part's to end the part. */
export const LEAD = 0.1;

/** A stretch of a song that stays with one genre; `genre` is a place in the model's labels. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly genre: number;
  readonly shares: readonly number[];
}

/**
 * Where windows of about 15 s begin, and the end of the last, counted in segments.
 *
 * A rest of less than half a window belongs to the window before. With `most`, windows are as
 * long as it takes for there to be at most that many.
 */
export function windowBounds(segments: number, seconds: number, most?: number): number[] {
  let size = Math.max(1, Math.round(WINDOW_SECONDS / seconds));
  if (most !== undefined) size = Math.max(size, Math.ceil(segments / most));
  const starts: number[] = [];
  for (let start = 0; start < segments; start += size) starts.push(start);
  if (starts.length > 1 && 2 * (segments - starts.at(-1)!) < size) starts.pop();
  return [...starts, segments];
}

/** Mean probability of each genre in each window. */
export function windowShares(table: Table, bounds: readonly number[]): Float32Array[] {
  return bounds.slice(1).map((end, i) => meanRow(table, bounds[i]!, end));
}

/** The parts of a song: one where it doesn't change. */
export function timeline(table: Table, seconds: number, most?: number): Part[] {
  const bounds = windowBounds(rows(table), seconds, most);
  const shares = windowShares(table, bounds);
  let current = argmax(shares[0]!);
  const starts = [{ genre: current, segment: 0 }];
  shares.forEach((row, window) => {
    const best = argmax(row);
    if (window === 0 || Math.fround(row[best]! - row[current]!) < Math.fround(LEAD)) return;
    current = best;
    starts.push({ genre: best, segment: bounds[window]! });
  });
  return starts.map(({ genre, segment }, i) => {
    const end = starts[i + 1]?.segment ?? rows(table);
    const row = meanRow(table, segment, end);
    return { start: segment * seconds, end: end * seconds, genre, shares: Array.from(row) };
  });
}

function meanRow(table: Table, start: number, end: number): Float32Array {
  const sums = new Float32Array(table.width);
  for (let i = start * table.width; i < end * table.width; i++) {
    sums[i % table.width]! += table.values[i]!;
  }
  return sums.map((sum) => sum / (end - start));
}
