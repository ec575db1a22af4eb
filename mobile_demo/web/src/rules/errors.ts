/** A file cannot be turned into at least one segment of audio; the text is meant for the user. */
export class AudioError extends Error {}
