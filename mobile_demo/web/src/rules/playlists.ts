/**
 * Make a playlist per genre (M3U8, UTF-8, relative paths), as pocketgenre/library/playlists.py.
 *
 * The second line holds a hash of the lines that follow, by which scan-library recognises an unchanged
 * playlist of either program.
 */
import { NOT_MUSIC, PLAYLIST_HASH_PREFIX } from "./constants.ts";
import { fileName, type LibrarySong } from "./song.ts";
import { rounded } from "./rounding.ts";
import { printable } from "./text.ts";

const HEADER = "#EXTM3U";
// Characters that end a line for some player: those of Python's str.splitlines, and NUL.
const LINE_ENDS = /[\n\v\f\r\x1c-\x1e\x85\u2028\u2029\0]/;
const LONE_SURROGATE = /\p{Cs}/u;

export interface Playlists {
  /** Content by file name. */
  readonly files: ReadonlyMap<string, string>;
  /** Paths of songs whose names a playlist cannot contain. */
  readonly leftOut: readonly string[];
}

/**
 * Make a playlist for each genre that has songs, including UNCERTAIN but not NOT_MUSIC.
 *
 * @param root folder for the playlists, a common first part of the songs' paths, or ""
 */
export async function makePlaylists(songs: Iterable<LibrarySong>, root: string): Promise<Playlists> {
  const entries = new Map<string, string>();
  const leftOut: string[] = [];
  for (const { song, prediction, genre } of songs) {
    if (genre === null || genre === NOT_MUSIC) continue;
    const isInRoot = root && song.path.startsWith(`${root}/`);
    const entry = relativeEntry(isInRoot ? song.path.slice(root.length + 1) : song.path);
    if (LINE_ENDS.test(entry) || LONE_SURROGATE.test(entry)) {
      leftOut.push(song.path);
      continue;
    }
    const seconds = prediction ? prediction.segments * prediction.secondsPerSegment : 0;
    const title = printable(stem(fileName(song.path)));
    const lines = `#EXTINF:${rounded(seconds, 0) || -1},${title}\n${entry}\n`;
    entries.set(genre, (entries.get(genre) ?? "") + lines);
  }
  const names = fileNames(entries.keys());
  const files = new Map<string, string>();
  for (const [genre, body] of entries) files.set(names.get(genre)!, await withHash(body));
  return { files, leftOut };
}

/** Return a different file name for each genre. */
export function fileNames(genres: Iterable<string>): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const genre of genres) {
    const base = [...genre.replace(/[^\p{L}\p{N}_ &+'-]/gu, "_").trim()].slice(0, 60).join("");
    let name = `${base || "genre"}.m3u8`;
    for (let number = 2; taken.has(name.toLowerCase()); number++) {
      name = `${base || "genre"} ${number}.m3u8`;
    }
    taken.add(name.toLowerCase());
    names.set(genre, name);
  }
  return names;
}

/** Return the folder that contains all songs, or "" if there are several or none. */
export function commonRoot(songs: Iterable<LibrarySong>): string {
  const roots = new Set<string>();
  for (const { song } of songs) {
    const slash = song.path.indexOf("/");
    roots.add(slash < 0 ? "" : song.path.slice(0, slash));
  }
  return roots.size === 1 ? [...roots][0]! : "";
}

/** Check whether a file is a playlist of this page or of scan-library that nobody changed. */
export async function isOwnPlaylist(content: Uint8Array): Promise<boolean> {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(content);
  const [header, hash, ...body] = text.split("\n");
  return `${header}\n${hash}` === (await head(body.join("\n")));
}

async function withHash(body: string): Promise<string> {
  return `${await head(body)}\n${body}`;
}

/** Return the first two lines of a playlist. */
async function head(body: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
  const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0"));
  return `${HEADER}\n${PLAYLIST_HASH_PREFIX}${hex.join("").slice(0, 32)}`;
}

/** Add "./" to a path that a player would read as a comment ("#...") or an address ("word:..."). */
function relativeEntry(path: string): string {
  return /^[\p{L}\p{N}_][^:]*$|^\.\.\//u.test(path) ? path : `./${path}`;
}

function stem(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(0, dot) : name;
}
