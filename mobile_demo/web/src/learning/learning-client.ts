/** Connect the page to the learning worker, which lives for one request. */
import { LearningError } from "../errors.ts";
import type { CardedLayer, LearnedHead } from "./head.ts";

/** A song whose genre the user has set. */
export interface TaughtPath {
  readonly path: string;
  readonly genre: string;
  /** Songs of one artist or album have one number. */
  readonly group: number;
}

export type LearningRequest =
  | {
    readonly kind: "learn";
    readonly taught: readonly TaughtPath[];
    /** The layer to begin with; null for that of the page's model. */
    readonly start: CardedLayer | null;
    /** True to leave out the genres of which there is no song. */
    readonly onlyTaught: boolean;
  }
  | { readonly kind: "use"; readonly head: LearnedHead | null }
  | { readonly kind: "open"; readonly files: readonly File[] }
  | { readonly kind: "save"; readonly head: LearnedHead };

export interface LearningResult {
  readonly head: LearnedHead | null;
  /** Probabilities of each song by its path, one row per audible segment. */
  readonly probabilities: ReadonlyMap<string, Float32Array>;
  /** Result of the test on songs of other artists; null if there was none. */
  readonly tested: {
    readonly songs: number;
    readonly correct: number;
    /** Pairs of genres that cannot be told apart. */
    readonly confused: readonly (readonly [string, string])[];
  } | null;
  /** A saved file. */
  readonly file: Uint8Array<ArrayBuffer> | null;
}

export interface LearningResponse {
  readonly result: LearningResult | null;
  readonly error: string | null;
  /** True if the error is a text for the user. */
  readonly isForUser: boolean;
}

/**
 * Run a request in a worker.
 *
 * @throws LearningError if the user has to change something
 */
export async function runLearning(request: LearningRequest): Promise<LearningResult> {
  const worker = new Worker(new URL("./learning-worker.ts", import.meta.url));
  try {
    const response = await new Promise<LearningResponse>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<LearningResponse>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message || "the worker could not be started"));
      };
      worker.postMessage(request);
    });
    if (response.result) return response.result;
    throw response.isForUser ? new LearningError(response.error!) : new Error(response.error!);
  } finally {
    worker.terminate();
  }
}
