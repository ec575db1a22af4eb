/** Decode blocks of ADPCM in WAV files (Microsoft's and IMA's), as libsndfile. */

export const MS_ADPCM = 2, IMA_ADPCM = 17;

const MS_FACTORS = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];
const MS_WEIGHTS = [[256, 0], [512, -256], [0, 0], [192, 64], [240, 0], [460, -208], [392, -232]] as const;
const MS_MIN_STEP = 16;
const IMA_INDEX_STEPS = [-1, -1, -1, -1, 2, 4, 6, 8];
const IMA_STEPS = [
  7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
  118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
  1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
  6484, 7132, 7845, 8630, 9493, 10_442, 11_487, 12_635, 13_899, 15_289, 16_818, 18_500, 20_350, 22_385, 24_623,
  27_086, 29_794, 32_767,
];
const SCALE = 1 / 32_768;

/** Return the number of samples of each channel in a block; 0 if the block is too small. */
export function adpcmSamples(format: number, blockBytes: number, channels: number): number {
  const perChannel = Math.floor(blockBytes / channels);
  if (format === MS_ADPCM) return perChannel < 7 ? 0 : 2 * (perChannel - 7) + 2;
  return perChannel < 4 ? 0 : 8 * Math.floor((perChannel - 4) / 4) + 1;
}

/** Decode a block, and return the samples of each channel. */
export function decodeAdpcm(format: number, block: Uint8Array, channels: number): Float32Array[] {
  const length = adpcmSamples(format, block.length, channels);
  const decoded = Array.from({ length: channels }, () => new Float32Array(length));
  if (length > 0) (format === MS_ADPCM ? decodeMs : decodeIma)(block, decoded);
  return decoded;
}

function decodeMs(block: Uint8Array, decoded: readonly Float32Array[]): void {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const count = decoded.length;
  const states = decoded.map((samples, channel) => {
    const step = view.getInt16(count + 2 * channel, true);
    const newer = view.getInt16(3 * count + 2 * channel, true);
    const older = view.getInt16(5 * count + 2 * channel, true);
    samples[0] = older * SCALE;
    samples[1] = newer * SCALE;
    return { weights: MS_WEIGHTS[view.getUint8(channel)] ?? MS_WEIGHTS[0], step, newer, older };
  });
  for (let n = 0; n < count * (decoded[0]!.length - 2); n++) {
    const state = states[n % count]!;
    const byte = block[7 * count + (n >> 1)]!;
    const nibble = n & 1 ? byte & 15 : byte >> 4;
    const prediction = (state.newer * state.weights[0] + state.older * state.weights[1]) >> 8;
    const sample = clamp16(((nibble << 28) >> 28) * state.step + prediction);
    state.step = Math.max(MS_MIN_STEP, (MS_FACTORS[nibble]! * state.step) >> 8);
    state.older = state.newer;
    state.newer = sample;
    decoded[n % count]![2 + Math.floor(n / count)] = sample * SCALE;
  }
}

function decodeIma(block: Uint8Array, decoded: readonly Float32Array[]): void {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const count = decoded.length;
  for (const [channel, samples] of decoded.entries()) {
    let sample = view.getInt16(4 * channel, true);
    let index = Math.min(view.getUint8(4 * channel + 2), IMA_STEPS.length - 1);
    samples[0] = sample * SCALE;
    for (let n = 0; n < samples.length - 1; n++) {
      // Each channel in turn has four bytes, which hold eight samples.
      const byte = block[4 * count * (1 + (n >> 3)) + 4 * channel + ((n & 7) >> 1)]!;
      const nibble = n & 1 ? byte >> 4 : byte & 15;
      const step = IMA_STEPS[index]!;
      let change = step >> 3;
      if (nibble & 1) change += step >> 2;
      if (nibble & 2) change += step >> 1;
      if (nibble & 4) change += step;
      sample = clamp16(nibble & 8 ? sample - change : sample + change);
      index = Math.min(Math.max(index + IMA_INDEX_STEPS[nibble & 7]!, 0), IMA_STEPS.length - 1);
      samples[n + 1] = sample * SCALE;
    }
  }
}

function clamp16(value: number): number {
  return Math.min(Math.max(value, -32_768), 32_767);
}
