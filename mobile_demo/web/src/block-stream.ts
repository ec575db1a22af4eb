/** Decode AIFF, and WAV with ADPCM, slice by slice: formats of blocks of one size that no browser decodes. */
import type { MonoSlice, SongStream } from "./audio-stream.ts";
import { readBytes } from "./demuxer.ts";
import { AudioError } from "./errors.ts";
import { adpcmSamples, decodeAdpcm, IMA_ADPCM, MS_ADPCM } from "./rules/adpcm.ts";
import { Reader } from "./rules/audio-format.ts";
import { aiffFormat, decodePcm } from "./rules/pcm.ts";
import { mixToMono } from "./rules/segments.ts";
import { reasons } from "./texts.ts";

/** Number of chunks that are searched in a file. */
const MAX_CHUNKS = 1_000;
const MAX_CHANNELS = 64;
/** Rates for which a resampler takes little memory, in Hz. */
const MIN_RATE = 1_000, MAX_RATE = 768_000;
/** Number of samples of each channel that are decoded at once. */
const SLICE_SAMPLES = 1 << 15;

interface Layout {
  /** In Hz. */
  readonly sampleRate: number;
  /** Number of samples that the header states, or null. */
  readonly stated: number | null;
  /** Offset and size of the blocks in the file. */
  readonly start: number;
  readonly size: number;
  readonly blockBytes: number;
  readonly blockSamples: number;
  /** Decode whole blocks into the samples of each channel. */
  readonly decode: (blocks: Uint8Array) => Float32Array[];
}

export class BlockStream implements SongStream {
  readonly seconds: number;
  readonly stated: number | null;

  private constructor(private readonly file: File, private readonly layout: Layout) {
    const { sampleRate, stated, size, blockBytes, blockSamples } = layout;
    this.seconds = (Math.floor(size / blockBytes) * blockSamples) / sampleRate;
    this.stated = stated === null ? null : stated / sampleRate;
  }

  /**
   * Open a file; null if it has another format.
   *
   * @param head the first bytes of the file
   * @throws AudioError if it is compressed in another way
   */
  static async open(file: File, head: Uint8Array): Promise<BlockStream | null> {
    const reader = new Reader(head);
    const [signature, kind] = [reader.text(0, 4), reader.text(8, 4)];
    const isAiff = signature === "FORM" && ["AIFF", "AIFC"].includes(kind);
    if (!isAiff && !(signature === "RIFF" && kind === "WAVE")) return null;
    const chunks = await findChunks(file, !isAiff);
    const layout = isAiff ? await aiffLayout(file, chunks, kind === "AIFC") : await adpcmLayout(file, chunks);
    return layout && new BlockStream(file, layout);
  }

  async *read(from: number, to: number): AsyncGenerator<MonoSlice> {
    const { sampleRate, start, size, blockBytes, blockSamples, decode } = this.layout;
    const count = Math.floor(size / blockBytes);
    const first = Math.round(from * sampleRate);
    const end = Math.min(Math.round(to * sampleRate), count * blockSamples);
    const blocksAtOnce = Math.ceil(SLICE_SAMPLES / blockSamples);
    for (let block = Math.floor(first / blockSamples); block * blockSamples < end; block += blocksAtOnce) {
      const last = Math.min(block + blocksAtOnce, count);
      const content = await readBytes(this.file.slice(start + block * blockBytes, start + last * blockBytes));
      const offset = block * blockSamples;
      const samples = mixToMono(decode(content)).subarray(Math.max(0, first - offset), end - offset);
      if (samples.length > 0) yield { samples, sampleRate };
    }
  }

  close(): void {}
}

interface Chunk {
  readonly start: number;
  readonly size: number;
}

/** Find the chunks of a file by their names; a chunk that states a wrong size extends to the end of the file. */
async function findChunks(file: File, littleEndian: boolean): Promise<Map<string, Chunk>> {
  const chunks = new Map<string, Chunk>();
  let at = 12;
  for (let n = 0; n < MAX_CHUNKS && at + 8 <= file.size; n++) {
    const header = new Reader(await readBytes(file.slice(at, at + 8)));
    const stated = littleEndian ? header.u32le(4) : header.u32be(4);
    const rest = file.size - at - 8;
    const size = stated > rest ? rest : stated;
    const name = header.text(0, 4);
    if (!chunks.has(name)) chunks.set(name, { start: at + 8, size });
    at += 8 + size + (size % 2);
  }
  return chunks;
}

async function aiffLayout(
  file: File, chunks: ReadonlyMap<string, Chunk>, namesCompression: boolean,
): Promise<Layout> {
  const common = chunks.get("COMM"), sound = chunks.get("SSND");
  if (!common || !sound) throw new AudioError(reasons.noAudio);
  const header = new Reader(await readBytes(file.slice(common.start, common.start + 22)));
  const [channels, bits, sampleRate] = [header.u16be(0), header.u16be(6), Math.round(header.extended(8))];
  const compression = namesCompression ? header.text(18, 4) : "NONE";
  const format = aiffFormat(compression, bits);
  if (!format) throw new AudioError(reasons.codec(compression));
  const padding = new Reader(await readBytes(file.slice(sound.start, sound.start + 4))).u32be(0);
  const offset = 8 + Math.min(padding, sound.size);
  return checked({
    sampleRate,
    stated: header.u32be(2) || null,
    start: sound.start + offset,
    size: Math.max(0, sound.size - offset),
    blockBytes: format.size * channels,
    blockSamples: 1,
    decode: (content) => decodePcm(content, format, channels),
  }, channels);
}

async function adpcmLayout(file: File, chunks: ReadonlyMap<string, Chunk>): Promise<Layout | null> {
  const header = chunks.get("fmt "), data = chunks.get("data");
  if (!header || !data) return null;
  const fields = new Reader(await readBytes(file.slice(header.start, header.start + 16)));
  const format = fields.u16le(0), channels = fields.u16le(2), sampleRate = fields.u32le(4), blockBytes = fields.u16le(12);
  if (format !== MS_ADPCM && format !== IMA_ADPCM) return null;
  return checked({
    sampleRate,
    stated: null,
    start: data.start,
    size: data.size,
    blockBytes,
    blockSamples: channels > 0 ? adpcmSamples(format, blockBytes, channels) : 0,
    decode: (content) => joined(blocksOf(content, blockBytes).map((block) => decodeAdpcm(format, block, channels))),
  }, channels);
}

/** @throws AudioError if the header is not valid */
function checked(layout: Layout, channels: number): Layout {
  const { sampleRate, blockBytes, blockSamples } = layout;
  const isValid = sampleRate >= MIN_RATE && sampleRate <= MAX_RATE && channels >= 1 && channels <= MAX_CHANNELS;
  if (!isValid || blockBytes < 1 || blockSamples < 1) throw new AudioError(reasons.notAudio);
  return layout;
}

function blocksOf(content: Uint8Array, size: number): Uint8Array[] {
  const count = Math.floor(content.length / size);
  return Array.from({ length: count }, (_, n) => content.subarray(n * size, (n + 1) * size));
}

/** Append the samples of blocks, for each channel. */
function joined(blocks: readonly Float32Array[][]): Float32Array[] {
  const length = blocks.reduce((sum, [first]) => sum + first!.length, 0);
  return blocks[0]!.map((_, channel) => {
    const samples = new Float32Array(length);
    let at = 0;
    for (const block of blocks) {
      samples.set(block[channel]!, at);
      at += block[channel]!.length;
    }
    return samples;
  });
}
