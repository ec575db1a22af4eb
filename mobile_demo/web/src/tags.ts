/** Read title, artist, album, year, genre and cover from the tags of a file, in a worker. */
import { blake2b } from "@noble/hashes/blake2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { imageDimensionsFromData } from "image-dimensions";
import type { AttachedImage } from "mediabunny";
import { openInput, readHead } from "./demuxer.ts";
import type { SongTags } from "./rules/song.ts";

/** Number of characters of a title, an artist or an album that are kept. */
const MAX_CHARACTERS = 200;
const MAX_IMAGE_BYTES = 16 << 20;
/** Number of pixels of an image above which it is not decoded. */
const MAX_PIXELS = 50_000_000;
/** Width and height of a stored cover in pixels: a lock screen shows about this size. */
const COVER_PIXELS = 192;
const COVER_TYPE = { type: "image/jpeg", quality: 0.8 };
const HASH_BYTES = 16;

export interface Cover {
  /** Hash of the original image, so that the songs of an album share a cover. */
  readonly id: string;
  readonly image: Blob;
}

export interface FileTags {
  readonly tags: SongTags;
  readonly cover: Cover | null;
}

const NO_TAGS: FileTags = { tags: { title: null, artist: null, album: null, year: null, genre: null, cover: null }, cover: null };
/** Cover of the last song; the next one is usually of the same album. */
let lastCover: Cover | null = null;

/** Return the tags of a file. Unreadable tags count as missing, since a song needs none. */
export async function readTags(file: File): Promise<FileTags> {
  try {
    const input = await openInput(file, await readHead(file));
    if (!input) return NO_TAGS;
    try {
      const { title, artist, albumArtist, album, date, genre, images = [] } = await input.getMetadataTags();
      const image = images.find(({ kind }) => kind === "coverFront") ?? images[0];
      const cover = image ? await makeCover(image).catch(() => null) : null;
      const tags = {
        title: text(title), artist: text(artist ?? albumArtist), album: text(album), year: yearOf(date),
        genre: text(genre), cover: cover?.id ?? null,
      };
      return { tags, cover };
    } finally {
      input.dispose();
    }
  } catch {
    return NO_TAGS;
  }
}

/** Return the year of a date; null if it is missing or not in the time of recordings. */
function yearOf(date: Date | undefined): number | null {
  const year = date?.getUTCFullYear() ?? 0;
  return year >= 1860 && year < 2100 ? year : null;
}

function text(value: string | undefined): string | null {
  return value?.replace(/[\p{Cc}\s]+/gu, " ").trim().slice(0, MAX_CHARACTERS) || null;
}

/** Return a small square copy of an image, or null if it is too large to be decoded. */
async function makeCover({ data }: AttachedImage): Promise<Cover | null> {
  if (data.length > MAX_IMAGE_BYTES) return null;
  const id = bytesToHex(blake2b(data, { dkLen: HASH_BYTES }));
  if (id === lastCover?.id) return lastCover;
  const size = imageDimensionsFromData(data);
  if (!size || size.width * size.height > MAX_PIXELS) return null;
  const side = Math.min(size.width, size.height);
  const left = Math.floor((size.width - side) / 2);
  const top = Math.floor((size.height - side) / 2);
  const pixels = Math.min(side, COVER_PIXELS);
  const bitmap = await createImageBitmap(new Blob([new Uint8Array(data)]), left, top, side, side, {
    resizeWidth: pixels, resizeHeight: pixels, resizeQuality: "medium",
  });
  const canvas = new OffscreenCanvas(pixels, pixels);
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
  bitmap.close();
  lastCover = { id, image: await canvas.convertToBlob(COVER_TYPE) };
  return lastCover;
}
