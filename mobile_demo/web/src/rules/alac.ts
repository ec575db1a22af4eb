/**
 * Decode Apple Lossless (ALAC), which some browsers cannot.
 *
 * A port of Apple's reference decoder (https://github.com/macosforge/alac, Apache-2.0): ALACDecoder.cpp (elements),
 * ag_dec.c (adaptive Golomb codes) and dp_dec.c (adaptive prediction). Numbers are 32-bit integers as there.
 */

/** A packet is damaged. */
export class AlacError extends Error {}

/** Properties of a track, from its sample entry. */
export interface AlacConfig {
  /** Number of samples of a packet; the last packet may have fewer. */
  readonly frameLength: number;
  readonly bitDepth: number;
  readonly historyMultiplier: number;
  readonly initialHistory: number;
  readonly riceLimit: number;
  readonly channels: number;
  /** In Hz. */
  readonly sampleRate: number;
}

const CONFIG_BYTES = 24;
const MAX_FRAME_LENGTH = 1 << 16;
const MAX_CHANNELS = 8;

/** Types of the elements of a packet. */
const SINGLE = 0, PAIR = 1, LOW_FREQUENCY = 3, DATA = 4, FILL = 6, END = 7;

/** Number of leading ones that announces a number without a code. */
const ESCAPE = 9;
const MEAN_SHIFT = 9;
const MAX_MEAN = 0xffff;
/** Mean below which a run of zeros may follow. */
const RUN_MEAN = 128;
/** Order of a predictor that adds the previous sample only. */
const DIFFERENCE = 31;

/** Read the configuration; null if it is not valid. */
export function readAlacConfig(bytes: Uint8Array): AlacConfig | null {
  if (bytes.length < CONFIG_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const config = {
    frameLength: view.getUint32(0),
    bitDepth: view.getUint8(5),
    historyMultiplier: view.getUint8(6),
    initialHistory: view.getUint8(7),
    riceLimit: view.getUint8(8),
    channels: view.getUint8(9),
    sampleRate: view.getUint32(20),
  };
  const isValid = config.frameLength > 0 && config.frameLength <= MAX_FRAME_LENGTH && config.sampleRate > 0 &&
    [16, 20, 24, 32].includes(config.bitDepth) && config.channels > 0 && config.channels <= MAX_CHANNELS &&
    config.riceLimit > 0 && config.riceLimit < 32;
  return isValid ? config : null;
}

/**
 * Decode a packet.
 *
 * @returns the samples of each channel, in the order of the packet
 * @throws AlacError if the packet is damaged
 */
export function decodeAlac(packet: Uint8Array, config: AlacConfig): Float32Array[] {
  const bits = new BitReader(packet);
  const channels: Float32Array[] = [];
  const scale = 2 ** (1 - config.bitDepth);
  for (let type = bits.read(3); type !== END; type = bits.read(3)) {
    if (type === SINGLE || type === LOW_FREQUENCY || type === PAIR) {
      for (const samples of decodeElement(bits, config, type === PAIR ? 2 : 1)) {
        channels.push(Float32Array.from(samples, (sample) => sample * scale));
      }
    } else if (type === DATA) skipData(bits);
    else if (type === FILL) skipFill(bits);
    else throw new AlacError("unknown element");
    if (channels.length > config.channels) throw new AlacError("too many channels");
    if (channels.length === config.channels) break; // some encoders omit the end
  }
  if (channels.length === 0 || channels.some(({ length }) => length !== channels[0]!.length)) {
    throw new AlacError("missing channels");
  }
  return channels;
}

/** Decode one channel or two. */
function decodeElement(bits: BitReader, config: AlacConfig, count: number): Int32Array[] {
  bits.read(4 + 12); // the element's number, and unused bits
  const hasLength = bits.read(1);
  const shift = 8 * bits.read(2); // number of low bits of each sample that are stored as they are
  const isRaw = bits.read(1);
  const length = hasLength ? bits.read(32) : config.frameLength;
  if (length > config.frameLength || shift >= config.bitDepth) throw new AlacError("invalid element");
  if (isRaw) return readRaw(bits, config.bitDepth, length, count);
  const mixBits = bits.read(8);
  const mixWeight = bits.readSigned(8);
  const predictors = Array.from({ length: count }, () => readPredictor(bits));
  const lowBits = bits.position;
  bits.position += shift * count * length;
  const width = config.bitDepth - shift + count - 1;
  if (width > 32) throw new AlacError("invalid element");
  const channels = predictors.map((predictor) => {
    const residuals = readResiduals(bits, config, predictor.historyFactor, width, length);
    // In this mode the residuals are differences of residuals.
    if (predictor.mode) predict(residuals, new Int16Array(0), DIFFERENCE, width, 0);
    return predict(residuals, predictor.weights, predictor.weights.length, width, predictor.shift);
  });
  if (count === 2 && mixWeight !== 0) unmix(channels[0]!, channels[1]!, mixBits, mixWeight);
  if (shift > 0) addLowBits(bits, lowBits, channels, shift);
  return channels;
}

function readRaw(bits: BitReader, depth: number, length: number, count: number): Int32Array[] {
  const channels = Array.from({ length: count }, () => new Int32Array(length));
  for (let i = 0; i < length; i++) for (const channel of channels) channel[i] = bits.readSigned(depth);
  return channels;
}

interface Predictor {
  readonly mode: number;
  readonly shift: number;
  readonly historyFactor: number;
  readonly weights: Int16Array;
}

function readPredictor(bits: BitReader): Predictor {
  const mode = bits.read(4), shift = bits.read(4), historyFactor = bits.read(3);
  const weights = Int16Array.from({ length: bits.read(5) }, () => bits.readSigned(16));
  return { mode, shift, historyFactor, weights };
}

/** Decode numbers whose code depends on the mean of those before. */
function readResiduals(
  bits: BitReader, { historyMultiplier, initialHistory, riceLimit }: AlacConfig,
  factor: number, width: number, length: number,
): Int32Array {
  const residuals = new Int32Array(length);
  const weight = (historyMultiplier * factor) >> 2;
  let mean = initialHistory;
  let isAfterRun = 0;
  for (let i = 0; i < length; ) {
    const k = Math.min(31 - Math.clz32((mean >>> MEAN_SHIFT) + 3), riceLimit);
    const n = bits.readGolomb(k, (1 << k) - 1, width);
    const value = n + isAfterRun;
    residuals[i++] = value & 1 ? -((value + 1) >>> 1) : value >>> 1;
    mean = n > MAX_MEAN ? MAX_MEAN : (weight * value + mean - ((weight * mean) >>> MEAN_SHIFT)) >>> 0;
    isAfterRun = 0;
    if (mean >= RUN_MEAN || i >= length) continue;
    const runK = Math.clz32(mean) - 24 + ((mean + 16) >>> 6);
    const run = bits.readGolomb(runK, ((1 << runK) - 1) & ((1 << riceLimit) - 1), 16);
    if (run > length - i) throw new AlacError("a run beyond the packet");
    i += run;
    isAfterRun = run < MAX_MEAN ? 1 : 0;
    mean = 0;
  }
  return residuals;
}

/** Replace residuals by samples, in place. */
function predict(values: Int32Array, weights: Int16Array, order: number, width: number, shift: number): Int32Array {
  if (order === 0) return values;
  const unused = 32 - width;
  const wrapped = (value: number) => (value << unused) >> unused;
  const warmUp = order === DIFFERENCE ? values.length : Math.min(order + 1, values.length);
  for (let i = 1; i < warmUp; i++) values[i] = wrapped(values[i]! + values[i - 1]!);
  const half = shift > 0 ? 1 << (shift - 1) : 0;
  for (let i = warmUp; i < values.length; i++) {
    const base = values[i - order - 1]!;
    let sum = 0;
    for (let k = 0; k < order; k++) sum = (sum + Math.imul(weights[k]!, values[i - 1 - k]! - base)) | 0;
    let error = values[i]!;
    values[i] = wrapped(error + base + ((sum + half) >> shift));
    const sign = Math.sign(error);
    for (let k = order - 1; k >= 0 && sign * error > 0; k--) {
      const difference = base - values[i - 1 - k]!;
      const step = sign * Math.sign(difference);
      weights[k]! -= step;
      error -= (order - k) * ((step * difference) >> shift);
    }
  }
  return values;
}

/** Replace sum and difference by left and right. */
function unmix(left: Int32Array, right: Int32Array, mixBits: number, weight: number): void {
  for (let i = 0; i < left.length; i++) {
    const difference = right[i]!;
    left[i] = left[i]! + difference - (Math.imul(weight, difference) >> mixBits);
    right[i] = left[i]! - difference;
  }
}

function addLowBits(bits: BitReader, start: number, channels: readonly Int32Array[], shift: number): void {
  const end = bits.position;
  bits.position = start;
  for (let i = 0; i < channels[0]!.length; i++) {
    for (const channel of channels) channel[i] = (channel[i]! << shift) | bits.read(shift);
  }
  bits.position = end;
}

function skipData(bits: BitReader): void {
  bits.read(4);
  const isAligned = bits.read(1);
  const count = bits.read(8);
  const bytes = count === 255 ? count + bits.read(8) : count;
  if (isAligned) bits.position = 8 * Math.ceil(bits.position / 8);
  bits.position += 8 * bytes;
}

function skipFill(bits: BitReader): void {
  const count = bits.read(4);
  bits.position += 8 * (count === 15 ? count + bits.read(8) - 1 : count);
}

class BitReader {
  position = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** Read an unsigned number of up to 32 bits. */
  read(count: number): number {
    if (count === 0) return 0;
    const value = this.peek() >>> (32 - count);
    this.position += count;
    if (this.position > 8 * this.bytes.length) throw new AlacError("the packet ends early");
    return value;
  }

  readSigned(count: number): number {
    return (this.read(count) << (32 - count)) >> (32 - count);
  }

  /** Read a number in an adaptive Golomb code, or in `width` bits after an escape. */
  readGolomb(k: number, m: number, width: number): number {
    const ones = Math.min(Math.clz32(~this.peek()), ESCAPE);
    if (ones === ESCAPE) {
      this.position += ESCAPE;
      return this.read(width);
    }
    this.position += ones + 1;
    const rest = this.peek() >>> (32 - k);
    this.position += rest >= 2 ? k : k - 1;
    if (this.position > 8 * this.bytes.length) throw new AlacError("the packet ends early");
    return ones * m + Math.max(0, rest - 1);
  }

  /** Return the next 32 bits, with zeros beyond the end. */
  private peek(): number {
    const at = this.position >>> 3;
    const offset = this.position & 7;
    const byte = (index: number) => this.bytes[at + index] ?? 0;
    const high = (byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3);
    return offset === 0 ? high >>> 0 : ((high << offset) | (byte(4) >>> (8 - offset))) >>> 0;
  }
}
