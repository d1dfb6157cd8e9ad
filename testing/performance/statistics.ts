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

export function spreadOf(values: readonly number[]): Spread {
  const middle = median(values);
  return {
    min: Math.min(...values),
    max: Math.max(...values),
    mad: median(values.map((value) => Math.abs(value - middle))),
  };
}

/**
 * The standard error of the median, as a share of it, from the median absolute deviation: one wild round
 * does not move it. 1.4826 makes a deviation of a normal spread, 1.2533 is what a median loses to a mean.
 * Of fewer than three values nothing is known, so it is infinite.
 */
export function noiseOf(values: readonly number[]): number {
  if (values.length < 3) return Number.POSITIVE_INFINITY;
  const error = (1.2533 * 1.4826 * spreadOf(values).mad) / Math.sqrt(values.length);
  return error / Math.abs(median(values));
}

/** The power of the size with which a cost grew: 1 is linear, 0 is not at all. */
export function exponentOf(
  from: { readonly size: number; readonly cost: number },
  to: { readonly size: number; readonly cost: number },
): number {
  return Math.log(to.cost / from.cost) / Math.log(to.size / from.size);
}
