/** Draw a library as a picture: songs by genre, folder and year, and songs whose tag states another genre. */
import { NOT_MUSIC, UNCERTAIN } from "../rules/constants.ts";
import { folderName, type LibrarySong, songTitle } from "../rules/song.ts";
import { statedOtherwise } from "../rules/surprise.ts";
import { labelName, texts } from "../texts.ts";
import { colour } from "./dom.ts";

// A phone shows the picture at a third of its size, so that its smallest text has 12 pixels there.
const WIDTH = 1080;
const MARGIN = 54;
const ROW = 84;
const BAR = 44;
const LABEL_WIDTH = 330;
const COUNT_WIDTH = 130;
const GAP = 20;
const TITLE = "bold 64px", HEADING = "bold 45px", TEXT = "42px", NOTE = "36px";
const MAX_GENRES = 12;
const MAX_FOLDERS = 6;
const MAX_YEARS = 8;
const MAX_SURPRISES = 5;
/** Opacity of the part of a bar for uncertain songs. */
const UNSURE_OPACITY = 0.4;

interface GenreRow {
  readonly genre: string;
  readonly sure: number;
  /** Number of uncertain songs whose most likely genre this is. */
  readonly unsure: number;
}

/** Songs that have something in common. */
interface GroupRow {
  readonly name: string;
  /** Number of songs by genre, most first. */
  readonly genres: ReadonlyMap<string, number>;
  readonly songs: number;
}

/** Draw songs as a PNG. */
export function drawPicture(songs: readonly LibrarySong[], labels: readonly string[]): Promise<Blob> {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = draw(new Pen(canvas, labels), songs); // the first time, to measure the height
  draw(new Pen(canvas, labels), songs);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be drawn"))), "image/png"));
}

/** Draw songs from the top on, and return the height in pixels. */
function draw(pen: Pen, songs: readonly LibrarySong[]): number {
  pen.line(texts.picture.title(songs.filter(({ genre }) => genre !== null).length), TITLE, "var(--ink)");
  const genres = genreRows(songs);
  const most = Math.max(...genres.map(({ sure, unsure }) => sure + unsure), 1);
  for (const { genre, sure, unsure } of genres) {
    pen.row(labelName(genre), sure + unsure, [[genre, sure / most, 1], [genre, unsure / most, UNSURE_OPACITY]]);
  }
  pen.line(texts.picture.legend, NOTE, "var(--soft)");
  drawGroups(pen, texts.picture.folders, folderRows(songs));
  drawGroups(pen, texts.picture.years, yearRows(songs));
  drawSurprises(pen, songs);
  pen.line(texts.picture.footer, NOTE, "var(--soft)");
  return pen.height;
}

function drawGroups(pen: Pen, heading: string, rows: readonly GroupRow[]): void {
  if (rows.length === 0) return;
  pen.line(heading, HEADING, "var(--ink)");
  for (const { name, genres, songs } of rows) {
    pen.row(name, songs, Array.from(genres, ([genre, count]) => [genre, count / songs, 1]));
  }
}

/** List songs whose tag states another genre, the most certain predictions first. */
function drawSurprises(pen: Pen, songs: readonly LibrarySong[]): void {
  const surprises = songs.flatMap((labelled) => {
    const stated = statedOtherwise(labelled);
    const { song, genre, prediction } = labelled;
    return stated === null ? [] : [{ song, stated, genre: genre!, confidence: prediction!.confidence }];
  });
  if (surprises.length === 0) return;
  surprises.sort((a, b) => b.confidence - a.confidence);
  pen.line(texts.picture.surprises(surprises.length), HEADING, "var(--ink)");
  for (const { song, stated, genre, confidence } of surprises.slice(0, MAX_SURPRISES)) {
    pen.line(songTitle(song), TEXT, "var(--ink)");
    pen.line(texts.picture.surprise(stated, labelName(genre), confidence), NOTE, "var(--soft)");
  }
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

/** Count the genres of the folders with the most songs. */
function folderRows(songs: readonly LibrarySong[]): GroupRow[] {
  const rows = groupRows(songs, ({ song }) => folderName(song.path) || null);
  const largest = rows.sort((a, b) => b.songs - a.songs).slice(0, MAX_FOLDERS);
  return largest.map((row) => ({ ...row, name: row.name.slice(row.name.lastIndexOf("/") + 1) }));
}

/** Count the genres of the years with the most songs, in order; of decades if there are too many years. */
function yearRows(songs: readonly LibrarySong[]): GroupRow[] {
  const years = new Set(songs.map(({ song }) => song.tags?.year ?? null));
  const nameOf = years.size > MAX_YEARS ? texts.picture.decade : String;
  const rows = groupRows(songs, ({ song }) => (song.tags?.year ? nameOf(song.tags.year) : null));
  const largest = rows.sort((a, b) => b.songs - a.songs).slice(0, MAX_YEARS);
  return largest.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Count the genres of songs with the same name of a group, without files that are not music. */
function groupRows(songs: readonly LibrarySong[], nameOf: (labelled: LibrarySong) => string | null): GroupRow[] {
  const groups = new Map<string, Map<string, number>>();
  for (const labelled of songs) {
    const name = nameOf(labelled);
    const { genre } = labelled;
    if (genre === null || genre === NOT_MUSIC || name === null) continue;
    const counts = groups.get(name) ?? new Map<string, number>();
    counts.set(genre, (counts.get(genre) ?? 0) + 1);
    groups.set(name, counts);
  }
  return Array.from(groups, ([name, counts]) => ({
    name,
    genres: new Map([...counts].sort((a, b) => b[1] - a[1])),
    songs: [...counts.values()].reduce((a, b) => a + b, 0),
  }));
}

type Part = readonly [genre: string, share: number, opacity: number];

/** Draws rows from the top of a canvas to its bottom, in the colours of the page. */
class Pen {
  private readonly context: CanvasRenderingContext2D;
  private readonly style = getComputedStyle(document.documentElement);
  private readonly font = getComputedStyle(document.body).fontFamily;
  private y = MARGIN + ROW / 2;

  constructor(canvas: HTMLCanvasElement, private readonly labels: readonly string[]) {
    this.context = canvas.getContext("2d")!;
    this.context.fillStyle = this.value("var(--paper)");
    this.context.fillRect(0, 0, canvas.width, canvas.height);
    this.context.textBaseline = "middle";
  }

  /** Height of what is drawn, with a margin, in pixels. */
  get height(): number {
    return this.y - ROW / 2 + MARGIN;
  }

  /** Write a line; a heading has space above it. */
  line(text: string, size: string, ink: string): void {
    if (size === HEADING) this.y += ROW / 2;
    this.text(text, MARGIN, WIDTH - 2 * MARGIN, size, ink);
    this.y += size === TEXT ? ROW - GAP : ROW;
  }

  row(name: string, count: number, parts: readonly Part[]): void {
    this.text(name, MARGIN, LABEL_WIDTH - GAP, TEXT, "var(--ink)");
    const width = WIDTH - 2 * MARGIN - LABEL_WIDTH - COUNT_WIDTH;
    let x = MARGIN + LABEL_WIDTH;
    for (const [genre, share, opacity] of parts) {
      this.context.fillStyle = this.value(colour(genre, this.labels));
      this.context.globalAlpha = opacity;
      this.context.fillRect(x, this.y - BAR / 2, share * width, BAR);
      x += share * width;
    }
    this.context.globalAlpha = 1;
    this.text(count.toLocaleString("en"), WIDTH - MARGIN - COUNT_WIDTH + GAP, COUNT_WIDTH - GAP, TEXT, "var(--soft)");
    this.y += ROW;
  }

  /** Write text, and cut it at a width in pixels. */
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
