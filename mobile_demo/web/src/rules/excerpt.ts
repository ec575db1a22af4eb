/**
 * Measure a song by the frames, pages or clusters in its bytes, not by its header, and cut it.
 *
 * A browser decodes a song as a whole, so a song that is too long has to be cut before decoding. MP3,
 * AAC (ADTS), FLAC, Ogg, WAV and Matroska can be cut anywhere; MP4, with its table of all samples, cannot.
 */
import { findChunk, findMpegFrame, flacStart, id3Length, MPEG1_RATES, Reader } from "./audio-format.ts";

/** Length of a song. */
export interface SongLength {
  /** In seconds; null if the bytes do not show it. */
  readonly seconds: number | null;
  /** Offset of the first byte beyond the limit; null if the song is shorter or cannot be cut. */
  readonly end: number | null;
  /** 32-bit number of a header that states the length of the part before `end`; null if there is none. */
  readonly stated: { readonly at: number; readonly value: number; readonly littleEndian: boolean } | null;
}

/** Parts of a song: the end of each, in seconds from the start of the song, and its offset. */
type Parts = Generator<{ readonly seconds: number; readonly at: number }>;

const MP3_KBPS: Readonly<Record<string, readonly number[]>> = {
  "1 1": [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  "1 2": [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  "1 3": [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  "2 1": [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  "2 2": [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};
const ADTS_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
const FLAC_BLOCKS = [0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768];
/** EBML identifiers of Matroska. */
const CLUSTER = "\x1f\x43\xb6\x75";
const TIMESTAMP_SCALE = "\x2a\xd7\xb1";

/** Measure a song, and find where it exceeds a length in seconds. */
export function measureSong(bytes: Uint8Array, maxSeconds: number): SongLength {
  const file = new Reader(bytes);
  const start = file.text(0, 3) === "ID3" ? id3Length(file) : 0;
  const signature = file.text(start, 4);
  if (signature === "RIFF") return measureWav(file, maxSeconds);
  if (signature === "fLaC") {
    const length = cut(flacFrames(file, start), maxSeconds);
    // Zero is an unknown number of samples.
    return length.end === null ? length : { ...length, stated: { at: start + 22, value: 0, littleEndian: false } };
  }
  if (signature === "OggS") return cut(oggPages(file, start), maxSeconds);
  if (file.u32be(0) === 0x1a45dfa3) return cut(clusters(file), maxSeconds);
  const frame = file.text(4, 4) === "ftyp" || signature === "FORM" ? undefined : findMpegFrame(file, start);
  return cut(frame ? mpegFrames(file, frame.at) : [], maxSeconds);
}

/** Return the part of a song within the limit, or `bytes` unchanged if the whole song is. */
export function cutSong(bytes: Uint8Array<ArrayBuffer>, { end, stated }: SongLength): Uint8Array<ArrayBuffer> {
  if (end === null) return bytes;
  const excerpt = bytes.slice(0, end);
  if (stated) new DataView(excerpt.buffer).setUint32(stated.at, stated.value, stated.littleEndian);
  return excerpt;
}

function cut(parts: Iterable<{ readonly seconds: number; readonly at: number }>, maxSeconds: number): SongLength {
  let seconds: number | null = null;
  let end: number | null = null;
  for (const part of parts) {
    if (part.seconds > maxSeconds && seconds !== null) end ??= part.at;
    seconds = part.seconds;
  }
  return { seconds, end, stated: null };
}

function measureWav(file: Reader, maxSeconds: number): SongLength {
  const format = findChunk(file, "fmt ", true);
  const data = findChunk(file, "data", true);
  const frame = file.u16le(format + 12);
  const rate = frame * file.u32le(format + 4);
  const isPcm = [1, 3, 0xfffe].includes(file.u16le(format));
  if (!isPcm || rate === 0 || data >= file.length) return { seconds: null, end: null, stated: null };
  const stated = file.u32le(data - 4);
  const size = Math.min(stated || Infinity, file.length - data);
  const kept = Math.floor((maxSeconds * rate) / frame) * frame;
  if (size <= kept) return { seconds: size / rate, end: null, stated: null };
  return { seconds: size / rate, end: data + kept, stated: { at: data - 4, value: kept, littleEndian: true } };
}

/** Find the frames of MP3 and ADTS; other data between them is skipped. */
function* mpegFrames(file: Reader, start: number): Parts {
  let seconds = 0;
  for (let at = start; at >= 0 && at < file.length; ) {
    const frame = mpegFrame(file.u32be(at), file.u32be(at + 3));
    if (!frame) {
      at = file.indexOf(0xff, at + 1);
      continue;
    }
    seconds += frame.seconds;
    yield { seconds, at };
    at += frame.size;
  }
}

/** Bits of a frame header that all frames of a song share: sync code, version, layer and sample rate. */
const SAME_IN_ALL = 0xfffe0c00;
/** Number of consecutive frames that tell a song from other data, in which one frame may seem to begin. */
const FRAMES_IN_A_ROW = 3;

/** Return the offset of the first frames of MP3 or ADTS, behind other data; -1 if there are none. */
export function findFrames(file: Reader): number {
  for (let at = file.indexOf(0xff, 0); at >= 0; at = file.indexOf(0xff, at + 1)) {
    let next = at;
    for (let count = 0; ; count++) {
      if (count === FRAMES_IN_A_ROW) return at;
      const isSame = ((file.u32be(next) ^ file.u32be(at)) & SAME_IN_ALL) === 0;
      const frame = isSame ? mpegFrame(file.u32be(next), file.u32be(next + 3)) : undefined;
      if (!frame) break;
      next += frame.size;
    }
  }
  return -1;
}

/** Parse a frame header; `next` are the 32 bits from its fourth byte on. */
function mpegFrame(head: number, next: number): { seconds: number; size: number } | undefined {
  if (head >>> 21 !== 0x7ff) return undefined;
  const version = (head >>> 19) & 3;
  const layer = 4 - ((head >>> 17) & 3);
  if (layer === 4) {
    const rate = ADTS_RATES[(head >>> 10) & 15];
    const size = (next >>> 13) & 0x1fff; // 13 bits across bytes 3 to 5
    const blocks = (next & 3) + 1;
    return rate && size > 7 && version & 2 ? { seconds: (1024 * blocks) / rate, size } : undefined;
  }
  const base = MPEG1_RATES[(head >>> 10) & 3];
  const family = version === 3 ? 1 : 2;
  const kbps = MP3_KBPS[`${family} ${family === 2 ? Math.min(layer, 2) : layer}`]![(head >>> 12) & 15];
  if (version === 1 || !base || !kbps) return undefined;
  const rate = base / { 3: 1, 2: 2, 0: 4 }[version as 0 | 2 | 3];
  const samples = layer === 1 ? 384 : layer === 3 && family === 2 ? 576 : 1152;
  const slot = layer === 1 ? 4 : 1;
  const size = (Math.floor(((samples / 8) * kbps * 1000) / (rate * slot)) + ((head >>> 9) & 1)) * slot;
  return { seconds: samples / rate, size };
}

/** Find the frames of FLAC by their sync code and the checksum of their headers. */
function* flacFrames(file: Reader, start: number): Parts {
  const rate = file.u32be(start + 18) >>> 12;
  const first = flacStart(file, start);
  let samples = 0;
  for (let at = first; rate && at >= 0 && at < file.length; at = file.indexOf(0xff, at + 1)) {
    // The sample rate and the number of bits do not change within a file.
    const isFrame = file.u8(at + 1) >>> 1 === 0x7c && (file.u8(at + 2) & 15) === (file.u8(first + 2) & 15) &&
      (file.u8(at + 3) & 15) === (file.u8(first + 3) & 15);
    const block = isFrame ? flacBlock(file, at) : 0;
    samples += block;
    if (block) yield { seconds: samples / rate, at };
  }
}

/** Return the number of samples of a FLAC frame; 0 if its header is invalid. */
function flacBlock(file: Reader, start: number): number {
  const code = file.u8(start + 2) >>> 4;
  const rateBytes = { 12: 1, 13: 2, 14: 2 }[file.u8(start + 2) & 15] ?? 0;
  const first = file.u8(start + 4);
  const numberBytes = first < 0x80 ? 1 : Math.clz32(~(first << 24));
  const at = start + 4 + numberBytes;
  const blockBytes = code === 6 ? 1 : code === 7 ? 2 : 0;
  const end = at + blockBytes + rateBytes;
  let crc = 0;
  for (let n = start; n < end; n++) {
    crc ^= file.u8(n);
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  if (crc !== file.u8(end) || end >= file.length) return 0;
  if (code === 6) return file.u8(at) + 1;
  return code === 7 ? file.u16be(at) + 1 : FLAC_BLOCKS[code]!;
}

/** Follow the pages of Ogg; the times of chained streams are added. */
function* oggPages(file: Reader, start: number): Parts {
  let rate = 0, before = 0, seconds = 0, serial = -1;
  for (let at = start; at >= 0 && at + 27 <= file.length; ) {
    if (file.text(at, 4) !== "OggS") {
      at = file.find("OggS", at + 1, file.length);
      continue;
    }
    const count = file.u8(at + 26);
    const packet = at + 27 + count;
    const first = file.text(packet, 8);
    const isOpus = first === "OpusHead";
    const isFlac = first.startsWith("\x7fFLAC");
    if (file.u8(at + 5) & 2 && (first.startsWith("\x01vorbis") || isOpus || isFlac)) {
      rate = isOpus ? 48_000 : isFlac ? file.u32be(packet + 27) >>> 12 : file.u32le(packet + 12);
      serial = file.u32le(at + 14);
      before = seconds;
    }
    const high = file.u32le(at + 10);
    const isTimed = high < 2 ** 31 && file.u32le(at + 14) === serial && rate > 0; // -1: no packet ends
    if (isTimed) {
      seconds = before + (high * 2 ** 32 + file.u32le(at + 6)) / rate;
      yield { seconds, at };
    }
    at = packet;
    for (let n = packet - count; n < packet; n++) at += file.u8(n);
  }
}

/** Find the clusters of Matroska and WebM by their time stamps. */
function* clusters(file: Reader): Parts {
  const scale = file.find(TIMESTAMP_SCALE, 0, 1 << 16);
  let unit = 1e-3; // seconds
  if (scale >= 0) unit = bigEndian(file, scale + 4, file.u8(scale + 3) & 7) / 1e9 || unit;
  for (let at = file.find(CLUSTER, 0, file.length); at >= 0; at = file.find(CLUSTER, at + 4, file.length)) {
    let time = at + 4 + Math.clz32(file.u8(at + 4) << 24) + 1;
    if (file.u8(time) === 0xbf) time += 6; // a checksum
    if (file.u8(time) !== 0xe7) continue;
    yield { seconds: unit * bigEndian(file, time + 2, file.u8(time + 1) & 15), at };
  }
}

function bigEndian(file: Reader, at: number, size: number): number {
  let number = 0;
  for (let n = 0; n < size; n++) number = number * 256 + file.u8(at + n);
  return number;
}
