/** Minimise a smooth convex function with L-BFGS (Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.4). */

/** Number of steps whose changes approximate the curvature. */
const MEMORY = 10;
const MAX_ITERATIONS = 500;
/** Largest element of the gradient at the minimum. */
const GRADIENT_TOLERANCE = 1e-5;
/** Smallest decrease of an iteration, relative to the value. */
const DECREASE_TOLERANCE = 1e-10;
/** Share of the decrease expected from the slope that a step must reach. */
const SUFFICIENT_DECREASE = 1e-4;
const MAX_HALVINGS = 40;

/** Return the value at a point, and write the gradient there into `gradient`. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

interface Step {
  readonly move: Float64Array;
  readonly change: Float64Array;
  /** 1 / (move · change) */
  readonly inverse: number;
}

/** Return the minimum that a search from `start` reaches. */
export function minimize(objective: Objective, start: Float64Array): Float64Array {
  let point = start.slice();
  let gradient = new Float64Array(start.length);
  let value = objective(point, gradient);
  const steps: Step[] = [];
  for (let i = 0; i < MAX_ITERATIONS && largest(gradient) > GRADIENT_TOLERANCE; i++) {
    const direction = descent(gradient, steps);
    const slope = dot(direction, gradient);
    let size = steps.length ? 1 : Math.min(1, 1 / Math.sqrt(dot(gradient, gradient)));
    let next = point, nextGradient = gradient, nextValue = Infinity;
    for (let halvings = 0; halvings < MAX_HALVINGS; halvings++, size /= 2) {
      next = point.map((x, at) => x + size * direction[at]!);
      nextGradient = new Float64Array(start.length);
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + SUFFICIENT_DECREASE * size * slope) break;
    }
    if (!(nextValue < value)) return point; // rounding hides a further decrease
    const move = next.map((x, at) => x - point[at]!);
    const change = nextGradient.map((x, at) => x - gradient[at]!);
    const curvature = dot(move, change);
    if (curvature > 0) steps.push({ move, change, inverse: 1 / curvature });
    if (steps.length > MEMORY) steps.shift();
    const isFlat = value - nextValue <= DECREASE_TOLERANCE * Math.max(Math.abs(value), Math.abs(nextValue), 1);
    [point, gradient, value] = [next, nextGradient, nextValue];
    if (isFlat) break;
  }
  return point;
}

/** Multiply the negative gradient by the approximate inverse of the curvature. */
function descent(gradient: Float64Array, steps: readonly Step[]): Float64Array {
  const direction = gradient.map((x) => -x);
  const shares: number[] = [];
  for (let i = steps.length - 1; i >= 0; i--) {
    const { move, change, inverse } = steps[i]!;
    shares[i] = inverse * dot(move, direction);
    add(direction, change, -shares[i]!);
  }
  const last = steps.at(-1);
  if (last) scale(direction, 1 / (last.inverse * dot(last.change, last.change)));
  for (const [i, { move, change, inverse }] of steps.entries()) {
    add(direction, move, shares[i]! - inverse * dot(change, direction));
  }
  return direction;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function add(target: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += factor * values[i]!;
}

function scale(target: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! *= factor;
}

function largest(values: Float64Array): number {
  let result = 0;
  for (let i = 0; i < values.length; i++) result = Math.max(result, Math.abs(values[i]!));
  return result;
}
