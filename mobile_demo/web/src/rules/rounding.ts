/** Rounding as Python does it, so that both sides write the same digits. */

/** What lies exactly in the middle, 1/32 say, goes to the even digit. */
export function rounded(value: number, digits: number): number {
  const exact = Math.abs(value).toFixed(60);
  const cut = exact.indexOf(".") + 1 + digits;
  const down = Number(exact.slice(0, cut));
  const tie = /^50*$/.test(exact.slice(cut));
  const even = Number(exact.slice(0, cut).replace(".", "").at(-1)) % 2 === 0;
  const result = tie && even ? down : Number(Math.abs(value).toFixed(digits));
  return value < 0 ? -result : result;
}
