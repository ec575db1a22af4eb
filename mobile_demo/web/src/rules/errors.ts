/** A file cannot be turned into at least one segment of audio; the text is meant for the user. */
export class AudioError extends Error {}

/** The browser doesn't give the file; another time it may. */
export class UnreadableError extends AudioError {}
