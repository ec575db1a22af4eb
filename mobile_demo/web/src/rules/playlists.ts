/**
 * A playlist for each genre, as mobile_demo/scanner/playlists.py writes them: M3U8, UTF-8,
 * relative paths. The second line holds a digest of what follows, so that scan-library knows its
 * own again, whichever of the two wrote it.
 */
import { rounded } from "./rounding.ts";
import { fileName, type LabelledSong } from "./song.ts";
import { rows } from "./vote.ts";
import { printable } from "./text.ts";

const HEADER = "#EXTM3U";
const MARK = "# written by pocketgenre, which replaces it as long as nobody changes it: ";
// What ends a line for some player: str.splitlines' characters, and the NUL.
const LINE_ENDS = /[\n\v\f\r\x1c-\x1e\x85\u2028\u2029\0]/;
const LONE_SURROGATE = /\p{Cs}/u;

export interface Playlists {
  /** Content by file name. */
  readonly files: ReadonlyMap<string, string>;
  /** Songs whose names can't stand in a playlist. */
  readonly leftOut: readonly string[];
}

/**
 * A playlist for each genre that has songs, and one for those that are uncertain.
 *
 * @param seconds length of a segment
 * @param root folder in which the playlists will lie, a beginning of every song's path, or ""
 */
export async function makePlaylists(
  songs: Iterable<LabelledSong>, seconds: number, root: string,
): Promise<Playlists> {
  const entries = new Map<string, string>();
  const leftOut: string[] = [];
  for (const { song, table, genre } of songs) {
    if (genre === null) continue;
    const inside = root && song.path.startsWith(`${root}/`);
    const place = relative(inside ? song.path.slice(root.length + 1) : song.path);
    if (LINE_ENDS.test(place) || LONE_SURROGATE.test(place)) {
      leftOut.push(song.path);
      continue;
    }
    const length = (table && rounded(rows(table) * seconds, 0)) || -1;
    const title = printable(stem(fileName(song.path)));
    entries.set(genre, `${entries.get(genre) ?? ""}#EXTINF:${length},${title}\n${place}\n`);
  }
  const names = fileNames(entries.keys());
  const files = new Map<string, string>();
  for (const [genre, body] of entries) files.set(names.get(genre)!, await withMark(body));
  return { files, leftOut };
}

/** A file name for each genre, different ones whatever the genres are called. */
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

/** The folder that all songs were picked from, or "" where there are several or none. */
export function commonRoot(songs: Iterable<LabelledSong>): string {
  const roots = new Set<string>();
  for (const { song } of songs) {
    const slash = song.path.indexOf("/");
    roots.add(slash < 0 ? "" : song.path.slice(0, slash));
  }
  return roots.size === 1 ? [...roots][0]! : "";
}

async function withMark(body: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0"));
  return `${HEADER}\n${MARK}${hex.join("").slice(0, 32)}\n${body}`;
}

// What begins with a # is a comment, with a word and a colon an address.
function relative(place: string): string {
  return /^[\p{L}\p{N}_][^:]*$|^\.\.\//u.test(place) ? place : `./${place}`;
}

function stem(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(0, dot) : name;
}
