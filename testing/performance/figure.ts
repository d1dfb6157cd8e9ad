/**
 * What a benchmark yields. Machines differ and this one is busy, so the figure that counts is a ratio: what
 * was measured over a reference that was measured in the same round. Figures in seconds are kept for
 * reading, never compared.
 */
import { median, noiseOf, quantile, type Spread, spreadOf } from './statistics.ts';

export type Profile = 'micronode' | 'macronode';

/** Which limit of the gate holds for a figure. Of throughput more is better, of all others less. */
export type Kind = 'latency' | 'throughput' | 'time' | 'cpu' | 'memory';

/** One figure of one round. */
export interface Sample {
  /** `head 200, CPU a request, of nginx`: the same in each round. */
  readonly name: string;
  readonly kind: Kind;
  readonly unit: string;
  /** What it is held against. */
  readonly reference: string;
  readonly ours: number;
  readonly theirs: number;
  /** `true`: a baseline decides about it; otherwise it is only reported. */
  readonly isGated?: boolean;
  /** `true`: it counts only where the reference was about as fast as ever: at other times the machine was slow. */
  readonly isAtFullSpeed?: boolean;
  /** Up to so many times what the reference took least is full speed. Default: `FULL_SPEED`. */
  readonly fullSpeed?: number;
  /** `true`: the worst of its rounds counts, and not the middle. Less is better. */
  readonly isWorst?: boolean;
  /** `true`: it costs the same each time, so that it counts only where both were about as fast as ever. */
  readonly isConstant?: boolean;
}

/** Of what the reference took least: a core whose other half somebody uses takes half as long again and longer. */
const FULL_SPEED = 1.2;
/** The same of what costs the same each time: code that waits for memory is slower by less than the reference, or more. */
const AS_EVER = 1.1;
/** Of those, so many must agree: the least of a few that do may be of a moment in which one of both was slow. */
const ENOUGH = 5;

export interface Figure {
  readonly name: string;
  readonly kind: Kind;
  readonly unit: string;
  readonly reference: string;
  readonly isGated: boolean;
  /** Samples: one of each round, or more. */
  readonly rounds: number;
  /** Rounds that are not among them, because others had too much of the machine. */
  readonly thrownAway: number;
  /** Rounds that are among them all the same: there were too few others. */
  readonly disturbed: number;
  /** Samples that are not among them, because the machine was slow. */
  readonly slow: number;
  /** What the reference took at full speed, in `unit`. `null`: samples count at any speed. */
  readonly fastest: number | null;
  /** Up to so many times that is full speed. */
  readonly fullSpeed: number;
  /** Of the rounds, in `unit`: medians, or the worst. */
  readonly ours: number;
  readonly theirs: number;
  /** Median of the rounds' ratios, ours over theirs. */
  readonly ratio: number;
  /** Of the ratios. */
  readonly spread: Spread;
  /** How far the ratio may be off, as a share of it. `null`: too few samples to know. */
  readonly noise: number | null;
}

/** Throws unless each has a ratio. */
export function assertComparable(samples: readonly Sample[]): void {
  for (const { name, ours, theirs } of samples) {
    const ratio = ours / theirs;
    if (!(ratio > 0 && ratio < Number.POSITIVE_INFINITY))
      throw new Error(`expected figures above 0 of ${name}, got ${ours} over ${theirs}`);
  }
}

/** By name, in the order in which they first came. */
export function figuresOf(samples: readonly Sample[]): readonly Figure[] {
  const byName = Map.groupBy(samples, ({ name }) => name);
  return [...byName.values()].map(figureOf);
}

function figureOf(all: readonly Sample[]): Figure {
  const [first] = all;
  if (first === undefined) throw new Error('expected samples, got none');
  assertComparable(all);
  const { fullSpeed = FULL_SPEED } = first;
  const least = {
    ours: leastOf(all.map(({ ours }) => ours)),
    theirs: leastOf(all.map(({ theirs }) => theirs)),
  };
  const samples = all.filter(
    ({ ours, theirs, isAtFullSpeed = false, isConstant = false }) =>
      (!isAtFullSpeed || theirs <= least.theirs * fullSpeed) &&
      (!isConstant || (ours <= least.ours * AS_EVER && theirs <= least.theirs * AS_EVER)),
  );
  const ratios = samples.map(({ ours, theirs }) => ours / theirs);
  const middle =
    first.isWorst === true ? (values: readonly number[]) => Math.max(...values) : median;
  const isEnough = first.isConstant !== true || samples.length >= ENOUGH;
  const noise = isEnough ? noiseOf(ratios) : Number.POSITIVE_INFINITY;
  return {
    name: first.name,
    kind: first.kind,
    unit: first.unit,
    reference: first.reference,
    isGated: first.isGated ?? false,
    rounds: samples.length,
    thrownAway: 0,
    disturbed: 0,
    slow: all.length - samples.length,
    fastest: first.isAtFullSpeed === true || first.isConstant === true ? least.theirs : null,
    fullSpeed,
    ours: middle(samples.map(({ ours }) => ours)),
    theirs: middle(samples.map(({ theirs }) => theirs)),
    ratio: median(ratios),
    spread: spreadOf(ratios),
    noise: Number.isFinite(noise) ? noise : null,
  };
}

/** Not the least of many: one of them may be an accident. */
function leastOf(values: readonly number[]): number {
  return quantile(values, 0.05);
}
