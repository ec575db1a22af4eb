/** Worker thread that computes one row of label probabilities per segment of a song. */
import { type CompiledModel, Environment, loadAndCompile, loadLiteRt, supportsFeature, Tensor } from "@litertjs/core";
import compatJs from "@litertjs/core/wasm/litert_wasm_compat_internal.js?url";
import compatWasm from "@litertjs/core/wasm/litert_wasm_compat_internal.wasm?url";
import simdJs from "@litertjs/core/wasm/litert_wasm_internal.js?url";
import simdWasm from "@litertjs/core/wasm/litert_wasm_internal.wasm?url";
import { AudioStream, type SongStream } from "./audio-stream.ts";
import { errorText, InferenceError, toAudioError } from "./errors.ts";
import type { DecodedSong, InferenceRequest, InferenceResponse, SongProgress } from "./inference-client.ts";
import { type OutputLayer, quantized, readOutputLayer, withFeatureOutput } from "./learning/tflite-file.ts";
import { fetchModel, MODELS, type ModelName } from "./models.ts";
import { endsEarly } from "./rules/audio-format.ts";
import { segmentSeconds } from "./rules/model-card.ts";
import { rounded } from "./rules/rounding.ts";
import { type Excerpt, planExcerpts } from "./rules/sampling.ts";
import { mixToMono } from "./rules/segments.ts";
import { type InferenceResult, type SegmentResult, SongInference } from "./song-inference.ts";
import { readTags } from "./tags.ts";

declare const self: DedicatedWorkerGlobalScope & { Module?: object };

/** Length of the audio that one request classifies, in seconds. The scan can stop and pause after each. */
const STEP_SECONDS = 9;
/** Number of decimals of a length that is a sum over slices. */
const MICROSECONDS = 6;

let runtime: Promise<unknown> | undefined;
const models = new Map<ModelName, Promise<LoadedModel>>();
let song: SongSteps | null = null;
const NOTHING: SongProgress = { share: 0, result: null };

interface LoadedModel {
  readonly compiled: CompiledModel;
  /** The last layer, whose inputs are the model's second output; null if it cannot be learned. */
  readonly layer: OutputLayer | null;
}

/** Yields the progress of a song, and at last its result. It is sent slices of a song that the page decodes. */
type SongSteps = AsyncGenerator<SongProgress, SongProgress, readonly Float32Array[] | null>;

self.onmessage = ({ data }: MessageEvent<InferenceRequest>) => {
  void respond(data).then((response) => {
    const { probabilities, features } = response.progress?.result ?? {};
    self.postMessage(response, [probabilities, features].flatMap((values) => (values ? [values.buffer] : [])));
  });
};

async function respond(request: InferenceRequest): Promise<InferenceResponse> {
  const response: InferenceResponse = {
    progress: null, undecodable: null, tags: null, error: null, isAudioError: false,
  };
  try {
    switch (request.kind) {
      case "load":
        await cachedModel(request.model);
        return response;
      case "open":
        return { ...response, undecodable: await open(request.model, request.file) };
      case "openDecoded":
        await openDecoded(request.model, request.song);
        return response;
      case "tags":
        return { ...response, tags: await readTags(request.file) };
      case "next":
        return { ...response, progress: (await song!.next(request.channels)).value };
    }
  } catch (error) {
    // An error outside the runtime is caused by the song, for example one that takes too much memory.
    if (error instanceof InferenceError) return { ...response, error: error.message };
    return { ...response, error: toAudioError(error).message, isAudioError: true };
  }
}

/** Start a song. Return the reason if it cannot be decoded in this thread. */
async function open(model: ModelName, file: File): Promise<string | null> {
  await song?.return(NOTHING);
  const inference = await startInference(model);
  const stream = await AudioStream.open(file);
  if (typeof stream === "string") return stream;
  song = streamSteps(stream, inference, segmentSeconds(MODELS[model].card));
  return null;
}

async function openDecoded(model: ModelName, decoded: DecodedSong): Promise<void> {
  await song?.return(NOTHING);
  song = decodedSteps(decoded, await startInference(model));
  await song.next(null); // runs it to where it waits for the first slice
}

async function startInference(model: ModelName): Promise<SongInference> {
  const loaded = await cachedModel(model);
  return new SongInference(MODELS[model].card, (segment) => run(loaded, segment));
}

/** Classify a song that is decoded in this thread. */
async function* streamSteps(stream: SongStream, inference: SongInference, perSegment: number): SongSteps {
  try {
    const excerpts = planExcerpts(stream.seconds, perSegment);
    const isSampled = excerpts.length > 1;
    let decoded = 0, step = 0;
    for (const [i, excerpt] of excerpts.entries()) {
      await inference.start(excerpt);
      for await (const slice of stream.read(...excerptTimes(excerpt, perSegment))) {
        await inference.push(slice);
        const seconds = slice.samples.length / slice.sampleRate;
        decoded += seconds;
        step += seconds;
        if (step < STEP_SECONDS) continue;
        step = 0;
        yield { share: isSampled ? i / excerpts.length : decoded / stream.seconds, result: null };
      }
    }
    const result = await inference.finish(isSampled ? Math.floor(stream.seconds / perSegment) : null);
    const isShort = endsEarly(stream.stated, decoded);
    const durationSeconds = isSampled ? stream.seconds : isShort ? stream.stated! : rounded(decoded, MICROSECONDS);
    return finished(result, durationSeconds, isSampled || isShort);
  } finally {
    stream.close();
  }
}

/** Return the start and the end of an excerpt in seconds, with a margin for the resampler. */
function excerptTimes({ start, count }: Excerpt, perSegment: number): [from: number, to: number] {
  return [start * perSegment, (start + count + 0.1) * perSegment];
}

/** Classify a song that the page decodes and sends slice by slice. */
async function* decodedSteps(decoded: DecodedSong, inference: SongInference): SongSteps {
  const { sampleRate, seconds, durationSeconds, isPartial } = decoded;
  for (let received = 0; ; ) {
    const channels: readonly Float32Array[] | null = yield { share: received / seconds, result: null };
    if (!channels) break;
    await inference.push({ samples: mixToMono(channels), sampleRate });
    received += channels[0]!.length / sampleRate;
  }
  return finished(await inference.finish(null), durationSeconds, isPartial);
}

function finished(result: InferenceResult, durationSeconds: number, isPartial: boolean): SongProgress {
  const { probabilities, features, seconds, isDamaged } = result;
  return {
    share: 1,
    result: { probabilities, features, analyzedSeconds: seconds, durationSeconds, partial: isPartial || isDamaged },
  };
}

/** @throws InferenceError if the runtime fails */
async function run({ compiled, layer }: LoadedModel, segment: Float32Array): Promise<SegmentResult> {
  const tensors: Tensor[] = [];
  try {
    tensors.push(new Tensor(segment, [1, segment.length]));
    const outputs = await compiled.run([tensors[0]!]);
    tensors.push(...outputs);
    const [probabilities, features] = await Promise.all(outputs.map((output) => output.data()));
    return { probabilities: probabilities as Float32Array, features: layer && quantized(features as Float32Array, layer) };
  } catch (error) {
    throw new InferenceError(errorText(error));
  } finally {
    for (const tensor of tensors) tensor.delete();
  }
}

/** @throws InferenceError if the runtime or the model cannot be loaded */
function cachedModel(name: ModelName): Promise<LoadedModel> {
  let model = models.get(name);
  if (!model) {
    model = loadModel(name).catch((error: unknown) => {
      throw new InferenceError(errorText(error));
    });
    model.catch(() => models.delete(name)); // a failed download is repeated at the next request
    models.set(name, model);
  }
  return model;
}

async function loadModel(name: ModelName): Promise<LoadedModel> {
  await (runtime ??= loadRuntime());
  const content = await fetchModel(name);
  const layer = MODELS[name].isTeachable ? readOutputLayer(content) : null;
  const compiled = await loadAndCompile(layer ? withFeatureOutput(content) : content, { accelerator: "wasm" });
  return { compiled, layer };
}

const { create } = Environment;

function createEnvironment(): Promise<Environment> {
  return create.call(Environment, { webGpuDevice: null });
}

async function loadRuntime(): Promise<void> {
  // Otherwise the runtime starts a GPU device. On the CPU, every phone computes the same numbers.
  Environment.create = createEnvironment;
  const simd = await supportsFeature("relaxedSimd");
  const wasm = new URL(simd ? simdWasm : compatWasm, self.location.href).href;
  const ignore = () => {}; // start-up messages; errors are thrown as well
  self.Module = { locateFile: () => wasm, print: ignore, printErr: ignore };
  await loadLiteRt(new URL(simd ? simdJs : compatJs, self.location.href).href);
}
