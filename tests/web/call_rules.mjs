// node call_rules.mjs MODULE: call functions of a module, a list of [name, arguments] on stdin.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const module = await import(pathToFileURL(process.argv[2]));
const calls = JSON.parse(readFileSync(0, "utf8"), (_, value) => {
  if (value?.float32) return Float32Array.from(value.float32);
  if (value?.bytes) return new Uint8Array(Buffer.from(value.bytes, "base64"));
  return value;
});
const encode = (_, value) => {
  if (value instanceof Map) return Object.fromEntries(value);
  return ArrayBuffer.isView(value) ? Array.from(value) : value;
};
const results = [];
for (const [name, args] of calls) {
  try {
    results.push({ value: await module[name](...args) });
  } catch (error) {
    results.push({ error: error.message });
  }
}
process.stdout.write(JSON.stringify(results, encode));
