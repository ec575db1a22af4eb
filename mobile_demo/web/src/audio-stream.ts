/**
 * Decode a file slice by slice, in a worker, with a demuxer and the browser's AudioDecoder.
 *
 * Only the slice in progress is in memory, so a song may have any length.
 */
import { type AudioSample, AudioSampleSink, type Input, type InputAudioTrack, MP3, MP4, QTFF } from "mediabunny";
import { HEADER_BYTES, openInput, readBytes, readHead } from "./demuxer.ts";
import { AudioError, errorText, UnreadableError } from "./errors.ts";
import { mp3Padding, NO_PADDING, Reader, statedSeconds } from "./rules/audio-format.ts";
import { PROTECTED_CODECS } from "./rules/constants.ts";
import { mixToMono } from "./rules/segments.ts";
import { reasons } from "./texts.ts";

/** An encoder adds less than this at both ends of a song together. */
const MAX_PADDING_SECONDS = 0.2;
/** Number of damaged places after which the rest of a song is left out. */
const MAX_FAULTS = 20;
/** Part of a damaged song that is skipped at each fault, in seconds. */
const SKIPPED_SECONDS = 0.1;

/** Mono samples in time order. */
export interface MonoSlice {
  readonly samples: Float32Array;
  /** In Hz. */
  readonly sampleRate: number;
}

/** A file that the browser decodes slice by slice. */
export class AudioStream {
  /**
   * @param start end of the encoder's padding, by the packets' times
   * @param seconds length by the last packet, without padding
   * @param stated length that the header states exactly, in seconds, or null
   */
  private constructor(
    private readonly input: Input,
    private readonly track: InputAudioTrack,
    private readonly start: number,
    readonly seconds: number,
    readonly stated: number | null,
  ) {}

  /**
   * Open a file and measure its length, without decoding it.
   *
   * @returns the stream, or the reason why the file cannot be decoded slice by slice; as a whole it may
   * @throws AudioError if the file is empty, copy-protected, or has no audio
   * @throws UnreadableError if it cannot be read now
   */
  static async open(file: File): Promise<AudioStream | string> {
    if (file.size === 0) throw new AudioError(reasons.empty);
    const head = await readHead(file);
    const input = (await isChained(file, head)) ? null : await openInput(file, head);
    if (!input) return reasons.notAudio;
    try {
      const track = await input.getPrimaryAudioTrack();
      if (!track) throw new AudioError(reasons.noAudio);
      // The demuxer reports the codec below an encryption that it does not know, so the browser would decode noise.
      if (PROTECTED_CODECS.includes(String(await track.getInternalCodecId()))) throw new AudioError(reasons.protected);
      if (!(await track.canDecode())) {
        const reason = await codecReason(track);
        input.dispose();
        return reason;
      }
      const format = await input.getFormat();
      const isMp4 = format === MP4 || format === QTFF;
      const stated = isMp4 ? await track.getDurationFromMetadata() : statedSeconds(head);
      const end = await track.computeDuration();
      const padding = format === MP3 ? mp3Padding(head) : NO_PADDING;
      // A file with other frames than its header counts is joined or cut off, so its end is not padding.
      const isWhole = stated !== null && Math.abs(stated - end) < MAX_PADDING_SECONDS;
      const seconds = end - padding.start - (isWhole ? padding.end : 0);
      return new AudioStream(input, track, padding.start, seconds, stated);
    } catch (error) {
      input.dispose();
      if (error instanceof AudioError) throw error;
      if (isReadError(error)) throw new UnreadableError(reasons.unreadable(errorText(error)));
      return reasons.notAudio;
    }
  }

  /**
   * Decode from a time to another, in seconds, as far as the song lasts.
   *
   * A damaged place is skipped.
   *
   * @throws AudioError if nothing can be decoded
   */
  async *read(from: number, to: number): AsyncGenerator<MonoSlice> {
    const first = this.start + from;
    const end = this.start + Math.min(to, this.seconds);
    let position = first;
    let decoded = false;
    for (let faults = 0; faults < MAX_FAULTS; faults++) {
      try {
        for await (const sample of new AudioSampleSink(this.track).samples(position, end)) {
          const slice = toMono(sample, first, end);
          position = sample.timestamp + sample.duration;
          sample.close();
          decoded = true;
          if (slice.samples.length > 0) yield slice;
        }
        return;
      } catch (error) {
        if (isReadError(error)) {
          throw new UnreadableError(reasons.unreadable(errorText(error)));
        }
        if (error instanceof RangeError) throw error; // out of memory
        position += SKIPPED_SECONDS;
        if (position >= end) break;
      }
    }
    if (!decoded && from === 0) throw new AudioError(reasons.notAudio);
  }

  close(): void {
    this.input.dispose();
  }
}

/** Average the channels of a sample, as far as it lies between two times in seconds. */
function toMono(sample: AudioSample, first: number, end: number): MonoSlice {
  const { sampleRate, numberOfFrames, numberOfChannels, timestamp } = sample;
  const frameAt = (time: number) => Math.min(Math.max(Math.round((time - timestamp) * sampleRate), 0), numberOfFrames);
  const frameOffset = frameAt(first);
  const frameCount = Math.max(0, frameAt(end) - frameOffset);
  const channels = Array.from({ length: numberOfChannels }, () => new Float32Array(frameCount));
  if (frameCount > 0) {
    for (const [planeIndex, channel] of channels.entries()) {
      sample.copyTo(channel, { format: "f32-planar", planeIndex, frameOffset, frameCount });
    }
  }
  return { samples: mixToMono(channels), sampleRate };
}

/** Return true for an Ogg file whose last stream does not begin at its start; the demuxer ends before that stream. */
async function isChained(file: File, head: Uint8Array): Promise<boolean> {
  if (new Reader(head).text(0, 4) !== "OggS") return false;
  const first = oggSerials(head, true);
  const last = oggSerials(await readBytes(file.slice(-HEADER_BYTES)), false).at(-1);
  return last !== undefined && !first.includes(last);
}

/** Return the serial numbers of Ogg pages, in order; of those that begin a stream only, if `beginning`. */
function oggSerials(bytes: Uint8Array, beginning: boolean): number[] {
  const file = new Reader(bytes);
  const serials: number[] = [];
  for (let at = file.find("OggS", 0, file.length); at >= 0; at = file.find("OggS", at + 4, file.length)) {
    if (file.u8(at + 4) === 0 && (!beginning || file.u8(at + 5) & 2)) serials.push(file.u32le(at + 14));
  }
  return serials;
}

/** Return why a track cannot be decoded, with the name of its codec. */
async function codecReason(track: InputAudioTrack): Promise<string> {
  const id = await track.getInternalCodecId();
  return reasons.codec((await track.getCodec()) ?? (typeof id === "string" ? id : null));
}

function isReadError(error: unknown): boolean {
  return error instanceof DOMException && ["NotReadableError", "NotFoundError"].includes(error.name);
}
