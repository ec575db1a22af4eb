/** Worker thread that computes one row of label probabilities per segment of a song. */
import { type CompiledModel, loadAndCompile, loadLiteRt, supportsFeature, Tensor } from "@litertjs/core";
import compatJs from "@litertjs/core/wasm/litert_wasm_compat_internal.js?url";
import compatWasm from "@litertjs/core/wasm/litert_wasm_compat_internal.wasm?url";
import simdJs from "@litertjs/core/wasm/litert_wasm_internal.js?url";
import simdWasm from "@litertjs/core/wasm/litert_wasm_internal.wasm?url";
import { AudioError, errorText, toAudioError } from "./errors.ts";
import type { DecodedAudio, InferenceRequest, InferenceResponse, InferenceResult } from "./inference-client.ts";
import { MODELS, type ModelName } from "./models.ts";
import type { ModelCard } from "./rules/model-card.ts";
import { Resampler } from "./rules/resample.ts";
import { songSegments, type SongSegments } from "./rules/segments.ts";

declare const self: DedicatedWorkerGlobalScope & { Module?: object };

let runtime: Promise<unknown> | undefined;
const models = new Map<ModelName, Promise<CompiledModel>>();
const resamplers = new Map<string, Resampler>();

self.onmessage = ({ data }: MessageEvent<InferenceRequest>) => {
  void handle(data).then((response) => {
    self.postMessage(response, response.result ? [response.result.probabilities.buffer] : []);
  });
};

async function handle({ model, audio }: InferenceRequest): Promise<InferenceResponse> {
  try {
    const compiled = await cachedModel(model);
    const result = audio && (await predict(compiled, audio, MODELS[model].card));
    return { result, error: null, isAudioError: false };
  } catch (error) {
    return { result: null, error: errorText(error), isAudioError: error instanceof AudioError };
  }
}

/** Predict the probabilities of each segment; silent ones get zeros, without running the model. */
async function predict(model: CompiledModel, audio: DecodedAudio, card: ModelCard): Promise<InferenceResult> {
  const { segments, silent, isDamaged, seconds } = modelInputs(audio, card);
  const probabilities = new Float32Array(segments.length * card.labels.length);
  for (const [row, segment] of segments.entries()) {
    if (!silent[row]) probabilities.set(await run(model, segment), row * card.labels.length);
  }
  return { probabilities, isDamaged, seconds };
}

/**
 * Resample a song and cut it into segments.
 *
 * @throws AudioError for any error, because the song causes it, not the runtime
 */
function modelInputs(audio: DecodedAudio, card: ModelCard): SongSegments {
  try {
    const resampler = cachedResampler(audio.sampleRate, card.front_end.sample_rate);
    return songSegments(resampler.resample(audio.samples), card);
  } catch (error) {
    throw toAudioError(error);
  }
}

async function run(model: CompiledModel, segment: Float32Array): Promise<Float32Array> {
  const input = new Tensor(segment, [1, segment.length]);
  const outputs = await model.run([input]);
  try {
    return (await outputs[0]!.data()) as Float32Array;
  } finally {
    for (const tensor of [input, ...outputs]) tensor.delete();
  }
}

function cachedModel(name: ModelName): Promise<CompiledModel> {
  let model = models.get(name);
  if (!model) {
    model = loadModel(name);
    model.catch(() => models.delete(name)); // a failed download is repeated at the next request
    models.set(name, model);
  }
  return model;
}

function cachedResampler(from: number, to: number): Resampler {
  const key = `${from} to ${to}`;
  const resampler = resamplers.get(key) ?? new Resampler(from, to);
  resamplers.set(key, resampler);
  return resampler;
}

async function loadModel(name: ModelName): Promise<CompiledModel> {
  await (runtime ??= loadRuntime());
  const response = await fetch(new URL(MODELS[name].url, self.location.href));
  if (!response.ok) throw new Error(`the model could not be downloaded (HTTP ${response.status})`);
  const content = new Uint8Array(await response.arrayBuffer());
  return loadAndCompile(content, { accelerator: "wasm" });
}

async function loadRuntime(): Promise<void> {
  // Otherwise the runtime starts a GPU device. On the CPU, every phone computes the same numbers.
  Object.defineProperty(self.navigator, "gpu", { value: undefined, configurable: true });
  const simd = await supportsFeature("relaxedSimd");
  const wasm = new URL(simd ? simdWasm : compatWasm, self.location.href).href;
  const ignore = () => {}; // start-up messages; errors are thrown as well
  self.Module = { locateFile: () => wasm, print: ignore, printErr: ignore };
  await loadLiteRt(new URL(simd ? simdJs : compatJs, self.location.href).href);
}
