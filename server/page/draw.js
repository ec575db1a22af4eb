// Pictures of a song that share one axis of time.

export const COLOURS = [
  "#3b5bdb", "#e8a33d", "#8d6e4c", "#d6409f", "#7c4dd6",
  "#0c9bb5", "#6b7280", "#e5484d", "#2f9e5b", "#c2571a",
];
const HEAT = [[13, 8, 60], [91, 33, 140], [186, 54, 120], [243, 118, 72], [252, 240, 164]];

function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return { pen, width, height };
}

// Probabilities of each segment, the most probable genre of the song lowest.
export function drawGenres(canvas, rows, order) {
  const { pen, width, height } = prepare(canvas);
  const step = width / rows.length;
  rows.forEach((row, segment) => {
    let reached = height;
    for (const genre of order) {
      const size = row[genre] * height;
      reached -= size;
      pen.fillStyle = COLOURS[genre % COLOURS.length];
      pen.fillRect(segment * step, reached, Math.max(step - (step > 6 ? 1 : 0), 0.5), size + 0.5);
    }
  });
}

export function drawWave(canvas, { lowest, highest }) {
  const { pen, width, height } = prepare(canvas);
  const step = width / lowest.length;
  pen.fillStyle = getComputedStyle(canvas).getPropertyValue("--accent");
  lowest.forEach((low, column) => {
    const top = (1 - Math.min(1, highest[column])) * height / 2;
    const bottom = (1 - Math.max(-1, low)) * height / 2;
    pen.fillRect(column * step, top, Math.max(step * 0.85, 0.5), Math.max(bottom - top, 1));
  });
}

// A column a stretch of time, the lowest coefficient or band at the bottom.
export function drawFeatures(canvas, { features, kind }) {
  const { pen, width, height } = prepare(canvas);
  const rows = features[0].length;
  const image = new ImageData(features.length, rows);
  const ranges = features[0].map((_, row) => range(features.map((column) => column[row])));
  const all = [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))];
  features.forEach((column, x) => column.forEach((value, row) => {
    const [low, high] = kind === "mfcc" ? ranges[row] : all; // c0 spans hundreds, c12 a few units
    const colour = heat((value - low) / (high - low || 1));
    image.data.set([...colour, 255], 4 * ((rows - 1 - row) * features.length + x));
  }));
  const small = new OffscreenCanvas(features.length, rows);
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = kind !== "mfcc";
  pen.drawImage(small, 0, 0, width, height);
}

function range(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  return [at(0.02), at(0.98)];
}

function heat(share) {
  const place = Math.min(Math.max(share, 0), 1) * (HEAT.length - 1);
  const index = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[index].map((value, i) => value + (place - index) * (HEAT[index + 1][i] - value));
}
