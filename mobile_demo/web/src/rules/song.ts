/** Combine the songs that the page stores with predictions and corrections. */
import { type ModelCard, segmentSeconds } from "./model-card.ts";
import { type LabelConfig, predictSong, type SongPrediction } from "./prediction.ts";

/** Tags of a song; null if missing. */
export interface SongTags {
  readonly title: string | null;
  readonly artist: string | null;
  readonly album: string | null;
  /** Missing in results of version 4 and earlier, like `genre`. */
  readonly year?: number | null;
  readonly genre?: string | null;
  /** Identifier of the cover (tags.ts). */
  readonly cover: string | null;
}

/** The result of one model for one file. Installed pages store it, so the keys must not change. */
export interface Song {
  /** Path from the selected folder's name on, with slashes; only the name of a single file. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Time of the last modification, in milliseconds since 1970. */
  readonly modified: number;
  /** Hash of the file's content (file-hash.ts); null for a file that could not be read, or one of version 2. */
  readonly hash: string | null;
  /** SHA-256 of the model. */
  readonly model: string;
  /** Reason why the song has no prediction, one sentence without a full stop; else null. */
  readonly error: string | null;
  /** True if the error is transient: the next scan repeats the song. */
  readonly passing: boolean;
  /** Label probabilities, one row per segment, zeros for a silent one; null if there is an error. */
  readonly probabilities: Float32Array | null;
  /** Length of the decoded audio in seconds; null if unknown. */
  readonly analyzedSeconds: number | null;
  /** Length of the whole song by its file, in seconds; null if unknown. */
  readonly durationSeconds: number | null;
  /** True if the end of the song was not classified. */
  readonly partial: boolean;
  /** Null if they were not read yet, by version 3. */
  readonly tags: SongTags | null;
}

/** The genre that the user chooses for a song; null for the predicted one. */
export interface Correction {
  readonly song: Pick<Song, "hash" | "path">;
  readonly genre: string | null;
}

export interface LibrarySong {
  readonly song: Song;
  readonly prediction: SongPrediction | null;
  /** The genre that the user chose, or null. */
  readonly corrected: string | null;
  /** The correction, else the predicted genre; null if there is neither. */
  readonly genre: string | null;
}

/**
 * Combine a song's predicted genre with its correction.
 *
 * @param card card of the model that computed the probabilities
 * @param values probabilities of the song's segments
 */
export function labelSong(
  song: Song, card: ModelCard, config: LabelConfig, corrected: string | null, values = song.probabilities,
): LibrarySong {
  const { labels, confidence } = card;
  const prediction =
    values && predictSong({ values, width: labels.length }, labels, config, segmentSeconds(card), confidence);
  return { song, prediction, corrected, genre: corrected ?? prediction?.genre ?? null };
}

/** Return the title of a song, by default its file name. */
export function songTitle({ path, tags }: Song): string {
  return tags?.title ?? fileName(path);
}

/** Return the artist and the album of a song, as far as they are known. */
export function songCredits({ tags }: Song): string {
  return [tags?.artist, tags?.album].filter(Boolean).join(" · ");
}

export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function folderName(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
