/** Convert uncompressed samples of AIFF files to numbers. */

/** Format of uncompressed samples. */
export interface PcmFormat {
  /** Number of bytes of a sample. */
  readonly size: 1 | 2 | 3 | 4 | 8;
  readonly isFloat: boolean;
  readonly littleEndian: boolean;
}

/**
 * Return the format of the samples of an AIFF or AIFF-C file; null for a compressed one.
 *
 * @param compression the four letters of the COMM chunk of AIFF-C; NONE for AIFF
 * @param bits bits of a sample
 */
export function aiffFormat(compression: string, bits: number): PcmFormat | null {
  const isFloat = /^fl(32|64)$/i.test(compression);
  if (!isFloat && !["NONE", "twos", "sowt", "in24", "in32"].includes(compression)) return null;
  const size = isFloat ? Number(compression.slice(2)) / 8 : Math.ceil(bits / 8);
  if (![1, 2, 3, 4, 8].includes(size) || (size === 8 && !isFloat)) return null;
  return { size: size as PcmFormat["size"], isFloat, littleEndian: compression === "sowt" };
}

/** Convert interleaved samples, and return those of each channel. */
export function decodePcm(
  content: Uint8Array, { size, isFloat, littleEndian }: PcmFormat, channels: number,
): Float32Array[] {
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const length = Math.floor(content.length / (size * channels));
  const sampleAt = (at: number): number => {
    if (isFloat) return size === 4 ? view.getFloat32(at, littleEndian) : view.getFloat64(at, littleEndian);
    switch (size) {
      case 1:
        return view.getInt8(at) / 2 ** 7;
      case 2:
        return view.getInt16(at, littleEndian) / 2 ** 15;
      case 3: // the sign is in the high byte
        return littleEndian
          ? (view.getInt8(at + 2) * 2 ** 16 + view.getUint16(at, true)) / 2 ** 23
          : (view.getInt8(at) * 2 ** 16 + view.getUint16(at + 1)) / 2 ** 23;
      default:
        return view.getInt32(at, littleEndian) / 2 ** 31;
    }
  };
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length }, (_unused, i) => sampleAt(size * (i * channels + channel))));
}
