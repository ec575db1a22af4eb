/** Worker thread that learns genres, and labels the library with what was learned. */
import { Catalog } from "../catalog.ts";
import { errorText, LearningError } from "../errors.ts";
import { fetchModel, MODELS } from "../models.ts";
import { LEARNING, NOT_MUSIC } from "../rules/constants.ts";
import { texts } from "../texts.ts";
import { type CardedLayer, type LearnedHead, predictRows } from "./head.ts";
import { baseLayer, learnedLayer, readLearnedModel, writeLearnedModel } from "./learned-model.ts";
import type { LearningRequest, LearningResponse, LearningResult, TaughtPath } from "./learning-client.ts";
import { type Evaluation, labelNames, learn, meanOf, type TaughtSong } from "./teaching.ts";
import { dequantized, readOutputLayer } from "./tflite-file.ts";

declare const self: DedicatedWorkerGlobalScope;

const MODEL = "best";
const BASE = MODELS[MODEL].card.sha256;

self.onmessage = ({ data }: MessageEvent<LearningRequest>) => {
  void respond(data).then((response) => {
    const probabilities = response.result?.probabilities ?? new Map<string, Float32Array>();
    self.postMessage(response, Array.from(probabilities.values(), ({ buffer }) => buffer));
  });
};

async function respond(request: LearningRequest): Promise<LearningResponse> {
  const catalog = await Catalog.open(() => {});
  try {
    return { result: await run(catalog, request), error: null, isForUser: false };
  } catch (error) {
    return { result: null, error: errorText(error), isForUser: error instanceof LearningError };
  } finally {
    catalog.close();
  }
}

async function run(catalog: Catalog, request: LearningRequest): Promise<LearningResult> {
  switch (request.kind) {
    case "learn": {
      const { head, evaluation } = await learnHead(catalog, request.taught, request.start, request.onlyTaught);
      return { ...(await use(catalog, head)), tested: evaluation && summarize(evaluation) };
    }
    case "use":
      return use(catalog, request.head);
    case "open": {
      const model = await fetchModel(MODEL);
      const layer = await readLearnedModel(request.files, model);
      return use(catalog, headOf(model, layer, layer));
    }
    case "save":
      return { ...NOTHING, file: writeLearnedModel(await fetchModel(MODEL), request.head) };
  }
}

const NOTHING: LearningResult = { head: null, probabilities: new Map(), tested: null, file: null };

/** Store a head, or none, and label all songs whose features are stored. */
async function use(catalog: Catalog, head: LearnedHead | null): Promise<LearningResult> {
  const label = head && ((features: Int8Array) => predictRows(head, features));
  return { ...NOTHING, head, probabilities: await catalog.useHead(BASE, head, label) };
}

async function learnHead(
  catalog: Catalog, taught: readonly TaughtPath[], start: CardedLayer | null, onlyTaught: boolean,
): Promise<{ head: LearnedHead; evaluation: Evaluation | null }> {
  const model = await fetchModel(MODEL);
  const old = start ?? baseLayer(model);
  const { songs, others } = await readSongs(catalog, taught, model);
  const genres = songs.map(({ genre }) => genre);
  if (songs.length === 0) throw new LearningError(texts.learn.noExamples);
  const labels = labelNames(old.labels, genres, onlyTaught);
  const count = labels.filter((label) => label !== NOT_MUSIC).length;
  if (count < 2) throw new LearningError(texts.learn.oneGenre(genres[0]!));
  if (count > LEARNING.max_labels) throw new LearningError(texts.learn.tooMany(count, LEARNING.max_labels));
  const lesson = learn(songs, others, old, labels);
  return { head: headOf(model, learnedLayer(lesson, genres, old), start), evaluation: lesson.evaluation };
}

/** Read the features of taught songs, and the means of all other songs. */
async function readSongs(
  catalog: Catalog, taught: readonly TaughtPath[], model: Uint8Array,
): Promise<{ songs: TaughtSong[]; others: Float32Array[] }> {
  const layer = readOutputLayer(model);
  const width = layer.kernel.length / layer.bias.length;
  const known = new Map(taught.map((song) => [song.path, song]));
  const songs: TaughtSong[] = [];
  const others: Float32Array[] = [];
  for await (const { path, rows } of catalog.features(BASE)) {
    if (rows.length === 0) continue;
    const features = dequantized(rows, layer);
    const song = known.get(path);
    if (song) songs.push({ features, genre: song.genre, group: song.group });
    else others.push(meanOf(features, width));
  }
  return { songs, others };
}

function headOf(model: Uint8Array, layer: CardedLayer, start: CardedLayer | null): LearnedHead {
  const { scale, zeroPoint } = readOutputLayer(model);
  return { base: BASE, scale, zeroPoint, layer, start };
}

function summarize({ songs, predicted }: Evaluation): LearningResult["tested"] {
  const genres = songs.map(({ genre }) => genre);
  const counts = new Map<string, number>();
  for (const genre of genres) counts.set(genre, (counts.get(genre) ?? 0) + 1);
  const mixed = new Map<string, number>();
  for (const [i, genre] of genres.entries()) {
    if (genre === predicted[i] || !counts.has(predicted[i]!)) continue;
    const pair = JSON.stringify([genre, predicted[i]!].sort());
    mixed.set(pair, (mixed.get(pair) ?? 0) + 1);
  }
  const confused = Array.from(mixed, ([pair, n]) => ({ pair: JSON.parse(pair) as [string, string], n }))
    .filter(({ pair: [a, b], n }) => n / (counts.get(a)! + counts.get(b)!) >= LEARNING.confused_share)
    .sort((a, b) => b.n - a.n);
  return {
    songs: songs.length,
    correct: genres.filter((genre, i) => genre === predicted[i]).length,
    confused: confused.map(({ pair }) => pair),
  };
}
