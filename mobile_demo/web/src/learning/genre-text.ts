/** Compare and clean the names of genres that people write, as pocketgenre/library/genre_folding.py. */
import { UNCERTAIN } from "../rules/constants.ts";
import { isPrintable } from "../rules/text.ts";

const MAX_CHARACTERS = 100;

/** Return letters and digits in lower case, by which spellings of a genre are compared. */
export function letters(genre: string): string {
  const text = genre.normalize("NFKC").toUpperCase().toLowerCase(); // "ß" and "SS" become equal
  return text.replace(/[^\p{L}\p{N}]/gu, "") || text.trim();
}

/** Return a genre as a label: on one line, with single spaces; null if it cannot be one. */
export function cleanGenre(genre: string): string | null {
  const text = genre.normalize("NFKC").split(/\s+/).filter(Boolean).join(" ");
  const isLabel = text !== "" && [...text].length <= MAX_CHARACTERS && isPrintable(text) && text !== UNCERTAIN;
  return isLabel ? text : null;
}
