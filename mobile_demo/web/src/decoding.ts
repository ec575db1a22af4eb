/**
 * Decode a file to mono samples at its own sample rate.
 *
 * The browser decodes a whole song at once, which takes 21 MB per minute of stereo. Files that are
 * too long are therefore rejected before decoding, by the length in their header.
 */
import { AudioError, errorText, UnreadableError } from "./errors.ts";
import type { DecodedAudio } from "./inference-client.ts";
import { DEFAULT_RATE, endsEarly, readAudioFormat, statedSeconds } from "./rules/audio-format.ts";
import { mixToMono } from "./rules/segments.ts";
import { reasons } from "./texts.ts";

const MAX_MINUTES = 20;
const MAX_FILE_BYTES = 300 << 20;
/** Size in float32 of the longest song in stereo at 48 kHz. */
const MAX_DECODED_BYTES = MAX_MINUTES * 60 * 48_000 * 2 * Float32Array.BYTES_PER_ELEMENT;

/** Size of MAX_MINUTES at 32 kbit/s. The length of smaller files is not checked. */
const SHORT_FILE_BYTES = MAX_MINUTES * 60 * 4_000;
const METADATA_TIMEOUT_MS = 10_000;

/**
 * Decode a file and average its channels.
 *
 * @throws AudioError if the file cannot be read or decoded, or is too large or too long
 */
export async function decodeMono(file: File): Promise<DecodedAudio> {
  if (file.size === 0) throw new AudioError(reasons.empty);
  if (file.size > MAX_FILE_BYTES) throw new AudioError(reasons.tooLarge(file.size, MAX_FILE_BYTES));
  const seconds = file.size > SHORT_FILE_BYTES ? await headerSeconds(file) : 0;
  if (seconds > MAX_MINUTES * 60) throw new AudioError(reasons.tooLong(seconds, MAX_MINUTES));
  const bytes = await readBytes(file);
  const format = readAudioFormat(new Uint8Array(bytes));
  const stated = statedSeconds(new Uint8Array(bytes));
  const size = seconds * format.sampleRate * format.channels * Float32Array.BYTES_PER_ELEMENT;
  if (size > MAX_DECODED_BYTES) throw new AudioError(reasons.tooLargeDecoded(size, MAX_DECODED_BYTES));
  let decoded: AudioBuffer;
  try {
    decoded = await contextAt(format.sampleRate).decodeAudioData(bytes);
  } catch {
    throw new AudioError(reasons.notAudio);
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) => decoded.getChannelData(i));
  // An AudioBuffer's own samples cannot be transferred to a worker.
  const samples = channels.length === 1 ? channels[0]!.slice() : mixToMono(channels);
  const isPartial = endsEarly(stated, decoded.duration);
  const durationSeconds = isPartial ? stated! : decoded.duration;
  return { samples, sampleRate: decoded.sampleRate, durationSeconds, isPartial };
}

/** Create a context that decodes at a rate, or at DEFAULT_RATE if the browser rejects the rate. */
function contextAt(sampleRate: number): OfflineAudioContext {
  try {
    return new OfflineAudioContext(1, 1, sampleRate);
  } catch {
    return new OfflineAudioContext(1, 1, DEFAULT_RATE);
  }
}

async function readBytes(file: File): Promise<ArrayBuffer> {
  try {
    return await file.arrayBuffer();
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
