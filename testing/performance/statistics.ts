/** What is said of repeated measurements: the middle, the spread, and how far the middle itself may be off. */

export interface Spread {
  readonly min: number;
  readonly max: number;
  /** Median absolute deviation. */
  readonly mad: number;
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const low = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  const high = sorted[sorted.length >> 1] ?? Number.NaN;
  return (low + high) / 2;
}

/** `q` of 0.5 is the upper middle; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** Which quantile of short moments: a machine makes them slower and never faster, and what a change costs is in all. */
export const UNDISTURBED = 0.25;

export function spreadOf(values: readonly number[]): Spread {
  const middle = median(values);
  return {
    min: Math.min(...values),
    max: Math.max(...values),
    mad: median(values.map((value) => Math.abs(value - middle))),
  };
}

/** Standard error of a median over the mean deviation of all values but the farthest, times the root of their number. */
const ERROR_OF_DEVIATION = 2.2;

/**
 * About the standard error of the median, as a share of it. One wild round does not move it; two states
 * between which a busy machine flips do, which the median absolute deviation would miss. Of fewer than
 * three values nothing is known, so it is infinite.
 */
export function noiseOf(values: readonly number[]): number {
  if (values.length < 3) return Number.POSITIVE_INFINITY;
  const middle = median(values);
  const deviations = values.map((value) => Math.abs(value - middle)).toSorted((a, b) => a - b);
  const kept = values.length > 3 ? deviations.slice(0, -1) : deviations;
  const mean = kept.reduce((sum, deviation) => sum + deviation, 0) / kept.length;
  return (ERROR_OF_DEVIATION * mean) / Math.sqrt(values.length) / Math.abs(middle);
}

/** The power of the size with which a cost grew: 1 is linear, 0 is not at all. */
export function exponentOf(
  from: { readonly size: number; readonly cost: number },
  to: { readonly size: number; readonly cost: number },
): number {
  return Math.log(to.cost / from.cost) / Math.log(to.size / from.size);
}

/** Where the straight line of least squares through values at even distances begins and ends; NaN of fewer than two. */
export function lineOf(values: readonly number[]): {
  readonly begin: number;
  readonly end: number;
} {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const along = values.reduce((sum, value, i) => sum + (i - middle) * (value - mean), 0);
  const across = values.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
  const half = (along / across) * middle;
  return { begin: mean - half, end: mean + half };
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * Where the straight line of least squares through points reaches `y`; no farther than twice the largest x, which is
 * also the answer where the line does not rise.
 */
export function reachOf(points: readonly Point[], y: number): number {
  const meanX = points.reduce((sum, point) => sum + point.x, 0) / points.length;
  const meanY = points.reduce((sum, point) => sum + point.y, 0) / points.length;
  const along = points.reduce((sum, point) => sum + (point.x - meanX) * (point.y - meanY), 0);
  const across = points.reduce((sum, point) => sum + (point.x - meanX) ** 2, 0);
  const farthest = 2 * Math.max(...points.map(({ x }) => x));
  const slope = along / across;
  return slope > 0 ? Math.min(meanX + (y - meanY) / slope, farthest) : farthest;
}
