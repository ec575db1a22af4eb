/** Errors of one song, with a text for the user, and errors of the model runtime. */
import { reasons } from "./texts.ts";

/** The file cannot be converted to a segment of audio, as AudioError in pocketgenre/errors.py. */
export class AudioError extends Error {}

/** The browser cannot read the file now; the error is transient. */
export class UnreadableError extends AudioError {}

/** The worker cannot run the model on any song. */
export class InferenceError extends Error {}

/** A file is no model that the page can use, or there is too little to learn from. The text is for the user. */
export class LearningError extends Error {}

/** The file is not a backup that this page can read. */
export class BackupError extends Error {}

/** Return an AudioError unchanged, and wrap any other error (out of memory, for example) in one. */
export function toAudioError(error: unknown): AudioError {
  return error instanceof AudioError ? error : new AudioError(reasons.other(errorText(error)));
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
