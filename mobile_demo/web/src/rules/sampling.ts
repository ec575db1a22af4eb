/** Select the parts of a long song that are classified. */
import { EXCERPT_SECONDS, MAX_PAGE_SONG_SECONDS } from "./constants.ts";

/** A song that exceeds the limit only by the padding of its encoder is classified as a whole. */
const PADDING_SECONDS = 1;

/** Consecutive segments of a song. */
export interface Excerpt {
  /** Index of the first segment. */
  readonly start: number;
  /** Number of segments; infinite for the rest of the song. */
  readonly count: number;
}

/**
 * Return the excerpts of a song that are classified, in order.
 *
 * That is the whole song, or, beyond MAX_PAGE_SONG_SECONDS, excerpts of EXCERPT_SECONDS that are spread
 * evenly from its start to its end and have that length together.
 *
 * @param songSeconds length of the song
 * @param secondsPerSegment length of a segment
 */
export function planExcerpts(songSeconds: number, secondsPerSegment: number): Excerpt[] {
  if (songSeconds <= MAX_PAGE_SONG_SECONDS + PADDING_SECONDS) return [{ start: 0, count: Infinity }];
  const count = Math.max(1, Math.round(EXCERPT_SECONDS / secondsPerSegment));
  const last = Math.floor(songSeconds / secondsPerSegment) - count;
  const gaps = Math.max(1, Math.floor(MAX_PAGE_SONG_SECONDS / EXCERPT_SECONDS) - 1);
  return Array.from({ length: gaps + 1 }, (_, i) => ({ start: Math.round((i * last) / gaps), count }));
}
