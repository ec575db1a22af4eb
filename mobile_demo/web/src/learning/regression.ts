/**
 * Fit the last layer of a network to songs, as pocketgenre/learning/regression.py.
 *
 * It is a logistic regression whose weights are drawn to those of the old layer instead of to zero. Without an old
 * layer it is scikit-learn's LogisticRegression.
 */
import { LEARNING } from "../rules/constants.ts";
import { minimize, type Objective } from "./minimize.ts";

/** Weights of a last layer. */
export interface Layer {
  /** Labels in the order of the outputs. */
  readonly labels: readonly string[];
  /** [features, labels] */
  readonly kernel: Float32Array;
  /** [labels] */
  readonly bias: Float32Array;
}

/** Features of a song, and the labels that it is an example of. */
export interface Example {
  /** Mean over the segments of the song. */
  readonly features: Float32Array;
  /** Weight of each label; several labels share the song. */
  readonly weights: ReadonlyMap<number, number>;
}

/** Return the number of features of a layer. */
export function widthOf({ labels, kernel }: Layer): number {
  return kernel.length / labels.length;
}

/** Compute the logits of each label from the features of one segment or song. */
export function logitsOf({ labels, kernel, bias }: Layer, features: Float32Array): Float64Array {
  const count = labels.length;
  const logits = Float64Array.from(bias);
  for (let i = 0, at = 0; i < features.length; i++) {
    const value = features[i]!;
    for (let label = 0; label < count; label++, at++) logits[label]! += value * kernel[at]!;
  }
  return logits;
}

/** Replace logits by probabilities. */
export function softmax(logits: Float64Array): Float64Array {
  const highest = logits.reduce((a, b) => Math.max(a, b));
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += logits[i] = Math.exp(logits[i]! - highest);
  for (let i = 0; i < logits.length; i++) logits[i]! /= total;
  return logits;
}

/**
 * Fit a layer with the labels of `start` to examples.
 *
 * @param hasPrior false to draw the weights to zero, not to those of `start`
 */
export function fitLayer(examples: readonly Example[], start: Layer, hasPrior = true): Layer {
  const width = widthOf(start);
  const labels = start.labels.length;
  const scaling = scalingOf(examples, width);
  const rows = standardized(examples, scaling);
  const targets = new Float64Array(examples.length * labels);
  for (const [i, { weights }] of examples.entries()) {
    for (const [label, weight] of weights) targets[i * labels + label] = weight * LEARNING.inverse_regularization;
  }
  const prior = hasPrior ? toPoint(start, scaling) : new Float64Array((width + 1) * labels);
  const objective = logLoss(rows, targets, width, labels, prior, hasPrior);
  return fromPoint(minimize(objective, prior), start.labels, scaling);
}

/**
 * Return the weighted log loss and half the squared distance from a prior, as a function of kernel and bias.
 *
 * Without a prior the bias is free, as in scikit-learn.
 *
 * @param rows values [songs, width]
 * @param targets weights [songs, labels]
 * @param prior kernel [labels, width] and bias [labels], in one array as the points
 */
export function logLoss(
  rows: Float64Array, targets: Float64Array, width: number, labels: number, prior: Float64Array, hasPrior: boolean,
): Objective {
  const songs = targets.length / labels;
  const size = width * labels;
  const penalized = hasPrior ? prior.length : size;
  const errors = new Float64Array(songs * labels);
  return (point, gradient) => {
    gradient.fill(0);
    let value = 0;
    for (let at = 0; at < penalized; at++) {
      const distance = point[at]! - prior[at]!;
      gradient[at] = distance;
      value += 0.5 * distance * distance;
    }
    for (let song = 0; song < songs; song++) {
      for (let label = 0; label < labels; label++) {
        errors[song * labels + label] = point[size + label]! + dotProduct(rows, song * width, point, label * width, width);
      }
      const own = song * labels;
      value += weightedLoss(errors.subarray(own, own + labels), targets.subarray(own, own + labels));
      for (let label = 0; label < labels; label++) gradient[size + label]! += errors[own + label]!;
    }
    for (let label = 0; label < labels; label++) {
      const part = gradient.subarray(label * width, (label + 1) * width);
      addRows(part, rows, (song) => errors[song * labels + label]!, songs);
    }
    return value;
  };
}

/** Add rows, each times a factor, to a row. Four at once are twice as fast as one after another. */
function addRows(target: Float64Array, rows: Float64Array, factor: (row: number) => number, count: number): void {
  const width = target.length;
  let row = 0;
  for (; row + 3 < count; row += 4) {
    const [a, b, c, d] = [factor(row), factor(row + 1), factor(row + 2), factor(row + 3)];
    for (let i = 0, first = row * width, second = first + width, third = second + width, fourth = third + width; i < width; i++) {
      target[i]! += a * rows[first + i]! + b * rows[second + i]! + c * rows[third + i]! + d * rows[fourth + i]!;
    }
  }
  for (; row < count; row++) for (let i = 0; i < width; i++) target[i]! += factor(row) * rows[row * width + i]!;
}

/** Multiply two rows of matrices. Four sums in turn are faster than one, which would wait for itself. */
export function dotProduct(a: Float64Array, fromA: number, b: Float64Array, fromB: number, width: number): number {
  let first = 0, second = 0, third = 0, fourth = 0, i = 0;
  for (; i + 3 < width; i += 4) {
    first += a[fromA + i]! * b[fromB + i]!;
    second += a[fromA + i + 1]! * b[fromB + i + 1]!;
    third += a[fromA + i + 2]! * b[fromB + i + 2]!;
    fourth += a[fromA + i + 3]! * b[fromB + i + 3]!;
  }
  for (; i < width; i++) first += a[fromA + i]! * b[fromB + i]!;
  return first + second + third + fourth;
}

/** Return the log loss of a song, and replace its logits by the derivatives. */
function weightedLoss(logits: Float64Array, targets: Float64Array): number {
  let highest = -Infinity, total = 0, weight = 0, chosen = 0;
  for (let label = 0; label < logits.length; label++) {
    highest = Math.max(highest, logits[label]!);
    weight += targets[label]!;
    chosen += targets[label]! * logits[label]!;
  }
  for (let label = 0; label < logits.length; label++) total += logits[label] = Math.exp(logits[label]! - highest);
  for (let label = 0; label < logits.length; label++) logits[label] = (weight * logits[label]!) / total - targets[label]!;
  return weight * (highest + Math.log(total)) - chosen;
}

/** Mean and deviation of each feature. */
interface Scaling {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** Compute mean and deviation. A song with several labels counts once for each, as in the package. */
function scalingOf(examples: readonly Example[], width: number): Scaling {
  const mean = new Float64Array(width);
  const deviation = new Float64Array(width);
  const count = examples.reduce((total, { weights }) => total + weights.size, 0);
  for (const { features, weights } of examples) {
    for (let i = 0; i < width; i++) mean[i]! += (weights.size * features[i]!) / count;
  }
  for (const { features, weights } of examples) {
    for (let i = 0; i < width; i++) deviation[i]! += (weights.size * (features[i]! - mean[i]!) ** 2) / count;
  }
  return { mean, deviation: deviation.map((variance) => Math.sqrt(variance) + LEARNING.min_deviation) };
}

function standardized(examples: readonly Example[], { mean, deviation }: Scaling): Float64Array {
  const width = mean.length;
  const rows = new Float64Array(examples.length * width);
  for (const [song, { features }] of examples.entries()) {
    for (let i = 0; i < width; i++) rows[song * width + i] = (features[i]! - mean[i]!) / deviation[i]!;
  }
  return rows;
}

/** Convert a layer to weights of standardized features. */
function toPoint({ labels, kernel, bias }: Layer, { mean, deviation }: Scaling): Float64Array {
  const width = mean.length;
  const count = labels.length;
  const point = new Float64Array((width + 1) * count);
  for (let label = 0; label < count; label++) {
    let constant = bias[label]!;
    for (let i = 0; i < width; i++) {
      const weight = kernel[i * count + label]!;
      point[label * width + i] = weight * deviation[i]!;
      constant += weight * mean[i]!;
    }
    point[width * count + label] = constant;
  }
  return point;
}

function fromPoint(point: Float64Array, labels: readonly string[], { mean, deviation }: Scaling): Layer {
  const width = mean.length;
  const count = labels.length;
  const kernel = new Float32Array(width * count);
  const bias = new Float32Array(count);
  for (let label = 0; label < count; label++) {
    let constant = point[width * count + label]!;
    for (let i = 0; i < width; i++) {
      const weight = point[label * width + i]! / deviation[i]!;
      kernel[i * count + label] = weight;
      constant -= weight * mean[i]!;
    }
    bias[label] = constant;
  }
  return { labels, kernel, bias };
}
