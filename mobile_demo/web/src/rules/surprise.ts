/** Find songs whose tag states another genre than the predicted one. */
import { NOT_MUSIC, UNCERTAIN } from "./constants.ts";
import type { LibrarySong } from "./song.ts";
import { folded } from "./text.ts";

/** A tag may state several genres. */
const SEPARATORS = /[;,/|\0]/;

/** Return the model's genre that the tag of a song states, if the song is labelled with certainty as another one. */
export function statedOtherwise({ song, prediction, corrected, genre }: LibrarySong): string | null {
  const tag = song.tags?.genre ?? null;
  if (tag === null || !prediction || corrected !== null || genre === UNCERTAIN || genre === NOT_MUSIC) return null;
  const stated = new Set(tag.split(SEPARATORS).map(letters));
  const genres = prediction.labels.filter((label) => label !== NOT_MUSIC && stated.has(letters(label)));
  return genres.includes(genre!) ? null : (genres[0] ?? null);
}

/** Return the letters and digits of a genre in lower case: "Hip-Hop" and "hiphop" are one genre. */
function letters(genre: string): string {
  return folded(genre).replace(/[^\p{L}\p{N}]/gu, "");
}
