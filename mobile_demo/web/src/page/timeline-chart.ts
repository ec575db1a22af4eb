/** Draw a song's genres over time. */
import { MAX_WINDOWS } from "../rules/constants.ts";
import type { SongPrediction } from "../rules/prediction.ts";
import { type TimelinePart, timeline, windowBounds, windowMeans } from "../rules/timeline.ts";
import { labelName, texts } from "../texts.ts";
import { colour, SVG } from "./dom.ts";

/** Draw a thin strip with the parts of a song. */
export function strip(prediction: SongPrediction): SVGSVGElement {
  const length = prediction.segments * prediction.secondsPerSegment;
  const svg = canvas("strip", length, prediction);
  for (const part of drawnParts(prediction)) {
    fill(svg, prediction.labels[part.genre]!, prediction, `M${part.start} 0H${part.end}V1H${part.start}z`);
  }
  return svg;
}

/**
 * Draw the share of each genre over time as stacked bars, which silent windows lack.
 *
 * @param bottom index of the genre at the bottom
 */
export function shareChart(prediction: SongPrediction, bottom: number): SVGSVGElement {
  const { segments, secondsPerSegment, segmentProbabilities } = prediction;
  const bounds = windowBounds(segments, secondsPerSegment, MAX_WINDOWS);
  const windows = windowMeans(segmentProbabilities, bounds);
  const svg = canvas("shares", windows.length, prediction);
  const others = [...prediction.labels.keys()].filter((genre) => genre !== bottom);
  const tops = windows.map(() => 1); // y coordinates, downwards
  for (const genre of [bottom, ...others]) {
    const bars = windows.map((row, i) => {
      tops[i]! -= row[genre]!;
      return `M${i} ${tops[i]!.toFixed(4)}h1v${row[genre]!.toFixed(4)}h-1z`;
    });
    fill(svg, prediction.labels[genre]!, prediction, bars.join(""));
  }
  return svg;
}

/** Format a time in seconds as minutes and seconds: "1:05". */
export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Return the parts of a song as they are drawn. */
export function drawnParts({ segmentProbabilities, secondsPerSegment }: SongPrediction): TimelinePart[] {
  return timeline(segmentProbabilities, secondsPerSegment, MAX_WINDOWS);
}

/** Describe the parts of a song for screen readers: "rock from 0:00, pop from 1:30". */
function description(prediction: SongPrediction): string {
  const parts = drawnParts(prediction);
  return parts.map(({ genre, start }) => texts.song.part(labelName(prediction.labels[genre]!), clock(start))).join(", ");
}

function canvas(kind: string, width: number, prediction: SongPrediction): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", kind);
  svg.setAttribute("viewBox", `0 0 ${width} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", texts.song.timeline(description(prediction)));
  return svg;
}

function fill(svg: SVGSVGElement, label: string, { labels }: SongPrediction, shape: string): void {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", shape);
  path.style.fill = colour(label, labels);
  svg.append(path);
}
