/** Songs as the page keeps them, and with their labels. */
import { labelSong, type SongLabel, type Thresholds } from "./label.ts";
import type { Rule, Table } from "./vote.ts";

/** What is known of one file, as one model heard it. */
export interface Song {
  /** From the picked folder's name on, with slashes; a name alone where files were picked. */
  readonly path: string;
  /** In bytes, when it was heard. */
  readonly size: number;
  /** Time of last modification then, in milliseconds since 1970. */
  readonly modified: number;
  /** SHA-256 of the model that heard it. */
  readonly model: string;
  /** Why there is no label, one sentence without a full stop; null where there is one. */
  readonly error: string | null;
  /** The file could not be read, so that it is tried again each time. */
  readonly passing: boolean;
  /** What the network said of each segment, row by row; null where there is no label. */
  readonly probabilities: Float32Array | null;
}

/** How songs are called from what was heard. */
export interface Judgement {
  readonly labels: readonly string[];
  /** Length of a segment. */
  readonly seconds: number;
  readonly rule: Rule;
  readonly thresholds: Thresholds;
}

/** A song and what it is called. */
export interface LabelledSong {
  readonly song: Song;
  readonly table: Table | null;
  readonly label: SongLabel | null;
  /** The genre that a person gave it, or null. */
  readonly corrected: string | null;
  /** The person's word, else the network's; null where neither has any. */
  readonly genre: string | null;
}

/** Label a song by a vote of its segments; a person's correction goes before it. */
export function labelledSong(song: Song, how: Judgement, corrected: string | null): LabelledSong {
  const values = song.probabilities;
  const table = values && { values, width: how.labels.length };
  const label = table && labelSong(table, how.labels, how.rule, how.thresholds);
  return { song, table, label, corrected, genre: corrected ?? label?.genre ?? null };
}

export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function folderName(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
