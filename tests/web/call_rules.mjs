// node call_rules.mjs MODULE: call functions of a module, a list of [name, arguments] on stdin.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const module = await import(pathToFileURL(process.argv[2]));
const calls = JSON.parse(readFileSync(0, "utf8"), (_, value) => {
  if (value?.float32) return Float32Array.from(value.float32);
  if (value?.bytes) return new Uint8Array(Buffer.from(value.bytes, "base64"));
  return value;
});

const SLICE = 700; // samples

/** Call functions of streams with a whole song, which they get slice by slice. */
const streams = {
  resample(samples, from, to) {
    const stream = new module.Resampler(from, to).stream();
    return [...slices(samples).map((slice) => stream.push(slice)), stream.finish()].flatMap((part) => [...part]);
  },
  songSegments(samples, card) {
    const cutter = new module.SegmentCutter(card);
    const segments = slices(samples).flatMap((slice) => cutter.push(slice));
    segments.push(...cutter.finish());
    const silent = module.silentSegments(segments.map(module.level));
    return { segments, silent, isDamaged: cutter.isDamaged, seconds: cutter.seconds };
  },
  cutSegments(samples, card) {
    const cutter = new module.SegmentCutter(card);
    return [...slices(samples).flatMap((slice) => cutter.push(slice)), ...cutter.finish()];
  },
};

function slices(samples) {
  const size = Math.min(SLICE, Math.ceil(samples.length / 3) || 1);
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => samples.subarray(i * size, (i + 1) * size));
}

const encode = (_, value) => {
  if (value instanceof Map) return Object.fromEntries(value);
  return ArrayBuffer.isView(value) ? Array.from(value) : value;
};
const results = [];
for (const [name, args] of calls) {
  try {
    results.push({ value: await (streams[name] ?? module[name])(...args) });
  } catch (error) {
    results.push({ error: error.message });
  }
}
process.stdout.write(JSON.stringify(results, encode));
