/** Pictures of how a song goes from genre to genre. */
import { timeline, windowBounds, windowShares } from "../rules/timeline.ts";
import { rows, type Table } from "../rules/vote.ts";
import { texts } from "../texts.ts";
import { colour } from "./dom.ts";

const SVG = "http://www.w3.org/2000/svg";
const MOST_WINDOWS = 48;

/** A thin strip of the song's parts. */
export function strip(table: Table, seconds: number, words: string): SVGSVGElement {
  const length = rows(table) * seconds;
  const svg = canvas("strip", length, words);
  for (const part of timeline(table, seconds, MOST_WINDOWS)) {
    paint(svg, part.genre, `M${part.start} 0H${part.end}V1H${part.start}z`);
  }
  return svg;
}

/** The share of each genre over time, stacked, the song's own genre at the bottom. */
export function shares(table: Table, seconds: number, lead: number, words: string): SVGSVGElement {
  const windows = windowShares(table, windowBounds(rows(table), seconds, MOST_WINDOWS));
  const svg = canvas("shares", windows.length, words);
  const others = Array.from({ length: table.width }, (_, genre) => genre).filter((g) => g !== lead);
  const floors = windows.map(() => 1);
  for (const genre of [lead, ...others]) {
    const shape = windows.map((row, i) => {
      floors[i]! -= row[genre]!;
      return `M${i} ${floors[i]!.toFixed(4)}h1v${row[genre]!.toFixed(4)}h-1z`;
    });
    paint(svg, genre, shape.join(""));
  }
  return svg;
}

/** The parts of a song in words: "rock from 0:00, pop from 1:30". */
export function inWords(table: Table, seconds: number, labels: readonly string[]): string {
  const parts = timeline(table, seconds, MOST_WINDOWS);
  return parts.map(({ genre, start }) => texts.song.from(labels[genre]!, clock(start))).join(", ");
}

export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function canvas(kind: string, width: number, words: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", kind);
  svg.setAttribute("viewBox", `0 0 ${width} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", texts.song.timeline(words));
  return svg;
}

function paint(svg: SVGSVGElement, genre: number, shape: string): void {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", shape);
  path.style.fill = colour(genre);
  svg.append(path);
}
