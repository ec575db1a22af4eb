/** Write labelled songs as JSON and CSV, as pocketgenre/library/serialize.py. */
import { TOP_GENRES } from "./constants.ts";
import type { SongPrediction } from "./prediction.ts";
import { rounded } from "./rounding.ts";
import type { LibrarySong, Song } from "./song.ts";
import { timeline } from "./timeline.ts";

/** Columns of the CSV table that contain numbers. */
const NUMBERS = [
  "confidence", "vote_share", "probability", "margin", "segments", "analyzed_seconds", "duration_seconds", "partial",
] as const;
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/** Return a JSON list with one line per song: the fields of scan-library, and `corrected`. */
export function toJson(songs: Iterable<LibrarySong>): string {
  const lines = Array.from(songs, (song) => JSON.stringify(songFields(song)));
  return `[\n${lines.join(",\n")}\n]\n`;
}

/**
 * Return a CSV table with one row per song: the columns of scan-library, and `corrected`.
 *
 * Every text is quoted. A text that a spreadsheet would read as a formula starts with `./` (a path)
 * or an apostrophe (any other text).
 *
 * @param labels the model's genres, which have two columns each
 */
export function toCsv(songs: Iterable<LibrarySong>, labels: readonly string[]): string {
  const places = Array.from({ length: TOP_GENRES }, (_, i) => i + 1);
  const header = [
    ...["path", "genre", ...NUMBERS],
    ...places.flatMap((place) => [`top${place}`, `top${place}_probability`]),
    ...labels.map((label) => `votes_${label}`),
    ...labels.map((label) => `probability_${label}`),
    ...["error", "corrected"],
  ];
  const lines = [line(header)];
  for (const song of songs) {
    const row = songFields(song);
    const top = (row.top ?? []).flatMap((entry) => [cell(entry.genre), entry.probability]);
    lines.push(
      line([
        FORMULA.test(row.path) ? `./${row.path}` : row.path,
        cell(row.genre),
        ...NUMBERS.map((field) => row[field]),
        ...top,
        ...Array<null>(2 * TOP_GENRES - top.length).fill(null),
        ...labels.map((label) => row.votes?.[label] ?? null),
        ...labels.map((label) => row.probabilities?.[label] ?? null),
        cell(row.error),
        cell(row.corrected),
      ]),
    );
  }
  return lines.join("");
}

/** Return the exported fields of a song, which docs/scan-library.md describes. */
function songFields({ song, prediction, genre, corrected }: LibrarySong) {
  return {
    path: song.path,
    genre,
    ...(prediction ? predictionFields(prediction, song) : NO_PREDICTION),
    error: song.error,
    corrected,
  };
}

function predictionFields(prediction: SongPrediction, { analyzedSeconds, durationSeconds, partial }: Song) {
  const { labels } = prediction;
  const byLabel = (values: readonly number[]): Record<string, number> =>
    Object.fromEntries(labels.map((name, i) => [name, values[i]!]));
  const parts = timeline(prediction.segmentProbabilities, prediction.secondsPerSegment);
  return {
    confidence: rounded(prediction.confidence, 4),
    vote_share: rounded(prediction.voteShare, 4),
    probability: rounded(prediction.probability, 4),
    margin: rounded(prediction.margin, 4),
    top: prediction.top.map(([genre, p]) => ({ genre, probability: rounded(p, 4) })),
    votes: byLabel(prediction.votes),
    segments: prediction.segments,
    probabilities: byLabel(prediction.probabilities.map((p) => rounded(p, 4))),
    analyzed_seconds: analyzedSeconds === null ? null : rounded(analyzedSeconds, 1),
    duration_seconds: durationSeconds === null ? null : rounded(durationSeconds, 1),
    partial,
    timeline:
      parts.length < 2
        ? null
        : parts.map((part) => ({
            start: rounded(part.start, 1),
            end: rounded(part.end, 1),
            genre: labels[part.genre]!,
            shares: byLabel(part.probabilities.map((p) => rounded(p, 4))),
          })),
  };
}

const NO_PREDICTION = {
  confidence: null,
  vote_share: null,
  probability: null,
  margin: null,
  top: null,
  votes: null,
  segments: 0,
  probabilities: null,
  analyzed_seconds: null,
  duration_seconds: null,
  partial: null,
  timeline: null,
};

function line(cells: readonly (string | number | boolean | null)[]): string {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const text = (value: string | number | boolean | null) => {
    if (typeof value === "boolean") return value ? "True" : "False"; // as Python's csv
    return typeof value === "string" ? quoted(value) : (value ?? "");
  };
  return cells.map(text).join(",") + "\n";
}

function cell(text: string | null): string | null {
  return text !== null && FORMULA.test(text) ? `'${text}` : text;
}
