/**
 * Read a file's sample rate, number of channels and length from its headers.
 *
 * Browsers do not report them, and resample to the rate of the decoding context. A context with the
 * file's own rate leaves the samples unchanged.
 */
import { AudioError } from "../errors.ts";
import { reasons } from "../texts.ts";
import { PROTECTED_CODECS } from "./constants.ts";

/** Usual sample rates of music, in Hz. Files with another rate are decoded at DEFAULT_RATE. */
const RATES = new Set([
  8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400,
  192_000,
]);

/** Sample rate, in Hz, of a file whose header gives none. */
export const DEFAULT_RATE = 44_100;

/** Sample rates of MPEG 1, in Hz; halved in MPEG 2, quartered in MPEG 2.5. */
export const MPEG1_RATES = [44_100, 48_000, 32_000];
const AAC_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000];
/** AAC up to this rate is nearly always HE-AAC, which decodes to twice the rate in the header. */
const MAX_HALVED_RATE = 24_000;
/** Number of bytes in which a header is searched. */
const SEARCH_BYTES = 1 << 16;
/** Number of bytes of an MP3 frame in which its Xing header begins. */
const XING_BYTES = 44;
/** Distance of the encoder's name from the start of a Xing header with all of its fields. */
const LAME_OFFSET = 120;
/** Number of samples that every MP3 decoder adds. */
const MP3_DECODER_DELAY = 529;
/** Programs that write to a pipe state sizes from here on. */
const UNKNOWN_SIZE = 0x7fff0000;
/** Part of the stated length, and number of seconds, that may be missing: encoders count padding differently. */
const TOLERANCE = 0.02;
const MIN_TOLERANCE = 1;

export interface AudioFormat {
  /** In Hz. */
  readonly sampleRate: number;
  readonly channels: number;
}

/**
 * Return the format of a song; DEFAULT_RATE and stereo where the header does not give it.
 *
 * @throws AudioError if the file is copy-protected
 */
export function readAudioFormat(bytes: Uint8Array): AudioFormat {
  const { sampleRate, channels } = readHeader(new Reader(bytes)) ?? { sampleRate: 0, channels: 0 };
  return { sampleRate: RATES.has(sampleRate) ? sampleRate : DEFAULT_RATE, channels: channels || 2 };
}

/**
 * Return the length in seconds that a header states exactly, or null.
 *
 * Ogg, AAC and MP3 without a Xing header state none: their length follows from the bytes that are there.
 */
export function statedSeconds(bytes: Uint8Array): number | null {
  const file = new Reader(bytes);
  const start = file.text(0, 3) === "ID3" ? id3Length(file) : 0;
  const signature = file.text(start, 4);
  let seconds: number;
  if (signature === "RIFF") seconds = wavSeconds(file);
  else if (signature === "FORM") seconds = aiffSeconds(file, findChunk(file, "COMM", false));
  else if (signature === "fLaC") seconds = flacSeconds(file, start);
  else if (file.text(4, 4) === "ftyp") seconds = mp4Seconds(file);
  else seconds = xingSeconds(file, start);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}

/** Return true if less was decoded than a header states, as pocketgenre/audio/decoding.py. */
export function endsEarly(stated: number | null, decoded: number): boolean {
  return stated !== null && stated - decoded > Math.max(MIN_TOLERANCE, TOLERANCE * stated);
}

function readHeader(file: Reader): AudioFormat | undefined {
  const start = file.text(0, 3) === "ID3" ? id3Length(file) : 0;
  const signature = file.text(start, 4);
  if (signature === "RIFF" || signature === "RF64") return readWav(file, findChunk(file, "fmt ", true));
  if (signature === "FORM") return readAiff(file, findChunk(file, "COMM", false));
  if (signature === "fLaC") return readFlac(file, start);
  if (signature === "OggS") return readOgg(file);
  if (file.text(4, 4) === "ftyp") return readMp4(file);
  if (file.u32be(0) === 0x1a45dfa3) return readMatroska(file);
  return findMpegFrame(file, start);
}

/** Binary reader. Numbers beyond the end of the file are 0, and text is empty. */
export class Reader {
  private readonly view: DataView;
  readonly length: number;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = bytes.length;
  }

  private fits = (at: number, size: number) => at >= 0 && at + size <= this.length;
  u8 = (at: number) => this.bytes[at] ?? 0;
  u16be = (at: number) => (this.fits(at, 2) ? this.view.getUint16(at) : 0);
  u16le = (at: number) => (this.fits(at, 2) ? this.view.getUint16(at, true) : 0);
  u32be = (at: number) => (this.fits(at, 4) ? this.view.getUint32(at) : 0);
  u32le = (at: number) => (this.fits(at, 4) ? this.view.getUint32(at, true) : 0);
  f32be = (at: number) => (this.fits(at, 4) ? this.view.getFloat32(at) : 0);
  f64be = (at: number) => (this.fits(at, 8) ? this.view.getFloat64(at) : 0);
  indexOf = (byte: number, from: number) => this.bytes.indexOf(byte, from);
  text = (at: number, size: number) => String.fromCharCode(...this.bytes.subarray(at, at + size));

  /** Read an 80-bit float of AIFF; its first 48 bits suffice for a sample rate. */
  extended = (at: number) => this.u32be(at + 2) * 2 ** ((this.u16be(at) & 0x7fff) - 16383 - 31);

  /** Return the offset of a text, or -1 if it is missing. */
  find(text: string, from: number, to: number): number {
    const first = text.charCodeAt(0);
    const end = Math.min(to, this.length);
    for (let at = this.bytes.indexOf(first, from); at >= 0 && at < end; ) {
      if (this.text(at, text.length) === text) return at;
      at = this.bytes.indexOf(first, at + 1);
    }
    return -1;
  }
}

/** Return the number of bytes of an ID3v2 tag at the start of the file. */
export function id3Length(file: Reader): number {
  const sizes = [6, 7, 8, 9].map((at) => file.u8(at) & 0x7f);
  return 10 + sizes.reduce((sum, seven) => sum * 128 + seven, 0);
}

/** Return the offset of the content of a RIFF or AIFF chunk, or the file's length if it is missing. */
export function findChunk(file: Reader, name: string, littleEndian: boolean): number {
  for (let at = 12; at + 8 <= file.length; ) {
    if (file.text(at, 4) === name) return at + 8;
    const size = littleEndian ? file.u32le(at + 4) : file.u32be(at + 4);
    at += 8 + size + (size % 2);
  }
  return file.length;
}

function readWav(file: Reader, at: number): AudioFormat {
  return { sampleRate: file.u32le(at + 4), channels: file.u16le(at + 2) };
}

function wavSeconds(file: Reader): number {
  const format = findChunk(file, "fmt ", true);
  const size = file.u32le(findChunk(file, "data", true) - 4);
  const isPcm = [1, 3, 0xfffe].includes(file.u16le(format));
  return isPcm && size < UNKNOWN_SIZE ? size / (file.u16le(format + 12) * file.u32le(format + 4)) : 0;
}

function aiffSeconds(file: Reader, at: number): number {
  return file.u32be(at + 2) / file.extended(at + 8);
}

function flacSeconds(file: Reader, start: number): number {
  const fields = file.u32be(start + 18);
  const high = file.u8(start + 21) & 15; // of the 36 bits of the number of samples
  return (high * 2 ** 32 + file.u32be(start + 22)) / (fields >>> 12);
}

function readAiff(file: Reader, at: number): AudioFormat {
  return { sampleRate: file.extended(at + 8), channels: file.u16be(at) };
}

function readFlac(file: Reader, start: number): AudioFormat {
  const fields = file.u32be(start + 18); // rate and channels, in the STREAMINFO block
  return { sampleRate: fields >>> 12, channels: ((fields >>> 9) & 7) + 1 };
}

/** Return the offset of the first FLAC frame, behind the metadata. */
export function flacStart(file: Reader, start: number): number {
  let at = start + 4;
  for (let isLast = false; !isLast && at < file.length; ) {
    const head = file.u32be(at); // a flag, the type, and a size of 24 bits
    isLast = head >>> 31 === 1;
    at += 4 + (head & 0xffffff);
  }
  return at;
}

function readOgg(file: Reader): AudioFormat | undefined {
  const packet = 27 + file.u8(26);
  if (file.text(packet, 7) === "\x01vorbis") {
    return { sampleRate: file.u32le(packet + 12), channels: file.u8(packet + 11) };
  }
  if (file.text(packet, 8) === "OpusHead") return { sampleRate: 48_000, channels: file.u8(packet + 9) };
  if (file.text(packet, 5) === "\x7fFLAC") return readFlac(file, packet + 9);
  return undefined;
}

function readMp4(file: Reader): AudioFormat | undefined {
  const moov = findMoov(file);
  const end = moov + boxSize(file, moov);
  for (let at = file.find("stsd", moov, end); at >= 0; at = file.find("stsd", at + 4, end)) {
    const codec = file.text(at + 16, 4); // in the table's first entry
    const channels = file.u16be(at + 36);
    const rate = file.u16be(at + 44);
    if (PROTECTED_CODECS.includes(codec)) {
      throw new AudioError(reasons.protected);
    }
    if (codec === "mp4a") return { sampleRate: decodedAacRate(rate), channels };
    if (codec === "Opus") return { sampleRate: 48_000, channels };
    if (codec === "alac" || codec === "fLaC") return { sampleRate: rate, channels };
  }
  return undefined;
}

/** Read the media header of the first audio track. */
function mp4Seconds(file: Reader): number {
  const moov = findMoov(file);
  const end = moov + boxSize(file, moov);
  for (let at = file.find("mdhd", moov, end); at >= 0; at = file.find("mdhd", at + 4, end)) {
    const handler = file.find("hdlr", at, end);
    if (file.text(handler + 12, 4) !== "soun") continue;
    const isLong = file.u8(at + 4) === 1;
    const scale = file.u32be(at + (isLong ? 24 : 16));
    const length = isLong ? file.u32be(at + 28) * 2 ** 32 + file.u32be(at + 32) : file.u32be(at + 20);
    return length === 0xffffffff ? 0 : length / scale;
  }
  return 0;
}

function findMoov(file: Reader): number {
  let moov = 0;
  while (moov + 8 <= file.length && file.text(moov + 4, 4) !== "moov") moov += boxSize(file, moov);
  return moov;
}

/** Return the size of an MP4 box, at least that of its header, so that the search always advances. */
function boxSize(file: Reader, at: number): number {
  const size = file.u32be(at);
  if (size === 0) return file.length; // the box extends to the end of the file
  return Math.max(8, size === 1 ? file.u32be(at + 8) * 2 ** 32 + file.u32be(at + 12) : size);
}

function readMatroska(file: Reader): AudioFormat | undefined {
  const channels = 2; // not read from the file
  if (file.find("A_OPUS", 0, SEARCH_BYTES) >= 0) return { sampleRate: 48_000, channels };
  for (let at = file.find("\xb5", 0, SEARCH_BYTES); at >= 0; at = file.find("\xb5", at + 1, SEARCH_BYTES)) {
    const rate = file.u8(at + 1) === 0x84 ? file.f32be(at + 2) : file.f64be(at + 2);
    if (RATES.has(rate)) return { sampleRate: rate, channels };
  }
  return undefined;
}

/** Read the number of frames in the first frame of an MP3, which the encoder leaves for that. */
function xingSeconds(file: Reader, start: number): number {
  const frame = findMpegFrame(file, start);
  if (!frame) return 0;
  for (const name of ["Xing", "Info"]) {
    const at = file.find(name, frame.at, frame.at + XING_BYTES);
    if (at < 0 || !(file.u8(at + 7) & 1)) continue;
    return (file.u32be(at + 8) * (frame.sampleRate < 32_000 ? 576 : 1152)) / frame.sampleRate;
  }
  return 0;
}

/** Samples, in seconds, that an encoder adds at the start and at the end of a song. */
export interface Padding {
  readonly start: number;
  readonly end: number;
}

export const NO_PADDING: Padding = { start: 0, end: 0 };

/** Read the padding from the first frame of an MP3, where LAME and FFmpeg write it, as mpg123 does. */
export function mp3Padding(bytes: Uint8Array): Padding {
  const file = new Reader(bytes);
  const frame = findMpegFrame(file, 0);
  if (!frame) return NO_PADDING;
  for (const name of ["Xing", "Info"]) {
    const at = file.find(name, frame.at, frame.at + XING_BYTES);
    if (at < 0 || !["LAME", "Lavf", "Lavc"].includes(file.text(at + LAME_OFFSET, 4))) continue;
    const both = file.u32be(at + LAME_OFFSET + 21) >>> 8;
    const start = (both >>> 12) + MP3_DECODER_DELAY;
    const end = Math.max(0, (both & 0xfff) - MP3_DECODER_DELAY);
    return { start: start / frame.sampleRate, end: end / frame.sampleRate };
  }
  return NO_PADDING;
}

/** Find the first frame of MP3 or ADTS, and return its format and offset. */
export function findMpegFrame(file: Reader, start: number): (AudioFormat & { readonly at: number }) | undefined {
  for (let at = start; at < Math.min(file.length, start + SEARCH_BYTES); at++) {
    const head = file.u32be(at);
    if (head >>> 21 !== 0x7ff) continue;
    const version = (head >>> 19) & 3;
    const layer = (head >>> 17) & 3;
    if (layer === 0 && version & 2) {
      return { sampleRate: decodedAacRate(AAC_RATES[(head >>> 10) & 15] ?? 0), channels: (head >>> 6) & 7, at };
    }
    const rate = MPEG1_RATES[(head >>> 10) & 3];
    const bits = (head >>> 12) & 15;
    if (layer === 0 || version === 1 || bits === 0 || bits === 15 || !rate) continue;
    const divisor = { 3: 1, 2: 2, 0: 4 }[version as 0 | 2 | 3];
    return { sampleRate: rate / divisor, channels: ((head >>> 6) & 3) === 3 ? 1 : 2, at };
  }
  return undefined;
}

function decodedAacRate(rate: number): number {
  return rate <= MAX_HALVED_RATE ? 2 * rate : rate;
}
