/** Identify a moved file by a hash of its content, as pocketgenre/library/file_hash.py. */
import { blake2b } from "@noble/hashes/blake2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

const SAMPLES = 16;
const SAMPLE_BYTES = 4096;
const HASH_BYTES = 16;

/** Hash a file's length and sixteen samples spread over it (BLAKE2b), in hexadecimal. */
export async function hashFile(file: Blob): Promise<string> {
  const hash = blake2b.create({ dkLen: HASH_BYTES });
  const size = new DataView(new ArrayBuffer(8));
  size.setBigUint64(0, BigInt(file.size), true);
  hash.update(new Uint8Array(size.buffer));
  const last = Math.max(0, file.size - SAMPLE_BYTES);
  for (let number = 0; number < SAMPLES; number++) {
    const at = Math.floor((last * number) / (SAMPLES - 1));
    hash.update(new Uint8Array(await file.slice(at, at + SAMPLE_BYTES).arrayBuffer()));
  }
  return bytesToHex(hash.digest());
}
