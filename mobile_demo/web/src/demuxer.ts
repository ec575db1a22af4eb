/** Open the demuxer of a file with Mediabunny. */
import { ADTS, BlobSource, FLAC, Input, Logging, LogLevel, MATROSKA, MP3, MP4, OGG, QTFF, WAVE, WEBM } from "mediabunny";
import { errorText, UnreadableError } from "./errors.ts";
import { id3Length, Reader } from "./rules/audio-format.ts";
import { findFrames } from "./rules/excerpt.ts";
import { reasons } from "./texts.ts";

Logging.level = LogLevel.Silent; // unknown codecs are reported in the list of songs

const FORMATS = [MP4, QTFF, MATROSKA, WEBM, WAVE, OGG, FLAC, MP3, ADTS];
/** Number of bytes in which headers are searched, at the start and at the end of a file. */
export const HEADER_BYTES = 1 << 17;

/** Open the demuxer of a file, after other data before an MP3, if there are any; null for an unknown format. */
export async function openInput(file: File, head: Uint8Array): Promise<Input | null> {
  const offset = Math.max(0, findFrames(new Reader(head)));
  for (const content of offset ? [file, file.slice(offset)] : [file]) {
    const input = new Input({ formats: FORMATS, source: new BlobSource(content) });
    if (await input.canRead()) return input;
    input.dispose();
  }
  return null;
}

/** Return the first bytes of a file, behind an ID3 tag. */
export async function readHead(file: File): Promise<Uint8Array> {
  const head = await readBytes(file.slice(0, HEADER_BYTES));
  const reader = new Reader(head);
  if (reader.text(0, 3) !== "ID3") return head;
  const start = id3Length(reader);
  return readBytes(file.slice(start, start + HEADER_BYTES));
}

/** @throws UnreadableError if the file cannot be read now */
export async function readBytes(part: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await part.arrayBuffer());
  } catch (error) {
    throw new UnreadableError(reasons.unreadable(errorText(error)));
  }
}
