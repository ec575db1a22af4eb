/** The page's side of the worker: one song at a time, a promise each. */
import { AudioError } from "./rules/errors.ts";
import type { ModelName } from "./models.ts";

/** A song as it was decoded: mono, at its own rate (Hz). */
export interface Sound {
  readonly samples: Float32Array;
  readonly rate: number;
}

export interface Request {
  readonly model: ModelName;
  /** null: only get ready. */
  readonly sound: Sound | null;
}

export interface Answer {
  readonly probabilities: Float32Array | null;
  readonly problem: string | null;
  /** The runtime is to blame, not the song. */
  readonly broken: boolean;
}

/** The worker can't do its work at all; the text says why. */
export class BrokenEarError extends Error {}

export class Ear {
  private readonly worker: Worker;
  private waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null = null;

  constructor(private readonly model: ModelName) {
    this.worker = new Worker(new URL("./worker.ts", import.meta.url));
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => this.settle()?.resolve(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.settle()?.reject(new BrokenEarError(event.message || "the worker could not be started"));
    };
  }

  /** Load the runtime and the model. */
  async prepare(): Promise<void> {
    await this.ask(null);
  }

  /**
   * Probabilities of a song's segments, row by row; the samples are handed over.
   *
   * @throws AudioError there is nothing to be said of the song.
   * @throws BrokenEarError the runtime failed.
   */
  async hear(sound: Sound): Promise<Float32Array> {
    const { probabilities } = await this.ask(sound);
    return probabilities!;
  }

  close(): void {
    this.worker.terminate();
    this.settle()?.reject(new BrokenEarError("the scan was ended"));
  }

  private async ask(sound: Sound | null): Promise<Answer> {
    // Two at once would get each other's answers.
    if (this.waiting) throw new BrokenEarError("it was asked to hear two songs at once");
    const request: Request = { model: this.model, sound };
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.worker.postMessage(request, sound ? [sound.samples.buffer] : []);
    });
    if (answer.problem === null) return answer;
    throw answer.broken ? new BrokenEarError(answer.problem) : new AudioError(answer.problem);
  }

  private settle() {
    const waiting = this.waiting;
    this.waiting = null;
    return waiting;
  }
}
