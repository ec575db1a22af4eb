/** Labelled songs as data, as mobile_demo/scanner/results.py: JSON and CSV. */
import { rounded } from "./rounding.ts";
import type { Judgement, LabelledSong } from "./song.ts";
import { timeline } from "./timeline.ts";

const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/** A list of objects, one a line, with scan-library's fields and `corrected`. */
export function toJson(songs: Iterable<LabelledSong>, how: Judgement): string {
  const lines = Array.from(songs, (song) => JSON.stringify(songFields(song, how)));
  return `[\n${lines.join(",\n")}\n]\n`;
}

/**
 * One row a song, with scan-library's columns and `corrected`.
 *
 * Every text is quoted, and one that a spreadsheet would take for a formula gets `./` (a path) or
 * an apostrophe (anything else) before it.
 */
export function toCsv(songs: Iterable<LabelledSong>, how: Judgement): string {
  const header = [
    ...["path", "genre", "confidence", "probability", "margin", "segments"],
    ...[1, 2, 3].flatMap((place) => [`top${place}`, `top${place}_probability`]),
    ...how.labels.map((label) => `votes_${label}`),
    ...how.labels.map((label) => `probability_${label}`),
    ...["error", "corrected"],
  ];
  const lines = [line(header)];
  for (const song of songs) {
    const row = songFields(song, how);
    const top = (row.top ?? []).flatMap((entry) => [cell(entry.genre), entry.probability]);
    lines.push(
      line([
        FORMULA.test(row.path) ? `./${row.path}` : row.path,
        cell(row.genre),
        ...[row.confidence, row.probability, row.margin, row.segments],
        ...top,
        ...Array<null>(6 - top.length).fill(null),
        ...how.labels.map((label) => row.votes?.[label] ?? null),
        ...how.labels.map((label) => row.probabilities?.[label] ?? null),
        cell(row.error),
        cell(row.corrected),
      ]),
    );
  }
  return lines.join("");
}

/** What is written of a song; the fields are described in docs/scan-library.md. */
export function songFields(one: LabelledSong, how: Judgement) {
  const { song, label, table } = one;
  const byLabel = (values: readonly number[]) =>
    Object.fromEntries(how.labels.map((name, i) => [name, values[i]!]));
  const parts = table ? timeline(table, how.seconds) : [];
  return {
    path: song.path,
    genre: one.genre,
    confidence: label && rounded(label.confidence, 4),
    probability: label && rounded(label.probability, 4),
    margin: label && rounded(label.margin, 4),
    top: label && label.top.map(([genre, p]) => ({ genre, probability: rounded(p, 4) })),
    votes: label && byLabel(label.votes),
    segments: label?.segments ?? 0,
    probabilities: label && byLabel(label.probabilities.map((p) => rounded(p, 4))),
    timeline:
      parts.length < 2
        ? null
        : parts.map((part) => ({
            start: rounded(part.start, 1),
            end: rounded(part.end, 1),
            genre: how.labels[part.genre]!,
            shares: byLabel(part.shares.map((share) => rounded(share, 4))),
          })),
    error: song.error,
    corrected: one.corrected,
  };
}

function line(cells: readonly (string | number | null)[]): string {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  return cells.map((c) => (typeof c === "string" ? quoted(c) : (c ?? ""))).join(",") + "\n";
}

function cell(text: string | null): string | null {
  return text !== null && FORMULA.test(text) ? `'${text}` : text;
}
