/** Round as Python does, so that the page and the package write the same digits. */

/** Round to a number of digits; exact ties such as 1/32 go to the even digit. */
export function rounded(value: number, digits: number): number {
  const exact = Math.abs(value).toFixed(60);
  const cut = exact.indexOf(".") + 1 + digits;
  const down = Number(exact.slice(0, cut));
  const tie = /^50*$/.test(exact.slice(cut));
  const even = Number(exact.slice(0, cut).replace(".", "").at(-1)) % 2 === 0;
  const result = tie && even ? down : Number(Math.abs(value).toFixed(digits));
  return value < 0 ? -result : result;
}
