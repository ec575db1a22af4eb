/** Draw a library as a picture: the songs of each genre, and the genres of the largest folders. */
import { NOT_MUSIC, UNCERTAIN } from "../rules/constants.ts";
import { folderName, type LibrarySong } from "../rules/song.ts";
import { labelName, texts } from "../texts.ts";
import { colour } from "./dom.ts";

const WIDTH = 1080;
const MARGIN = 72;
const ROW = 64;
const HEADING = 112;
const BAR = 36;
const LABEL_WIDTH = 250;
const COUNT_WIDTH = 110;
const MAX_GENRES = 12;
const MAX_FOLDERS = 6;
/** Opacity of the part of a bar for uncertain songs. */
const UNSURE_OPACITY = 0.4;

interface GenreRow {
  readonly genre: string;
  readonly sure: number;
  /** Number of uncertain songs whose most likely genre this is. */
  readonly unsure: number;
}

interface FolderRow {
  readonly name: string;
  /** Number of songs by genre. */
  readonly genres: ReadonlyMap<string, number>;
  readonly songs: number;
}

/** Draw songs as a PNG. */
export function drawPicture(songs: readonly LibrarySong[], labels: readonly string[]): Promise<Blob> {
  const genres = genreRows(songs);
  const folders = folderRows(songs);
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = 3 * MARGIN + HEADING + ROW * (genres.length + folders.length);
  const pen = new Pen(canvas, labels);
  pen.heading(texts.picture.title(songs.filter(({ genre }) => genre !== null).length));
  const most = Math.max(...genres.map(({ sure, unsure }) => sure + unsure), 1);
  for (const { genre, sure, unsure } of genres) {
    pen.row(labelName(genre), sure + unsure, [[genre, sure / most, 1], [genre, unsure / most, UNSURE_OPACITY]]);
  }
  pen.note(texts.picture.legend);
  for (const { name, genres: counts, songs: total } of folders) {
    pen.row(name, total, Array.from(counts, ([genre, count]) => [genre, count / total, 1]));
  }
  pen.note(texts.picture.footer);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be drawn"))), "image/png"));
}

/** Count the songs of each genre, most first; an uncertain song counts for its most likely genre. */
function genreRows(songs: readonly LibrarySong[]): GenreRow[] {
  const rows = new Map<string, { genre: string; sure: number; unsure: number }>();
  for (const { genre, prediction } of songs) {
    const shown = genre === UNCERTAIN ? (prediction?.winner ?? null) : genre;
    if (shown === null) continue;
    const row = rows.get(shown) ?? { genre: shown, sure: 0, unsure: 0 };
    if (genre === UNCERTAIN) row.unsure += 1;
    else row.sure += 1;
    rows.set(shown, row);
  }
  return [...rows.values()].sort((a, b) => b.sure + b.unsure - a.sure - a.unsure).slice(0, MAX_GENRES);
}

/** Count the genres of the folders with the most songs, without files that are not music. */
function folderRows(songs: readonly LibrarySong[]): FolderRow[] {
  const folders = new Map<string, Map<string, number>>();
  for (const { song, genre } of songs) {
    const path = folderName(song.path);
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (genre === null || genre === NOT_MUSIC || name === "") continue;
    const counts = folders.get(path) ?? new Map<string, number>();
    counts.set(genre, (counts.get(genre) ?? 0) + 1);
    folders.set(path, counts);
  }
  const rows = Array.from(folders, ([path, counts]) => ({
    name: path.slice(path.lastIndexOf("/") + 1),
    genres: new Map([...counts].sort((a, b) => b[1] - a[1])),
    songs: [...counts.values()].reduce((a, b) => a + b, 0),
  }));
  return rows.sort((a, b) => b.songs - a.songs).slice(0, MAX_FOLDERS);
}

type Part = readonly [genre: string, share: number, opacity: number];

/** Draws rows from the top of a canvas to its bottom, in the colours of the page. */
class Pen {
  private readonly context: CanvasRenderingContext2D;
  private readonly style = getComputedStyle(document.documentElement);
  private readonly font = getComputedStyle(document.body).fontFamily;
  private y = MARGIN;

  constructor(canvas: HTMLCanvasElement, private readonly labels: readonly string[]) {
    this.context = canvas.getContext("2d")!;
    this.context.fillStyle = this.value("var(--paper)");
    this.context.fillRect(0, 0, canvas.width, canvas.height);
    this.context.textBaseline = "middle";
  }

  heading(text: string): void {
    this.text(text, MARGIN, WIDTH - 2 * MARGIN, "bold 56px", "var(--ink)");
    this.y += HEADING;
  }

  note(text: string): void {
    this.text(text, MARGIN, WIDTH - 2 * MARGIN, "28px", "var(--soft)");
    this.y += MARGIN;
  }

  row(name: string, count: number, parts: readonly Part[]): void {
    this.text(name, MARGIN, LABEL_WIDTH - 20, "32px", "var(--ink)");
    const width = WIDTH - 2 * MARGIN - LABEL_WIDTH - COUNT_WIDTH;
    let x = MARGIN + LABEL_WIDTH;
    for (const [genre, share, opacity] of parts) {
      this.context.fillStyle = this.value(colour(genre, this.labels));
      this.context.globalAlpha = opacity;
      this.context.fillRect(x, this.y - BAR / 2, share * width, BAR);
      x += share * width;
    }
    this.context.globalAlpha = 1;
    this.text(count.toLocaleString("en"), WIDTH - MARGIN - COUNT_WIDTH + 20, COUNT_WIDTH - 20, "32px", "var(--soft)");
    this.y += ROW;
  }

  /** Write a line, and cut it at a width in pixels. */
  private text(text: string, x: number, width: number, size: string, ink: string): void {
    this.context.font = `${size} ${this.font}`;
    this.context.fillStyle = this.value(ink);
    const characters = [...text];
    let shown = text;
    while (this.context.measureText(shown).width > width && characters.pop()) shown = `${characters.join("")}…`;
    this.context.fillText(shown, x, this.y);
  }

  /** Replace a CSS variable, for example "var(--ink)", by its colour; a canvas knows no variables. */
  private value(ink: string): string {
    return ink.startsWith("var(") ? this.style.getPropertyValue(ink.slice("var(".length, -1)) : ink;
  }
}
