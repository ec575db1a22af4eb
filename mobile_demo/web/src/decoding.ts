/**
 * Decode a file to mono samples at its own sample rate.
 *
 * The browser decodes a whole song at once, which takes 21 MB per minute of stereo. A song that is too long
 * is therefore cut before decoding, or rejected if its format cannot be cut.
 */
import { AudioError, errorText, UnreadableError } from "./errors.ts";
import type { DecodedAudio } from "./inference-client.ts";
import { DEFAULT_RATE, endsEarly, readAudioFormat, statedSeconds } from "./rules/audio-format.ts";
import { MAX_PAGE_SONG_SECONDS } from "./rules/constants.ts";
import { cutSong, measureSong } from "./rules/excerpt.ts";
import { mixToMono } from "./rules/segments.ts";
import { reasons } from "./texts.ts";

const MAX_FILE_BYTES = 300 << 20;
/** Size in float32 of the longest song in stereo at 48 kHz. */
const MAX_DECODED_BYTES = MAX_PAGE_SONG_SECONDS * 48_000 * 2 * Float32Array.BYTES_PER_ELEMENT;
const METADATA_TIMEOUT_MS = 10_000;
// A song that exceeds a limit only by the padding of its encoder is accepted.
const PADDING_SECONDS = 1;
const PADDING_FACTOR = 1.01;

/**
 * Decode a file, up to MAX_PAGE_SONG_SECONDS, and average its channels.
 *
 * @throws AudioError if the file cannot be read or decoded, or is too large or too long to be decoded or cut
 */
export async function decodeMono(file: File): Promise<DecodedAudio> {
  if (file.size === 0) throw new AudioError(reasons.empty);
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
    if (seconds > MAX_PAGE_SONG_SECONDS + PADDING_SECONDS) {
      throw new AudioError(reasons.tooLong(seconds, MAX_PAGE_SONG_SECONDS / 60));
    }
    const size = seconds * bytesPerSecond;
    if (size > PADDING_FACTOR * MAX_DECODED_BYTES) {
      throw new AudioError(reasons.tooLargeDecoded(size, MAX_DECODED_BYTES));
    }
  }
  const readShare = bytes.length / file.size; // before decoding, which empties the array
  const decoded = await decode(cutSong(bytes, length), format.sampleRate);
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) => decoded.getChannelData(i));
  // An AudioBuffer's own samples cannot be transferred to a worker.
  const samples = channels.length === 1 ? channels[0]!.slice() : mixToMono(channels);
  const isPartial = isCut || endsEarly(stated, decoded.duration);
  // If only the start of a file was read, its rest is assumed to have the same bit rate.
  const measured = isCut ? (length.seconds ?? 0) / readShare : 0;
  const durationSeconds = isPartial ? Math.max(stated ?? measured, decoded.duration) : decoded.duration;
  return { samples, sampleRate: decoded.sampleRate, durationSeconds, isPartial };
}

async function decode(bytes: Uint8Array<ArrayBuffer>, sampleRate: number): Promise<AudioBuffer> {
  try {
    return await contextAt(sampleRate).decodeAudioData(bytes.buffer);
  } catch {
    throw new AudioError(reasons.notAudio);
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

/** Return the length in seconds that the file's header gives, or 0 if it gives none. */
async function headerSeconds(file: File): Promise<number> {
  const url = URL.createObjectURL(file);
  const audio = new Audio();
  try {
    return await new Promise<number>((resolve) => {
      const finish = () => resolve(Number.isFinite(audio.duration) ? audio.duration : 0);
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
