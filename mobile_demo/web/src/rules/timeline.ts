/**
 * Divide a song into parts of one genre each, as pocketgenre/timeline.py.
 *
 * Float32 is used where NumPy uses it, so that the page and the package agree in close cases.
 */
import { MIN_LEAD, WINDOW_SECONDS } from "./constants.ts";
import { argmax, isSilentRow, segmentCount, type SegmentProbabilities, segmentRow } from "./prediction.ts";

/** A part of a song with one genre. */
export interface TimelinePart {
  /** In seconds. */
  readonly start: number;
  readonly end: number;
  /** Index into the model's labels. */
  readonly genre: number;
  /** Mean probability of each genre. */
  readonly probabilities: readonly number[];
}

/**
 * Return the start of each window and the end of the last, counted in segments.
 *
 * A remainder of less than half a window is added to the window before it.
 *
 * @param maxWindows largest number of windows; longer songs get longer windows
 */
export function windowBounds(segments: number, secondsPerSegment: number, maxWindows?: number): number[] {
  let size = Math.max(1, Math.round(WINDOW_SECONDS / secondsPerSegment));
  if (maxWindows !== undefined) size = Math.max(size, Math.ceil(segments / maxWindows));
  const starts: number[] = [];
  for (let start = 0; start < segments; start += size) starts.push(start);
  if (starts.length > 1 && 2 * (segments - starts.at(-1)!) < size) starts.pop();
  return [...starts, segments];
}

/** Compute the mean probability of each genre in each window, without the silent segments; 0 in a silent window. */
export function windowMeans(table: SegmentProbabilities, bounds: readonly number[]): Float32Array[] {
  return bounds.slice(1).map((end, i) => segmentMean(table, bounds[i]!, end));
}

/** Return the parts of a song; a song that keeps its genre has one. */
export function timeline(
  table: SegmentProbabilities, secondsPerSegment: number, maxWindows?: number,
): TimelinePart[] {
  const bounds = windowBounds(segmentCount(table), secondsPerSegment, maxWindows);
  const means = windowMeans(table, bounds);
  const first = Math.max(0, means.findIndex((row) => row.some(Boolean))); // the first window that is not silent
  let current = argmax(means[first]!);
  const starts = [{ genre: current, segment: 0 }];
  means.forEach((row, window) => {
    const best = argmax(row);
    if (window <= first || Math.fround(row[best]! - row[current]!) < Math.fround(MIN_LEAD)) return;
    current = best;
    starts.push({ genre: best, segment: bounds[window]! });
  });
  return starts.map(({ genre, segment }, i) => {
    const end = starts[i + 1]?.segment ?? segmentCount(table);
    const row = segmentMean(table, segment, end);
    return {
      start: segment * secondsPerSegment,
      end: end * secondsPerSegment,
      genre,
      probabilities: Array.from(row),
    };
  });
}

function segmentMean(table: SegmentProbabilities, start: number, end: number): Float32Array {
  const sums = new Float32Array(table.width);
  let audible = 0;
  for (let i = start; i < end; i++) {
    const row = segmentRow(table, i);
    if (isSilentRow(row)) continue;
    audible += 1;
    row.forEach((value, genre) => (sums[genre]! += value));
  }
  return sums.map((sum) => sum / Math.max(1, audible));
}
