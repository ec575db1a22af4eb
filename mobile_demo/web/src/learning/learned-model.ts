/** Write a learned layer as a .tflite file with its card, and read one, as pocketgenre/learning/learned_model.py. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { strFromU8, strToU8, unzipSync, zipSync } from "fflate";
import * as v from "valibot";
import baseCard from "../../../../pocketgenre/models/best_waveform.json";
import { LearningError } from "../errors.ts";
import { LEARNING, NOT_MUSIC } from "../rules/constants.ts";
import { countOf, isPrintable } from "../rules/text.ts";
import { texts } from "../texts.ts";
import type { CardedLayer, LearnedHead } from "./head.ts";
import type { Evaluation, Lesson } from "./teaching.ts";
import {
  hasSameWeights, readOutputLayer, replaceOutputLayer, ZIP_DIRECTORY, ZIP_END_BYTES, ZIP_FIRST_ENTRY,
} from "./tflite-file.ts";

const NAME = "my-genres";
const LABELS_FILE = "labels.txt";
const MAX_FILE_BYTES = 16 << 20;
const MAX_CARD_BYTES = 1 << 20;
const MAX_LABEL_CHARACTERS = 200;
const DIGITS = 4;
/** Time in the archive, so that files are reproducible. */
const FIXED_TIME = "1980-01-01T00:00:00";

const finite = v.pipe(v.number(), v.finite());
const cardFields = v.object({
  labels: v.pipe(
    v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_LABEL_CHARACTERS), v.check(isPrintable))),
    v.minLength(2), v.maxLength(LEARNING.max_labels + 1),
    v.check((labels) => new Set(labels).size === labels.length),
    v.check((labels) => labels.some((label) => label !== NOT_MUSIC)),
  ),
  sha256: v.string(),
  training: v.optional(v.record(v.string(), v.unknown()), {}),
  accuracy: v.optional(v.record(v.string(), v.unknown()), {}),
  confidence: v.nullish(v.object({
    intercept: finite,
    weights: v.object({ probability: finite, vote_share: finite, margin: finite, segments: finite }),
    min_confidence: v.pipe(finite, v.minValue(0), v.maxValue(1)),
  }), null),
});

/** Return the last layer of the page's model, with its card. */
export function baseLayer(model: Uint8Array): CardedLayer {
  const { labels, confidence, training, accuracy } = baseCard;
  return { ...readOutputLayer(model), labels, sha256: baseCard.sha256, confidence, training, accuracy };
}

/** Combine what was learned with the facts that the card lists. */
export function learnedLayer({ layer, evaluation, temperature, confidence }: Lesson, genres: readonly string[], start: CardedLayer): CardedLayer {
  const counts = countBy(genres);
  return {
    ...layer,
    sha256: start.sha256,
    confidence: confidence ?? start.confidence,
    training: {
      data: `${countOf(genres.length, "song")} of ${countOf(Object.keys(counts).length, "genre")}`,
      labels_from: "corrections",
      songs: counts,
      base: start.sha256,
      base_training: start.training,
      temperature: rounded(temperature),
      confidence: confidence ? "fitted" : "that of the base",
    },
    accuracy: evaluation ? accuracyOf(evaluation) : { what: "not measured: too few artists" },
  };
}

/**
 * Write the page's model with a learned layer, and its card, into a zip archive.
 *
 * @param model content of the page's model
 */
export function writeLearnedModel(model: Uint8Array, { layer }: LearnedHead): Uint8Array<ArrayBuffer> {
  const content = replaceOutputLayer(model, layer);
  const archive = labelsArchive(layer.labels, content.length);
  const file = new Uint8Array(content.length + archive.length);
  file.set(content);
  file.set(archive, content.length);
  const { labels, training, accuracy, confidence } = layer;
  const card = { ...baseCard, labels, sha256: hashOf(file), training, accuracy, confidence };
  if (confidence === null) delete (card as { confidence?: unknown }).confidence;
  const text = JSON.stringify(card, null, 2) + "\n";
  return zipSync({ [`${NAME}.tflite`]: file, [`${NAME}.json`]: strToU8(text) }, { mtime: FIXED_TIME });
}

/**
 * Read a model of learn-genres or of this page: its .tflite file and its card, or the zip archive of both.
 *
 * @param model content of the page's model, on whose features the layer must be learned
 * @throws LearningError if it is not one
 */
export async function readLearnedModel(files: readonly File[], model: Uint8Array): Promise<CardedLayer> {
  const { tflite, card } = await readFiles(files);
  const parsed = v.safeParse(cardFields, parseJson(card));
  if (!parsed.success) throw new LearningError(texts.learn.badCard);
  if (parsed.output.sha256 !== hashOf(tflite)) throw new LearningError(texts.learn.otherCard);
  const layer = readOutputLayer(tflite);
  const own = readOutputLayer(model);
  const { labels } = parsed.output;
  if (layer.bias.length !== labels.length) throw new LearningError(texts.learn.badCard);
  const isSame = layer.scale === own.scale && layer.zeroPoint === own.zeroPoint
    && layer.kernel.length / labels.length === own.kernel.length / own.bias.length && hasSameWeights(tflite, model);
  if (!isSame) throw new LearningError(texts.learn.otherNetwork);
  return { ...parsed.output, kernel: layer.kernel, bias: layer.bias };
}

async function readFiles(files: readonly File[]): Promise<{ tflite: Uint8Array; card: Uint8Array }> {
  let contents = new Map<string, Uint8Array>();
  for (const file of files) {
    if (file.size > MAX_FILE_BYTES) throw new LearningError(texts.learn.notTeachable);
    contents.set(file.name, new Uint8Array(await file.arrayBuffer()));
  }
  const archive = Array.from(contents).find(([name]) => name.toLowerCase().endsWith(".zip"))?.[1];
  if (archive) contents = unzipped(archive);
  const find = (suffix: string) => Array.from(contents).find(([name]) => name.toLowerCase().endsWith(suffix))?.[1];
  const [tflite, card] = [find(".tflite"), find(".json")];
  if (!tflite || !card || card.length > MAX_CARD_BYTES) throw new LearningError(texts.learn.incomplete);
  return { tflite: tflite.slice(), card };
}

function unzipped(archive: Uint8Array): Map<string, Uint8Array> {
  try {
    return new Map(Object.entries(unzipSync(archive, { filter: ({ originalSize }) => originalSize <= MAX_FILE_BYTES })));
  } catch {
    throw new LearningError(texts.learn.incomplete);
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(strFromU8(bytes));
  } catch {
    return null;
  }
}

/** Return an uncompressed zip archive of the labels, to be appended to `offset` bytes, where MediaPipe reads it. */
function labelsArchive(labels: readonly string[], offset: number): Uint8Array {
  const archive = zipSync({ [LABELS_FILE]: strToU8(labels.join("\n") + "\n") }, { level: 0, mtime: FIXED_TIME });
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const directoryField = archive.length - ZIP_END_BYTES + ZIP_DIRECTORY;
  const directory = view.getUint32(directoryField, true);
  view.setUint32(directory + ZIP_FIRST_ENTRY, offset, true);
  view.setUint32(directoryField, directory + offset, true);
  return archive;
}

function accuracyOf({ songs, predicted }: Evaluation): Record<string, unknown> {
  const correct = songs.map(({ genre }, i) => genre === predicted[i]);
  const byGenre = new Map<string, number[]>();
  for (const [i, { genre }] of songs.entries()) byGenre.set(genre, [...(byGenre.get(genre) ?? []), Number(correct[i])]);
  const recall = Array.from(byGenre, ([genre, hits]) => [genre, mean(hits)] as const);
  return {
    what: "songs by majority vote, cross-validation, artists and albums kept together",
    songs: songs.length,
    song_accuracy: rounded(mean(correct.map(Number))),
    song_mean_recall: rounded(mean(recall.map(([, share]) => share))),
    recall: Object.fromEntries(recall.sort().map(([genre, share]) => [genre, rounded(share)])),
  };
}

function countBy(values: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return Object.fromEntries([...counts].sort());
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}

function rounded(value: number): number {
  return Number(value.toFixed(DIGITS));
}

function hashOf(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}
