/** Recognise songs by their file names, as pocketgenre/library/discovery.py. */
import { SONG_SUFFIXES } from "./constants.ts";

/** The `accept` attribute of a file input. */
export const ACCEPT = ["audio/*", ...SONG_SUFFIXES].join(",");

/** Return true if a file with this name counts as a song. */
export function isSongName(name: string): boolean {
  const lower = name.toLowerCase();
  return !name.startsWith(".") && SONG_SUFFIXES.some((suffix) => lower.endsWith(suffix));
}
