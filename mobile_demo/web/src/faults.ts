/** What goes wrong with one song, in words for its listener. */
import { AudioError } from "./rules/errors.ts";
import { reasons } from "./texts.ts";

/** An AudioError as it is; anything else, too little memory say, as one. */
export function asAudioError(error: unknown): AudioError {
  if (error instanceof AudioError) return error;
  return new AudioError(reasons.other(error instanceof Error ? error.message : String(error)));
}
