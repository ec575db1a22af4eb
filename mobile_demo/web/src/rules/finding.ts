/** Which files are songs, as mobile_demo/scanner/finding.py. */

const SONG_SUFFIXES = [
  ".aac", ".aif", ".aifc", ".aiff", ".flac", ".m4a", ".m4b", ".m4p", ".mka", ".mp3", ".mp4",
  ".oga", ".ogg", ".opus", ".wav", ".webm", ".wma",
];

/** For the file picker of a browser that can't pick folders. */
export const ACCEPT = ["audio/*", ...SONG_SUFFIXES].join(",");

/** Whether a file of that name counts as a song. */
export function isSongName(name: string): boolean {
  const lower = name.toLowerCase();
  return !name.startsWith(".") && SONG_SUFFIXES.some((suffix) => lower.endsWith(suffix));
}
