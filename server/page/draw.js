// Draw a song on canvases that share one time axis.

const COLOURS = [
  "#3b5bdb", "#e8a33d", "#8d6e4c", "#d6409f", "#7c4dd6",
  "#0c9bb5", "#6b7280", "#e5484d", "#2f9e5b", "#c2571a",
];
const NOT_MUSIC = "not-music";
const NOT_MUSIC_COLOUR = "#a6abb5";
const HEAT_COLOURS = [[13, 8, 60], [91, 33, 140], [186, 54, 120], [243, 118, 72], [252, 240, 164]];

function scaleToDisplay(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, width, height };
}

// Return the colour of a label; transparent if the model lacks it, as "uncertain".
export function colourOf(label, labels) {
  if (label === NOT_MUSIC) return NOT_MUSIC_COLOUR;
  const index = labels.indexOf(label);
  if (index < COLOURS.length) return COLOURS[index] ?? "transparent";
  return `hsl(${(index * 137.508) % 360} 50% ${40 + (index % 4) * 8}%)`; // the golden angle: all hues differ
}

// Return the name of a label for display.
export const nameOf = (label) => (label === NOT_MUSIC ? "no music" : label);

// Draw the probabilities of each segment, with the most probable genre of the song at the bottom. A silent
// segment has zeros and stays empty.
export function drawGenres(canvas, rows, order, labels) {
  const { context, width, height } = scaleToDisplay(canvas);
  const columnWidth = width / rows.length;
  rows.forEach((row, segment) => {
    let top = height;
    for (const genre of order) {
      const size = row[genre] * height;
      top -= size;
      context.fillStyle = colourOf(labels[genre], labels);
      const gap = columnWidth > 6 ? 1 : 0;
      context.fillRect(segment * columnWidth, top, Math.max(columnWidth - gap, 0.5), size + 0.5);
    }
  });
}

// Draw the lowest and highest sample of each column.
export function drawWave(canvas, { lowest, highest }) {
  const { context, width, height } = scaleToDisplay(canvas);
  const columnWidth = width / lowest.length;
  context.fillStyle = getComputedStyle(canvas).getPropertyValue("--accent");
  lowest.forEach((low, column) => {
    const top = (1 - Math.min(1, highest[column])) * height / 2;
    const bottom = (1 - Math.max(-1, low)) * height / 2;
    context.fillRect(column * columnWidth, top, Math.max(columnWidth * 0.85, 0.5), Math.max(bottom - top, 1));
  });
}

// Draw one column for each part of the song, with the lowest coefficient or band at the bottom.
export function drawFeatures(canvas, { features, kind }) {
  const { context, width, height } = scaleToDisplay(canvas);
  const rows = features[0].length;
  const image = new ImageData(features.length, rows);
  const ranges = features[0].map((_, row) => range(features.map((column) => column[row])));
  const commonRange = [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))];
  features.forEach((column, x) => column.forEach((value, row) => {
    const [low, high] = kind === "mfcc" ? ranges[row] : commonRange; // c0 ranges over hundreds, c12 over a few units
    const colour = heat((value - low) / (high - low || 1));
    image.data.set([...colour, 255], 4 * ((rows - 1 - row) * features.length + x));
  }));
  const unscaled = new OffscreenCanvas(features.length, rows);
  unscaled.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = kind !== "mfcc";
  context.drawImage(unscaled, 0, 0, width, height);
}

// Return the range of the values without the outliers.
function range(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const quantile = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  return [quantile(0.02), quantile(0.98)];
}

// Interpolate the colour of a value in [0, 1].
function heat(value) {
  const position = Math.min(Math.max(value, 0), 1) * (HEAT_COLOURS.length - 1);
  const index = Math.min(Math.floor(position), HEAT_COLOURS.length - 2);
  return HEAT_COLOURS[index].map((low, i) => low + (position - index) * (HEAT_COLOURS[index + 1][i] - low));
}
