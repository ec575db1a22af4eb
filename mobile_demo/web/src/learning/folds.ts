/** Group songs by artist and album, and divide them into folds that keep groups together. */
import { folderName } from "../rules/song.ts";

/** A song as far as its group depends on it. */
export interface Credits {
  readonly path: string;
  readonly artist: string | null;
  readonly album: string | null;
}

/**
 * Number the groups of songs that share an artist or an album, directly or indirectly.
 *
 * A song without artist and album has a group of its own. As pocketgenre/learning/taught_songs.py.
 */
export function groupSongs(songs: readonly Credits[]): number[] {
  const parents = songs.map((_, i) => i);
  const root = (i: number): number => (parents[i] === i ? i : (parents[i] = root(parents[i]!)));
  const first = new Map<string, number>();
  for (const [i, { path, artist, album }] of songs.entries()) {
    const keys: string[][] = [];
    if (normal(artist)) keys.push(["artist", normal(artist)]);
    // Albums of one name by different artists, such as "Greatest Hits", differ in the folder.
    if (normal(album)) keys.push(["album", normal(album), folderName(path)]);
    for (const key of keys.map((one) => one.join("\0"))) {
      const other = first.get(key);
      if (other === undefined) first.set(key, i);
      else parents[root(i)] = root(other);
    }
  }
  return songs.map((_, i) => root(i));
}

/**
 * Number the fold of each song, so that folds are alike in genres and share no group.
 *
 * As scikit-learn's StratifiedGroupKFold without shuffling.
 */
export function stratifiedFolds(genres: readonly string[], groups: readonly number[], folds: number): number[] {
  const names = [...new Set(genres)];
  const totals = names.map((name) => genres.filter((genre) => genre === name).length);
  const counts = new Map<number, number[]>();
  for (const group of [...new Set(groups)].sort((a, b) => a - b)) counts.set(group, names.map(() => 0));
  for (const [i, group] of groups.entries()) counts.get(group)![names.indexOf(genres[i]!)]! += 1;
  const inFolds = Array.from({ length: folds }, () => names.map(() => 0));
  const chosen = new Map<number, number>();
  for (const [group, own] of [...counts].sort((a, b) => deviation(b[1]) - deviation(a[1]))) {
    const fold = bestFold(inFolds, totals, own);
    for (const [i, count] of own.entries()) inFolds[fold]![i]! += count;
    chosen.set(group, fold);
  }
  return groups.map((group) => chosen.get(group)!);
}

/** Return the fold to which a group is added so that the folds are most alike; of equal ones the smallest. */
function bestFold(inFolds: readonly number[][], totals: readonly number[], own: readonly number[]): number {
  let best = 0, least = Infinity, fewest = Infinity;
  for (const [fold, counts] of inFolds.entries()) {
    const share = (other: readonly number[], i: number) =>
      (other[i]! + (other === counts ? own[i]! : 0)) / totals[i]!;
    const unevenness = mean(totals.map((_, i) => deviation(inFolds.map((other) => share(other, i)))));
    const size = counts.reduce((a, b) => a + b);
    const isEqual = Math.abs(unevenness - least) <= 1e-8 + 1e-5 * least;
    if (unevenness < least || (isEqual && size < fewest)) [best, least, fewest] = [fold, unevenness, size];
  }
  return best;
}

function normal(text: string | null): string {
  return (text ?? "").toUpperCase().toLowerCase().split(/\s+/).filter(Boolean).join(" ");
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}
