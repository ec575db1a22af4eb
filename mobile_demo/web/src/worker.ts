/** The ear, in a thread of its own: samples in, a row of probabilities for each segment out. */
import { type CompiledModel, loadAndCompile, loadLiteRt, supportsFeature, Tensor } from "@litertjs/core";
import compatJs from "@litertjs/core/wasm/litert_wasm_compat_internal.js?url";
import compatWasm from "@litertjs/core/wasm/litert_wasm_compat_internal.wasm?url";
import simdJs from "@litertjs/core/wasm/litert_wasm_internal.js?url";
import simdWasm from "@litertjs/core/wasm/litert_wasm_internal.wasm?url";
import { asAudioError } from "./faults.ts";
import type { ModelCard } from "./rules/card.ts";
import { AudioError } from "./rules/errors.ts";
import { audibleSegments } from "./rules/listening.ts";
import { Resampler } from "./rules/resample.ts";
import type { Answer, Request, Sound } from "./hearing.ts";
import { MODELS, type ModelName } from "./models.ts";

declare const self: DedicatedWorkerGlobalScope & { Module?: object };

let loading: Promise<unknown> | undefined;
const networks = new Map<ModelName, Promise<CompiledModel>>();
const resamplers = new Map<string, Resampler>();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  void hear(data).then((answer) => {
    self.postMessage(answer, answer.probabilities ? [answer.probabilities.buffer] : []);
  });
};

async function hear({ model, sound }: Request): Promise<Answer> {
  try {
    const network = await networkOf(model);
    if (!sound) return { probabilities: null, problem: null, broken: false };
    const { card } = MODELS[model];
    const segments = segmentsOf(sound, card);
    const table = new Float32Array(segments.length * card.labels.length);
    for (const [row, segment] of segments.entries()) {
      table.set(await ask(network, segment), row * card.labels.length);
    }
    return { probabilities: table, problem: null, broken: false };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { probabilities: null, problem, broken: !(error instanceof AudioError) };
  }
}

/** @throws AudioError whatever goes wrong here: it is this song's, not the runtime's. */
function segmentsOf(sound: Sound, card: ModelCard): Float32Array[] {
  try {
    const resampler = resamplerOf(sound.rate, card.front_end.sample_rate);
    return audibleSegments(resampler.resample(sound.samples), card);
  } catch (error) {
    throw asAudioError(error);
  }
}

async function ask(network: CompiledModel, segment: Float32Array): Promise<Float32Array> {
  const input = new Tensor(segment, [1, segment.length]);
  const outputs = await network.run([input]);
  try {
    return (await outputs[0]!.data()) as Float32Array;
  } finally {
    for (const tensor of [input, ...outputs]) tensor.delete();
  }
}

function networkOf(name: ModelName): Promise<CompiledModel> {
  let found = networks.get(name);
  if (!found) {
    found = loadNetwork(name);
    found.catch(() => networks.delete(name)); // fetching may have failed; next time anew
    networks.set(name, found);
  }
  return found;
}

function resamplerOf(from: number, to: number): Resampler {
  const key = `${from} to ${to}`;
  const found = resamplers.get(key) ?? new Resampler(from, to);
  resamplers.set(key, found);
  return found;
}

async function loadNetwork(name: ModelName): Promise<CompiledModel> {
  await (loading ??= loadRuntime());
  const response = await fetch(new URL(MODELS[name].url, self.location.href));
  if (!response.ok) throw new Error(`the model could not be fetched (${response.status})`);
  const content = new Uint8Array(await response.arrayBuffer());
  return loadAndCompile(content, { accelerator: "wasm" });
}

async function loadRuntime(): Promise<void> {
  // The runtime would start a graphics processor that is not used: the same answers everywhere.
  Object.defineProperty(self.navigator, "gpu", { value: undefined, configurable: true });
  const simd = await supportsFeature("relaxedSimd");
  const wasm = new URL(simd ? simdWasm : compatWasm, self.location.href).href;
  const greetings = () => {}; // what goes wrong is thrown as well
  self.Module = { locateFile: () => wasm, print: greetings, printErr: greetings };
  await loadLiteRt(new URL(simd ? simdJs : compatJs, self.location.href).href);
}
