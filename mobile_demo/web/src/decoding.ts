/**
 * Decode a whole file in the page, for formats that the worker cannot decode slice by slice.
 *
 * Those are formats without a demuxer here, and every compressed one in a browser without AudioDecoder. A song
 * takes 21 MB per minute of stereo, so a song that is too long is cut before decoding, or rejected.
 */
import { AudioError, errorText, UnreadableError } from "./errors.ts";
import type { DecodedSong } from "./inference-client.ts";
import { DEFAULT_RATE, endsEarly, readAudioFormat, statedSeconds } from "./rules/audio-format.ts";
import { MAX_PAGE_SONG_SECONDS } from "./rules/constants.ts";
import { cutSong, measureSong } from "./rules/excerpt.ts";
import { reasons } from "./texts.ts";

const MAX_FILE_BYTES = 100 << 20;
/** Size of the samples in float32. */
const MAX_DECODED_BYTES = 240 << 20;
/** Number of samples of each channel in one slice. */
const SLICE_SAMPLES = 1 << 18;
const METADATA_TIMEOUT_MS = 10_000;
// A song that exceeds a limit only by the padding of its encoder is accepted.
const PADDING_SECONDS = 1;
const PADDING_FACTOR = 1.01;

export interface WholeSong {
  readonly song: DecodedSong;
  /** Yields the channels of each slice, as copies that can be transferred. */
  readonly slices: Generator<Float32Array[]>;
}

/**
 * Decode a file, as far as its samples fit in the memory of a phone.
 *
 * @param reason reason for the user if the browser cannot decode it
 * @throws AudioError if the file cannot be read or decoded, or is too large or too long to be decoded or cut
 */
export async function decodeWhole(file: File, reason: string): Promise<WholeSong> {
  const bytes = await readBytes(file.slice(0, MAX_FILE_BYTES));
  const format = readAudioFormat(bytes);
  const stated = statedSeconds(bytes);
  const bytesPerSecond = format.sampleRate * format.channels * Float32Array.BYTES_PER_ELEMENT;
  const maxSeconds = Math.min(MAX_PAGE_SONG_SECONDS, MAX_DECODED_BYTES / bytesPerSecond);
  const length = measureSong(bytes, maxSeconds);
  const isCut = length.end !== null || (file.size > bytes.length && length.seconds !== null);
  if (!isCut) {
    if (file.size > bytes.length) throw new AudioError(reasons.tooLarge(file.size, MAX_FILE_BYTES));
    const seconds = length.seconds ?? stated ?? (await headerSeconds(file));
    if (seconds === null) throw new AudioError(reason);
    if (seconds > MAX_PAGE_SONG_SECONDS + PADDING_SECONDS) {
      throw new AudioError(reasons.tooLong(seconds, MAX_PAGE_SONG_SECONDS / 60));
    }
    const size = seconds * bytesPerSecond;
    if (size > PADDING_FACTOR * MAX_DECODED_BYTES) {
      throw new AudioError(reasons.tooLargeDecoded(size, MAX_DECODED_BYTES));
    }
  }
  const readShare = bytes.length / file.size; // before decoding, which empties the array
  const decoded = await decode(cutSong(bytes, length), format.sampleRate, reason);
  const isPartial = isCut || endsEarly(stated, decoded.duration);
  // If only the start of a file was read, its rest is assumed to have the same bit rate.
  const measured = isCut ? (length.seconds ?? 0) / readShare : 0;
  const durationSeconds = isPartial ? Math.max(stated ?? measured, decoded.duration) : decoded.duration;
  const song = { sampleRate: decoded.sampleRate, seconds: decoded.duration, durationSeconds, isPartial };
  return { song, slices: slices(decoded) };
}

function* slices(decoded: AudioBuffer): Generator<Float32Array[]> {
  for (let at = 0; at < decoded.length; at += SLICE_SAMPLES) {
    const size = Math.min(SLICE_SAMPLES, decoded.length - at);
    yield Array.from({ length: decoded.numberOfChannels }, (_, i) => {
      const channel = new Float32Array(size);
      decoded.copyFromChannel(channel, i, at);
      return channel;
    });
  }
}

async function decode(bytes: Uint8Array<ArrayBuffer>, sampleRate: number, reason: string): Promise<AudioBuffer> {
  try {
    return await contextAt(sampleRate).decodeAudioData(bytes.buffer);
  } catch {
    throw new AudioError(reason);
  }
}

/** Create a context that decodes at a rate, or at DEFAULT_RATE if the browser rejects the rate. */
function contextAt(sampleRate: number): OfflineAudioContext {
  try {
    return new OfflineAudioContext(1, 1, sampleRate);
  } catch {
    return new OfflineAudioContext(1, 1, DEFAULT_RATE);
  }
}

async function readBytes(file: Blob): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new UnreadableError(reasons.unreadable(errorText(error)));
  }
}

/** Return the length in seconds that the browser reads from the file's header, or null if there is none. */
async function headerSeconds(file: File): Promise<number | null> {
  const url = URL.createObjectURL(file);
  const audio = new Audio();
  try {
    return await new Promise<number | null>((resolve) => {
      const finish = () => resolve(Number.isFinite(audio.duration) ? audio.duration : null);
      audio.onloadedmetadata = finish;
      audio.onerror = finish;
      setTimeout(finish, METADATA_TIMEOUT_MS);
      audio.preload = "metadata";
      audio.src = url;
    });
  } finally {
    audio.removeAttribute("src");
    audio.load();
    URL.revokeObjectURL(url);
  }
}
