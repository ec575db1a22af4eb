/**
 * At which rate and with how many channels a file was recorded, from its first bytes.
 *
 * Browsers don't say, and resample to whatever rate they are asked for. Asked for the file's own
 * they leave the samples as they are.
 */

import { AudioError } from "./errors.ts";

/** In Hz; those of music. Files of others are decoded at the commonest. */
const RATES = new Set([
  8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400,
  192_000,
]);

/** In Hz, where a file doesn't say. */
export const COMMONEST_RATE = 44_100;

const MPEG1_RATES = [44_100, 48_000, 32_000];
const AAC_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000];
/** AAC of no more than this is nearly always half of what is to be heard (HE-AAC). */
const HALVED_RATE = 24_000;
const SEARCHED = 1 << 16;
/** What Apple's store sold until 2009, and common encryption: it would decode to noise. */
const PROTECTED = ["drms", "enca"];

export interface Format {
  /** In Hz. */
  readonly rate: number;
  readonly channels: number;
}

/**
 * How a song was recorded; at COMMONEST_RATE and in stereo where it isn't known.
 *
 * @throws AudioError it is protected against copying.
 */
export function soundFormat(bytes: Uint8Array): Format {
  const { rate, channels } = stated(new Reader(bytes)) ?? { rate: 0, channels: 0 };
  return { rate: RATES.has(rate) ? rate : COMMONEST_RATE, channels: channels || 2 };
}

function stated(file: Reader): Format | undefined {
  const start = file.text(0, 3) === "ID3" ? id3Length(file) : 0;
  const kind = file.text(start, 4);
  if (kind === "RIFF" || kind === "RF64") return ofWav(file, chunk(file, "fmt ", true));
  if (kind === "FORM") return ofAiff(file, chunk(file, "COMM", false));
  if (kind === "fLaC") return ofFlac(file, start);
  if (kind === "OggS") return ofOgg(file);
  if (file.text(4, 4) === "ftyp") return ofMp4(file);
  if (file.u32be(0) === 0x1a45dfa3) return ofMatroska(file);
  return ofMpeg(file, start);
}

class Reader {
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
  text = (at: number, size: number) => String.fromCharCode(...this.bytes.subarray(at, at + size));

  /** AIFF's 80-bit float, of which a rate needs the first 48 bits. */
  extended = (at: number) => this.u32be(at + 2) * 2 ** ((this.u16be(at) & 0x7fff) - 16383 - 31);

  /** Where a text begins, -1 if it isn't there. */
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

function id3Length(file: Reader): number {
  const sizes = [6, 7, 8, 9].map((at) => file.u8(at) & 0x7f);
  return 10 + sizes.reduce((sum, seven) => sum * 128 + seven, 0);
}

/** Where the content of a RIFF or AIFF chunk begins; the file's length if there is none. */
function chunk(file: Reader, name: string, little: boolean): number {
  for (let at = 12; at + 8 <= file.length; ) {
    if (file.text(at, 4) === name) return at + 8;
    const size = little ? file.u32le(at + 4) : file.u32be(at + 4);
    at += 8 + size + (size % 2);
  }
  return file.length;
}

function ofWav(file: Reader, at: number): Format {
  return { rate: file.u32le(at + 4), channels: file.u16le(at + 2) };
}

function ofAiff(file: Reader, at: number): Format {
  return { rate: file.extended(at + 8), channels: file.u16be(at) };
}

function ofFlac(file: Reader, start: number): Format {
  const both = file.u32be(start + 18); // of the first block, STREAMINFO
  return { rate: both >>> 12, channels: ((both >>> 9) & 7) + 1 };
}

function ofOgg(file: Reader): Format | undefined {
  const packet = 27 + file.u8(26);
  if (file.text(packet, 7) === "\x01vorbis") {
    return { rate: file.u32le(packet + 12), channels: file.u8(packet + 11) };
  }
  if (file.text(packet, 8) === "OpusHead") return { rate: 48_000, channels: file.u8(packet + 9) };
  if (file.text(packet, 5) === "\x7fFLAC") return ofFlac(file, packet + 9);
  return undefined;
}

function ofMp4(file: Reader): Format | undefined {
  let moov = 0;
  while (moov + 8 <= file.length && file.text(moov + 4, 4) !== "moov") moov += boxSize(file, moov);
  const end = moov + boxSize(file, moov);
  for (let at = file.find("stsd", moov, end); at >= 0; at = file.find("stsd", at + 4, end)) {
    const codec = file.text(at + 16, 4); // of the table's first entry
    const channels = file.u16be(at + 36);
    const rate = file.u16be(at + 44);
    if (PROTECTED.includes(codec)) throw new AudioError("it is protected against copying, so it cannot be decoded");
    if (codec === "mp4a") return { rate: heard(rate), channels };
    if (codec === "Opus") return { rate: 48_000, channels };
    if (codec === "alac" || codec === "fLaC") return { rate, channels };
  }
  return undefined;
}

/** Of a box of MP4, no less than its head, whatever it says of itself. */
function boxSize(file: Reader, at: number): number {
  const size = file.u32be(at);
  if (size === 0) return file.length; // to the end
  return Math.max(8, size === 1 ? file.u32be(at + 8) * 2 ** 32 + file.u32be(at + 12) : size);
}

function ofMatroska(file: Reader): Format | undefined {
  const channels = 2; // not looked for
  if (file.find("A_OPUS", 0, SEARCHED) >= 0) return { rate: 48_000, channels };
  for (let at = file.find("\xb5", 0, SEARCHED); at >= 0; at = file.find("\xb5", at + 1, SEARCHED)) {
    const rate = file.u8(at + 1) === 0x84 ? file.f32be(at + 2) : file.f64be(at + 2);
    if (RATES.has(rate)) return { rate, channels };
  }
  return undefined;
}

/** Of the first frame of MP3 or ADTS. */
function ofMpeg(file: Reader, start: number): Format | undefined {
  for (let at = start; at < Math.min(file.length, start + SEARCHED); at++) {
    const head = file.u32be(at);
    if (head >>> 21 !== 0x7ff) continue;
    const version = (head >>> 19) & 3;
    const layer = (head >>> 17) & 3;
    if (layer === 0 && version & 2) {
      return { rate: heard(AAC_RATES[(head >>> 10) & 15] ?? 0), channels: (head >>> 6) & 7 };
    }
    const rate = MPEG1_RATES[(head >>> 10) & 3];
    const bits = (head >>> 12) & 15;
    if (layer === 0 || version === 1 || bits === 0 || bits === 15 || !rate) continue;
    const slower = { 3: 1, 2: 2, 0: 4 }[version as 0 | 2 | 3];
    return { rate: rate / slower, channels: ((head >>> 6) & 3) === 3 ? 1 : 2 };
  }
  return undefined;
}

function heard(rate: number): number {
  return rate <= HALVED_RATE ? 2 * rate : rate;
}
