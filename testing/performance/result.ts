/**
 * What a benchmark yields and how it is held against a baseline. Machines differ and this one is
 * busy, so the figure that counts is a ratio: the measured cost over that of a calibration which ran
 * in the same minute on the same machine. Figures in seconds are kept for reading, never compared.
 */

export type Profile = 'micronode' | 'macronode';

export interface Measurement {
  /** `head.requests`, `approval.verify`: what was measured. */
  readonly name: string;
  /** What it cost, in `unit`. */
  readonly value: number;
  readonly unit: 'us' | 'requests/s' | 'commits/s';
  /** The bare thing that it was held against, and what that cost in the same unit. */
  readonly calibration: { readonly name: string; readonly value: number };
}

export interface Result extends Measurement {
  /** How many times the calibration's cost: lower is better, 1 is as fast as the bare thing. */
  readonly ratio: number;
}

/** The `ratio` of each measurement that is good enough to hold on to, by name. */
export interface Baseline {
  readonly ratios: Readonly<Record<string, number>>;
  /** A ratio may be this many times the baseline's before it counts as worse: what noise does here. */
  readonly tolerance: number;
}

export interface Comparison {
  readonly result: Result;
  /** `undefined`: measured for the first time. */
  readonly baseline: number | undefined;
  readonly verdict: 'as before' | 'better' | 'worse' | 'new';
}

/** Both in the measurement's unit; of rates the inverse counts, so that lower is better always. */
export function resultOf(measurement: Measurement): Result {
  const { value, calibration, unit } = measurement;
  const ratio = unit === 'us' ? value / calibration.value : calibration.value / value;
  return { ...measurement, ratio };
}

/** A baseline entry without a result is worse: what is no longer measured is no longer known. */
export function compare(
  results: readonly Result[],
  { ratios, tolerance }: Baseline,
): { compared: readonly Comparison[]; missing: readonly string[] } {
  const compared = results.map((result) => {
    const baseline = ratios[result.name];
    return { result, baseline, verdict: judge(result.ratio, baseline, tolerance) };
  });
  const measured = new Set(results.map(({ name }) => name));
  return { compared, missing: Object.keys(ratios).filter((name) => !measured.has(name)) };
}

function judge(
  ratio: number,
  baseline: number | undefined,
  tolerance: number,
): Comparison['verdict'] {
  if (baseline === undefined) return 'new';
  if (ratio > baseline * tolerance) return 'worse';
  return ratio < baseline / tolerance ? 'better' : 'as before';
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[Math.ceil(sorted.length / 2) - 1],
    sorted[middle],
  ];
  return (low + high) / 2;
}
