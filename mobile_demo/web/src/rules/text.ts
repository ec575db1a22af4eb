/** Text that comes from files, made fit to be shown, as mobile_demo/text.py. */

const UNPRINTABLE = /[^\P{C}]|[^\P{Z} ]/gu;
const SHORT: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

/** A file's name as a person may see it: control characters and odd spaces escaped. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (c) => SHORT[c] ?? escaped(c.codePointAt(0)!));
}

/** Without regard to case and accents: what search compares. */
export function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function escaped(code: number): string {
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
