/**
 * Any file that the browser plays to mono samples at the rate that it was recorded at.
 *
 * The browser decodes a song as a whole, and that takes memory: 21 MB for each stereo minute. So
 * what is too long is refused before, from what the file says of itself.
 */
import type { Sound } from "./hearing.ts";
import { AudioError, UnreadableError } from "./rules/errors.ts";
import { COMMONEST_RATE, soundFormat } from "./rules/format.ts";
import { mixDown } from "./rules/listening.ts";
import { reasons } from "./texts.ts";

export const LONGEST_MINUTES = 20;
export const LARGEST_BYTES = 300 << 20;
/** As floats: the longest song in stereo, and less of what has more channels or a higher rate. */
const LARGEST_DECODED_BYTES = LONGEST_MINUTES * 60 * 48_000 * 2 * Float32Array.BYTES_PER_ELEMENT;

/** Smaller files are not asked for their length: at 32 kbit/s they last less than the longest. */
const SURELY_SHORT_BYTES = LONGEST_MINUTES * 60 * 4_000;
const PATIENCE_MS = 10_000;

/**
 * Decode a file and mix its channels to their mean.
 *
 * @throws AudioError it can't be read or decoded, or is too large or too long.
 */
export async function decodeMono(file: File): Promise<Sound> {
  if (file.size === 0) throw new AudioError(reasons.empty);
  if (file.size > LARGEST_BYTES) throw new AudioError(reasons.tooLarge(file.size, LARGEST_BYTES));
  const seconds = file.size > SURELY_SHORT_BYTES ? await statedSeconds(file) : 0;
  if (seconds > LONGEST_MINUTES * 60) throw new AudioError(reasons.tooLong(seconds, LONGEST_MINUTES));
  const bytes = await readBytes(file);
  const format = soundFormat(new Uint8Array(bytes));
  const size = seconds * format.rate * format.channels * Float32Array.BYTES_PER_ELEMENT;
  if (size > LARGEST_DECODED_BYTES) {
    throw new AudioError(reasons.tooLargeDecoded(size, LARGEST_DECODED_BYTES));
  }
  let decoded: AudioBuffer;
  try {
    decoded = await contextAt(format.rate).decodeAudioData(bytes);
  } catch {
    throw new AudioError(reasons.notAudio);
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) => decoded.getChannelData(i));
  // A copy, since the buffer's own samples can't be handed to a worker.
  const samples = channels.length === 1 ? channels[0]!.slice() : mixDown(channels);
  return { samples, rate: decoded.sampleRate };
}

/** What decodes at a rate, or at the commonest where the browser doesn't go as low or as high. */
function contextAt(rate: number): OfflineAudioContext {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch {
    return new OfflineAudioContext(1, 1, COMMONEST_RATE);
  }
}

async function readBytes(file: File): Promise<ArrayBuffer> {
  try {
    return await file.arrayBuffer();
  } catch (error) {
    throw new UnreadableError(reasons.unreadable(error instanceof Error ? error.message : ""));
  }
}

/** How long a file says it is; 0 where it doesn't say. */
async function statedSeconds(file: File): Promise<number> {
  const url = URL.createObjectURL(file);
  const audio = new Audio();
  try {
    return await new Promise<number>((resolve) => {
      const tell = () => resolve(Number.isFinite(audio.duration) ? audio.duration : 0);
      audio.onloadedmetadata = tell;
      audio.onerror = tell;
      setTimeout(tell, PATIENCE_MS);
      audio.preload = "metadata";
      audio.src = url;
    });
  } finally {
    audio.removeAttribute("src");
    audio.load();
    URL.revokeObjectURL(url);
  }
}
