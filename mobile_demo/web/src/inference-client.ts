/** Connect the page to the inference worker, for one song at a time. */
import { AudioError, InferenceError } from "./errors.ts";
import type { ModelName } from "./models.ts";
import type { FileTags } from "./tags.ts";

/** Properties of a song that the page decodes, because the worker cannot. */
export interface DecodedSong {
  /** In Hz. */
  readonly sampleRate: number;
  /** Length of the decoded audio. */
  readonly seconds: number;
  /** Length of the whole song in seconds. */
  readonly durationSeconds: number;
  /** True if the end of the song was not decoded. */
  readonly isPartial: boolean;
}

export interface SongResult {
  /** One row of probabilities per segment; zeros for a segment that is silent or was not classified. */
  readonly probabilities: Float32Array;
  /** One row of features per segment whose probabilities are not zeros; null if the model has none. */
  readonly features: Int8Array | null;
  /** Length of the classified audio. */
  readonly analyzedSeconds: number;
  /** Length of the whole song. */
  readonly durationSeconds: number;
  /** True if parts of the song were not classified. */
  readonly partial: boolean;
}

export interface SongProgress {
  /** Share of the song that is classified. */
  readonly share: number;
  /** Null before the end of the song. */
  readonly result: SongResult | null;
}

export type InferenceRequest =
  | { readonly kind: "load"; readonly model: ModelName }
  | { readonly kind: "open"; readonly model: ModelName; readonly file: File }
  | { readonly kind: "openDecoded"; readonly model: ModelName; readonly song: DecodedSong }
  | { readonly kind: "tags"; readonly file: File }
  | { readonly kind: "next"; readonly channels: readonly Float32Array[] | null };

export interface InferenceResponse {
  /** Null except after a request for the next part of a song. */
  readonly progress: SongProgress | null;
  /** Reason why the worker cannot decode an opened file; the page may be able to. */
  readonly undecodable: string | null;
  readonly tags: FileTags | null;
  readonly error: string | null;
  /** True if the error comes from the song, false if it comes from the runtime. */
  readonly isAudioError: boolean;
}

interface PendingRequest {
  readonly resolve: (response: InferenceResponse) => void;
  readonly reject: (error: Error) => void;
}

export class InferenceClient {
  private readonly worker: Worker;
  private pending: PendingRequest | null = null;

  constructor(private readonly model: ModelName) {
    this.worker = new Worker(new URL("./inference-worker.ts", import.meta.url));
    this.worker.onmessage = ({ data }: MessageEvent<InferenceResponse>) => this.takePending()?.resolve(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.takePending()?.reject(new InferenceError(event.message || "the worker could not be started"));
    };
  }

  /** True if the worker has not answered yet. */
  get isBusy(): boolean {
    return this.pending !== null;
  }

  /**
   * Load the runtime and the model.
   *
   * @throws InferenceError if they cannot be loaded
   */
  async load(): Promise<void> {
    await this.send({ kind: "load", model: this.model });
  }

  /**
   * Start a song that the worker decodes.
   *
   * @returns null, or the reason if the worker cannot decode it
   * @throws AudioError if no program could
   */
  async open(file: File): Promise<string | null> {
    return (await this.send({ kind: "open", model: this.model, file })).undecodable;
  }

  /** Start a song whose samples come with the calls of `next`. */
  async openDecoded(song: DecodedSong): Promise<void> {
    await this.send({ kind: "openDecoded", model: this.model, song });
  }

  /**
   * Classify the next seconds of the song.
   *
   * @param channels samples of a song that the page decodes, which are transferred; null at its end
   * @throws AudioError if the song has no audible segment
   * @throws InferenceError if the runtime fails
   */
  async next(channels: readonly Float32Array[] | null = null): Promise<SongProgress> {
    const { progress } = await this.send({ kind: "next", channels }, channels?.map(({ buffer }) => buffer) ?? []);
    return progress!;
  }

  /** Return the tags of a file. */
  async tags(file: File): Promise<FileTags> {
    return (await this.send({ kind: "tags", file })).tags!;
  }

  /** End the worker, whatever it does. */
  close(): void {
    this.worker.terminate();
    this.takePending()?.reject(new InferenceError("the scan was stopped"));
  }

  private async send(request: InferenceRequest, transfer: Transferable[] = []): Promise<InferenceResponse> {
    // Responses carry no identifier, so only one request may be open.
    if (this.pending) throw new InferenceError("the worker is busy with another song");
    const response = await new Promise<InferenceResponse>((resolve, reject) => {
      this.pending = { resolve, reject };
      this.worker.postMessage(request, transfer);
    });
    if (response.error === null) return response;
    throw response.isAudioError ? new AudioError(response.error) : new InferenceError(response.error);
  }

  private takePending(): PendingRequest | null {
    const { pending } = this;
    this.pending = null;
    return pending;
  }
}
