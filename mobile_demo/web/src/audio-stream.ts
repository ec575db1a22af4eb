/**
 * Decode a file slice by slice, in a worker, with a demuxer and the browser's AudioDecoder.
 *
 * Only the slice in progress is in memory, so a song may have any length.
 */
import { AudioSampleSink, EncodedPacketSink, type Input, type InputAudioTrack, MP3, MP4, QTFF } from "mediabunny";
import { BlockStream } from "./block-stream.ts";
import { HEADER_BYTES, openInput, readBytes, readHead } from "./demuxer.ts";
import { AudioError, errorText, UnreadableError } from "./errors.ts";
import { type AlacConfig, decodeAlac, readAlacConfig } from "./rules/alac.ts";
import { mp3Padding, NO_PADDING, Reader, statedSeconds } from "./rules/audio-format.ts";
import { PROTECTED_CODECS } from "./rules/constants.ts";
import { mixToMono } from "./rules/segments.ts";
import { reasons } from "./texts.ts";

/** An encoder adds less than this at both ends of a song together. */
const MAX_PADDING_SECONDS = 0.2;
/** Number of damaged places after which the rest of a song is left out. */
const MAX_FAULTS = 20;
/** Number of boxes of an MP4 file, and of bytes of its table, in which the configuration is searched. */
const MAX_BOXES = 1_000;
const TABLE_BYTES = 1 << 22;
/** Size of the box with this configuration. */
const ALAC_BOX_BYTES = 36;
/** Part of a damaged song that is skipped at each fault, in seconds. */
const SKIPPED_SECONDS = 0.1;

/** Mono samples in time order. */
export interface MonoSlice {
  readonly samples: Float32Array;
  /** In Hz. */
  readonly sampleRate: number;
}

/** A file that is decoded slice by slice. */
export interface SongStream {
  /** Length by the content, without padding. */
  readonly seconds: number;
  /** Length that the header states exactly, in seconds, or null. */
  readonly stated: number | null;
  /**
   * Decode from a time to another, in seconds, as far as the song lasts.
   *
   * A damaged place is skipped.
   *
   * @throws AudioError if nothing can be decoded
   */
  read(from: number, to: number): AsyncGenerator<MonoSlice>;
  close(): void;
}

/** Decoded samples of a packet. */
interface Samples {
  /** In seconds. */
  readonly timestamp: number;
  readonly sampleRate: number;
  /** Number of samples of each channel. */
  readonly length: number;
  /** Return a part of each channel. */
  readonly channels: (offset: number, count: number) => Float32Array[];
  readonly close: () => void;
}

/** Yields the packets of a track from a time to another, in seconds. */
type Decode = (from: number, to: number) => AsyncGenerator<Samples>;

/** A file with a demuxer, which the browser decodes, or, for Apple Lossless, the page. */
export class AudioStream implements SongStream {
  /**
   * @param start end of the encoder's padding, by the packets' times
   * @param seconds length by the last packet, without padding
   * @param stated length that the header states exactly, in seconds, or null
   */
  private constructor(
    private readonly input: Input,
    private readonly decode: Decode,
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
  static async open(file: File): Promise<SongStream | string> {
    if (file.size === 0) throw new AudioError(reasons.empty);
    const head = await readHead(file);
    const blocks = await BlockStream.open(file, head);
    if (blocks) return blocks;
    const input = (await isChained(file, head)) ? null : await openInput(file, head);
    if (!input) return reasons.notAudio;
    try {
      const track = await input.getPrimaryAudioTrack();
      if (!track) throw new AudioError(reasons.noAudio);
      // The demuxer reports the codec below an encryption that it does not know, so the browser would decode noise.
      if (PROTECTED_CODECS.includes(String(await track.getInternalCodecId()))) throw new AudioError(reasons.protected);
      const decode = (await track.canDecode()) ? browserDecoder(track) : await alacDecoder(file, track);
      if (!decode) {
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
      return new AudioStream(input, decode, padding.start, seconds, stated);
    } catch (error) {
      input.dispose();
      if (error instanceof AudioError) throw error;
      if (isReadError(error)) throw new UnreadableError(reasons.unreadable(errorText(error)));
      return reasons.notAudio;
    }
  }

  async *read(from: number, to: number): AsyncGenerator<MonoSlice> {
    const first = this.start + from;
    const end = this.start + Math.min(to, this.seconds);
    let position = first;
    let decoded = false;
    for (let faults = 0; faults < MAX_FAULTS; faults++) {
      try {
        for await (const samples of this.decode(position, end)) {
          const slice = toMono(samples, first, end);
          position = samples.timestamp + samples.length / samples.sampleRate;
          samples.close();
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

/** Average the channels, as far as they lie between two times in seconds. */
function toMono({ timestamp, sampleRate, length, channels }: Samples, first: number, end: number): MonoSlice {
  const indexOf = (time: number) => Math.min(Math.max(Math.round((time - timestamp) * sampleRate), 0), length);
  const offset = indexOf(first);
  const count = Math.max(0, indexOf(end) - offset);
  return { samples: count > 0 ? mixToMono(channels(offset, count)) : new Float32Array(0), sampleRate };
}

function browserDecoder(track: InputAudioTrack): Decode {
  return async function* (from, to) {
    for await (const sample of new AudioSampleSink(track).samples(from, to)) {
      const { timestamp, sampleRate, numberOfFrames: length, numberOfChannels } = sample;
      const channels = (frameOffset: number, frameCount: number) =>
        Array.from({ length: numberOfChannels }, (_, planeIndex) => {
          const channel = new Float32Array(frameCount);
          sample.copyTo(channel, { format: "f32-planar", planeIndex, frameOffset, frameCount });
          return channel;
        });
      yield { timestamp, sampleRate, length, channels, close: () => sample.close() };
    }
  };
}

/** Return the decoder of an Apple Lossless track; null for another codec. */
async function alacDecoder(file: File, track: InputAudioTrack): Promise<Decode | null> {
  const config = (await track.getInternalCodecId()) === "alac" ? await findAlacConfig(file) : null;
  if (!config) return null;
  const { sampleRate } = config;
  return async function* (from, to) {
    const sink = new EncodedPacketSink(track);
    let packet = (await sink.getPacket(from)) ?? (await sink.getFirstPacket());
    for (; packet && packet.timestamp < to; packet = await sink.getNextPacket(packet)) {
      const decoded = decodeAlac(packet.data, config);
      const channels = (offset: number, count: number) => decoded.map((one) => one.subarray(offset, offset + count));
      yield { timestamp: packet.timestamp, sampleRate, length: decoded[0]!.length, channels, close: () => {} };
    }
  };
}

/** Read the configuration in the table of the track's formats, which the demuxer does not return. */
async function findAlacConfig(file: File): Promise<AlacConfig | null> {
  for (let at = 0, n = 0; at < file.size && n < MAX_BOXES; n++) {
    const header = new Reader(await readBytes(file.slice(at, at + 16)));
    if (header.text(4, 4) === "moov") return alacConfigIn(await readBytes(file.slice(at, at + TABLE_BYTES)));
    const size = header.u32be(0) === 1 ? header.u32be(8) * 2 ** 32 + header.u32be(12) : header.u32be(0);
    at += Math.max(size, 8);
  }
  return null;
}

function alacConfigIn(table: Uint8Array): AlacConfig | null {
  const reader = new Reader(table);
  for (let at = reader.find("alac", 0, table.length); at >= 0; at = reader.find("alac", at + 4, table.length)) {
    const config = reader.u32be(at - 4) === ALAC_BOX_BYTES ? readAlacConfig(table.subarray(at + 8)) : null;
    if (config) return config;
  }
  return null;
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
