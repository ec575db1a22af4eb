/** Write results, corrections and covers to one JSON file, and read it. */
import * as v from "valibot";
import { sha256 as bestSha256 } from "../../../pocketgenre/models/best.json";
import { sha256 as standardSha256 } from "../../../pocketgenre/models/standard.json";
import { BackupError } from "./errors.ts";
import { MODELS } from "./models.ts";
import type { Song } from "./rules/song.ts";
import { texts } from "./texts.ts";

const FORMAT = "pocketgenre backup";
const VERSION = 1;
const MAX_FILE_BYTES = 256 << 20;
/** Number of characters of a cover; a JPEG of tags.ts has about 20,000. */
const MAX_COVER_CHARACTERS = 200_000;
/** Number of bytes that are converted at once; a function takes a limited number of arguments. */
const CHUNK_BYTES = 1 << 15;
/** The page's models by the hash of scan-library's model with the same network, which has features as input. */
const SAME_NETWORK: Readonly<Record<string, string>> = {
  [bestSha256]: MODELS.best.card.sha256,
  [standardSha256]: MODELS.standard.card.sha256,
};

export interface Backup {
  readonly songs: readonly Song[];
  /** The user's genres by the hash or the path of the song. */
  readonly corrections: ReadonlyMap<string, string>;
  readonly covers: ReadonlyMap<string, Blob>;
}

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const label = v.pipe(v.string(), v.minLength(1), v.maxLength(100));
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const base64 = v.pipe(v.string(), v.base64());

const probabilities = v.pipe(
  base64,
  v.transform(bytesOf),
  v.check((bytes) => bytes.length % Float32Array.BYTES_PER_ELEMENT === 0),
  v.transform((bytes) => new Float32Array(bytes.buffer)),
  v.check((values) => values.every((value) => value >= 0 && value <= 1)),
);

const song = v.object({
  path: text,
  size: amount,
  modified: v.pipe(v.number(), v.finite()),
  hash: v.nullable(hash),
  model: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/), v.transform((model) => SAME_NETWORK[model] ?? model)),
  error: v.nullable(text),
  passing: v.boolean(),
  probabilities: v.nullable(probabilities),
  analyzedSeconds: v.nullable(amount),
  durationSeconds: v.nullable(amount),
  partial: v.boolean(),
  vanished: v.optional(v.boolean(), false),
  tags: v.nullable(v.object({
    title: v.nullable(text), artist: v.nullable(text), album: v.nullable(text), cover: v.nullable(hash),
    year: v.optional(v.nullable(v.pipe(v.number(), v.integer())), null), genre: v.optional(v.nullable(text), null),
  })),
});

const backup = v.object({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  songs: v.array(song),
  corrections: v.record(text, label),
  covers: v.record(hash, v.pipe(base64, v.maxLength(MAX_COVER_CHARACTERS))),
});

/** Return the content of a backup. */
export async function writeBackup({ songs, corrections, covers }: Backup): Promise<string> {
  const images: [string, string][] = [];
  for (const [id, image] of covers) images.push([id, base64Of(new Uint8Array(await image.arrayBuffer()))]);
  return JSON.stringify({
    format: FORMAT,
    version: VERSION,
    songs: songs.map((one) => ({
      ...one,
      probabilities: one.probabilities && base64Of(new Uint8Array(one.probabilities.slice().buffer)),
    })),
    corrections: Object.fromEntries(corrections),
    covers: Object.fromEntries(images),
  });
}

/**
 * Read a backup, without the results of models that the page does not have.
 *
 * @throws BackupError if the file is not a backup
 */
export async function readBackup(file: File): Promise<Backup> {
  if (file.size > MAX_FILE_BYTES) throw new BackupError(texts.backup.invalid);
  const content: unknown = await file.text().then(JSON.parse).catch(() => null);
  const parsed = v.safeParse(backup, content);
  if (!parsed.success) throw new BackupError(texts.backup.invalid);
  const { songs, corrections, covers } = parsed.output;
  return {
    songs: songs.filter(fitsModel),
    corrections: new Map(Object.entries(corrections)),
    covers: new Map(Object.entries(covers).map(([id, image]) => [id, new Blob([bytesOf(image)], { type: "image/jpeg" })])),
  };
}

/** Return true if a model of the page has as many labels as a row of the song's probabilities. */
function fitsModel({ model, error, probabilities: values }: Song): boolean {
  const card = Object.values(MODELS).find((one) => one.card.sha256 === model)?.card;
  if (!card || (values === null) !== (error !== null)) return false;
  return values === null || (values.length > 0 && values.length % card.labels.length === 0);
}

function bytesOf(encoded: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
}

function base64Of(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  }
  return btoa(binary);
}
