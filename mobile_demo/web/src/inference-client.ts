/** Connect the page to the inference worker, for one song at a time. */
import { AudioError, InferenceError } from "./errors.ts";
import type { ModelName } from "./models.ts";

/** Mono samples at the song's own sample rate. */
export interface DecodedAudio {
  readonly samples: Float32Array;
  /** In Hz. */
  readonly sampleRate: number;
  /** Length of the whole song in seconds. */
  readonly durationSeconds: number;
  /** True if the file ends before the length that its header states. */
  readonly isPartial: boolean;
}

export interface InferenceResult {
  /** One row of probabilities per segment; zeros for a silent segment. */
  readonly probabilities: Float32Array;
  /** True if samples are not finite; the segments end before them. */
  readonly isDamaged: boolean;
  /** Length of the decoded audio. */
  readonly seconds: number;
}

export interface InferenceRequest {
  readonly model: ModelName;
  /** The song; null to load the model only. */
  readonly audio: DecodedAudio | null;
}

export interface InferenceResponse {
  /** Null after an error, and if there is no song. */
  readonly result: InferenceResult | null;
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

  /**
   * Load the runtime and the model.
   *
   * @throws InferenceError if they cannot be loaded
   */
  async load(): Promise<void> {
    await this.send(null);
  }

  /**
   * Predict the label probabilities of a song's segments; the samples are transferred.
   *
   * @throws AudioError if the song has no audible segment
   * @throws InferenceError if the runtime fails
   */
  async predict(audio: DecodedAudio): Promise<InferenceResult> {
    const { result } = await this.send(audio);
    return result!;
  }

  close(): void {
    this.worker.terminate();
    this.takePending()?.reject(new InferenceError("the scan was stopped"));
  }

  private async send(audio: DecodedAudio | null): Promise<InferenceResponse> {
    // Responses carry no identifier, so only one request may be open.
    if (this.pending) throw new InferenceError("the worker is busy with another song");
    const request: InferenceRequest = { model: this.model, audio };
    const response = await new Promise<InferenceResponse>((resolve, reject) => {
      this.pending = { resolve, reject };
      this.worker.postMessage(request, audio ? [audio.samples.buffer] : []);
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
