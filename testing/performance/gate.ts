/**
 * When a run is worse than its baseline: the rule, without any measuring. A limit is what the project
 * allows plus what the two runs' own spread says is noise. Where noise is large against the limit, the
 * caller measures again. A figure that stays noisy is worse only by more than its noise; when it is not
 * worse it is undecided, and so is one of which too little counts for its noise to be known, or that was measured
 * beside busy neighbours, or never at the machine's full speed; and that is said.
 */
import type { Figure, Kind, Profile } from './figure.ts';

/** How much worse than its baseline a figure may be, as a share. */
export const LIMITS: Readonly<Record<Kind, number>> = {
  latency: 0.1,
  throughput: 0.1,
  // Processor time a request on a core that does nothing else: latency and throughput in their steadiest form.
  time: 0.1,
  cpu: 0.15,
  memory: 0.15,
};

/** A figure whose noise is above this share of its limit is measured again. */
const REPEAT_NOISE_SHARE = 0.25;
/** Allowed beside the limit is so many times the noise: what noise alone exceeds in one of twenty runs. */
const NOISE_ALLOWED = 1.6;

/** What the gate rests on: neighbours on the machine disturb it least. */
const STEADY: ReadonlySet<Kind> = new Set(['time', 'cpu', 'memory']);

export interface BaselineFigure {
  readonly ratio: number;
  readonly noise: number;
  /** What the reference took at full speed, where only that counts, on the processor that was measured. */
  readonly fastest?: number;
}

/** By the figure's name. */
export type Baseline = Readonly<Record<string, BaselineFigure>>;

/** A figure that may be worse, because somebody has looked at the cause. */
export interface Waiver {
  readonly profile: Profile;
  readonly figure: string;
  readonly cause: string;
  /** What it is held against instead. */
  readonly ratio: number;
  /** The last day on which it counts, `2026-12-31`. */
  readonly until: string;
}

export type Verdict = 'as before' | 'better' | 'worse' | 'new' | 'undecided' | 'waived';

export interface Judged {
  readonly figure: Figure;
  /** `undefined`: measured for the first time. */
  readonly baseline: BaselineFigure | undefined;
  /** How many times as bad as the baseline: above 1 is worse, of throughput too. */
  readonly worsening: number;
  /** The worsening from which on it is worse. */
  readonly allowed: number;
  readonly verdict: Verdict;
  readonly waiver: Waiver | undefined;
}

export interface Judgement {
  readonly judged: readonly Judged[];
  /** In the baseline, not measured: what is no longer measured is no longer known. */
  readonly missing: readonly string[];
  /** What fails the run, a line each. */
  readonly failures: readonly string[];
  /** What the machine was too busy to decide, a line each. */
  readonly undecided: readonly string[];
  /** What nothing was held against, and waivers that waive nothing, a line each. */
  readonly remarks: readonly string[];
  /** There were baselines, and the steady figures were decided: without them a run has no verdict. */
  readonly isDecided: boolean;
}

/** Whether one more round would make the verdict a better one. */
export function isTooNoisy({ isGated, kind, noise }: Figure): boolean {
  return isGated && (noise === null || noise > LIMITS[kind] * REPEAT_NOISE_SHARE);
}

/** Noise alone fills the limit, here or in the baseline: that it is not worse says little. */
function isUnsteady({ kind, noise }: Figure, baseline: BaselineFigure): boolean {
  return Math.max(noise ?? 0, baseline.noise) > LIMITS[kind];
}

/** The machine was slow from the first sample to the last: nothing shows that but what it once could. */
function isSlow({ fastest, fullSpeed }: Figure, baseline: BaselineFigure): boolean {
  if (fastest === null || baseline.fastest === undefined) return false;
  return fastest > baseline.fastest * fullSpeed;
}

/** Busy neighbours make everything slower but memory larger. */
function isDisturbed({ kind, disturbed }: Figure): boolean {
  return disturbed > 0 && kind !== 'memory';
}

/** `today` as in a waiver; `isComplete`: the run measured everything that the baseline names. */
export function judge(
  figures: readonly Figure[],
  {
    baseline,
    waivers,
    today,
    isComplete = true,
  }: {
    readonly baseline: Baseline;
    readonly waivers: readonly Waiver[];
    readonly today: string;
    readonly isComplete?: boolean;
  },
): Judgement {
  const active = new Map(
    waivers.filter(({ until }) => today <= until).map((waiver) => [waiver.figure, waiver]),
  );
  const judged = figures
    .filter(({ isGated }) => isGated)
    .map((figure) => judgeOne(figure, baseline[figure.name], active.get(figure.name)));
  const measured = new Set(judged.map(({ figure }) => figure.name));
  const missing = Object.keys(baseline).filter((name) => !measured.has(name));
  const failures = judged.flatMap(failureOf);
  if (isComplete) failures.push(...missing.map((name) => `${name}: has a baseline, not measured`));
  const undecided = judged.filter(({ verdict }) => verdict === 'undecided');
  return {
    judged,
    missing,
    failures,
    undecided: undecided.map(undecidedLine),
    remarks: [
      ...judged.flatMap(newLine),
      ...waivers.flatMap((one) => idleLine(one, measured, today)),
    ],
    isDecided:
      !undecided.some(({ figure: { kind } }) => STEADY.has(kind)) &&
      (judged.length === 0 || judged.some(({ verdict }) => verdict !== 'new')),
  };
}

function newLine({ figure, verdict }: Judged): string[] {
  return verdict === 'new' ? [`${figure.name}: has no baseline, held against nothing`] : [];
}

function idleLine(
  { figure, until }: Waiver,
  measured: ReadonlySet<string>,
  today: string,
): string[] {
  if (today > until) return [`${figure}: its waiver ended on ${until}`];
  return measured.has(figure) ? [] : [`${figure}: has a waiver, not measured by that name`];
}

function judgeOne(
  figure: Figure,
  baseline: BaselineFigure | undefined,
  waiver: Waiver | undefined,
): Judged {
  const without = worseningOf(figure, baseline);
  const base = { figure, baseline, waiver, ...without };
  if (baseline === undefined) return { ...base, verdict: 'new' };
  if (figure.noise === null || isDisturbed(figure) || isSlow(figure, baseline))
    return { ...base, verdict: 'undecided' };
  if (without.worsening <= without.allowed) {
    if (isUnsteady(figure, baseline)) return { ...base, verdict: 'undecided' };
    return { ...base, verdict: without.worsening < 1 / without.allowed ? 'better' : 'as before' };
  }
  if (waiver === undefined) return { ...base, verdict: 'worse' };
  const waived = worseningOf(figure, { ratio: waiver.ratio, noise: baseline.noise });
  return { ...base, ...waived, verdict: waived.worsening > waived.allowed ? 'worse' : 'waived' };
}

function worseningOf(
  { kind, ratio, noise }: Figure,
  baseline: BaselineFigure | undefined,
): { readonly worsening: number; readonly allowed: number } {
  const before = baseline?.ratio ?? ratio;
  return {
    worsening: kind === 'throughput' ? before / ratio : ratio / before,
    allowed: 1 + LIMITS[kind] + NOISE_ALLOWED * Math.hypot(noise ?? 0, baseline?.noise ?? 0),
  };
}

function failureOf({ figure, worsening, allowed, verdict }: Judged): string[] {
  if (verdict !== 'worse') return [];
  const allowance = `at most ${percent(allowed - 1)} is allowed (${figure.rounds} rounds)`;
  return [`${figure.name}: ${percent(worsening - 1)} worse than its baseline, ${allowance}`];
}

function undecidedLine({ figure, baseline }: Judged): string {
  const { name, kind, rounds, noise, disturbed } = figure;
  if (isDisturbed(figure))
    return `${name}: in ${disturbed} of ${rounds} rounds others had too much of the machine`;
  if (baseline !== undefined && isSlow(figure, baseline)) {
    const [now, then] = [figure.fastest, baseline.fastest].map((took) => took?.toPrecision(3));
    return `${name}: the machine was never at full speed: ${figure.reference} took ${now} ${figure.unit}, ${then} when the baseline was made`;
  }
  if (noise !== null && baseline !== undefined && noise <= LIMITS[kind])
    return `${name}: noise of ${percent(baseline.noise)} in its baseline is too much to judge by`;
  const size = noise === null ? 'of unknown size' : `of ${percent(noise)}`;
  return `${name}: noise ${size} after ${rounds} rounds is too much to judge by`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/**
 * Throws unless each figure has a ratio above 0 and a noise: anything else would compare with anything. How long
 * the references took is only for a machine with the processor of the baseline, `cpu`.
 */
export function parseBaseline(text: string, cpu?: string): Baseline {
  const { figures, measured } = JSON.parse(text) as {
    readonly figures?: unknown;
    readonly measured?: { readonly cpu?: unknown };
  };
  if (typeof figures !== 'object' || figures === null)
    throw new Error('expected a baseline with figures, got none');
  const isSameCpu = measured?.cpu === cpu;
  return Object.fromEntries(
    Object.entries(figures).map(([name, figure]) => [name, parseFigure(name, figure, isSameCpu)]),
  );
}

function parseFigure(name: string, figure: unknown, isSameCpu: boolean): BaselineFigure {
  const given = (figure ?? {}) as Partial<Record<keyof BaselineFigure, unknown>>;
  const { ratio, noise, fastest } = given;
  if (!isRatio(ratio) || !(noise === 0 || isRatio(noise)))
    throw new Error(
      `expected a ratio above 0 and a noise of ${name} in the baseline, got ${JSON.stringify(figure)}`,
    );
  return { ratio, noise, ...(isSameCpu && isRatio(fastest) && { fastest }) };
}

function isRatio(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value);
}

/** Throws unless it is a list of waivers, each with a profile, a cause and an end. */
export function parseWaivers(text: string): readonly Waiver[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new Error('expected a list of waivers, got something else');
  return value.map((entry: unknown) => {
    if (!isWaiver(entry))
      throw new Error(
        `expected a waiver with profile, figure, cause, ratio and until (2026-12-31), got ${JSON.stringify(entry)}`,
      );
    return entry;
  });
}

function isWaiver(value: unknown): value is Waiver {
  if (typeof value !== 'object' || value === null) return false;
  const { profile, figure, cause, ratio, until } = value as Partial<Record<keyof Waiver, unknown>>;
  return (
    (profile === 'micronode' || profile === 'macronode') &&
    typeof figure === 'string' &&
    typeof cause === 'string' &&
    cause.trim().length >= 10 &&
    isRatio(ratio) &&
    typeof until === 'string' &&
    /^\d{4}-\d\d-\d\d$/.test(until) &&
    !Number.isNaN(Date.parse(until))
  );
}

/** Golden metrics that a page of /metrics has no line of. */
export function missingMetrics(page: string, golden: readonly string[]): readonly string[] {
  const present = new Set([...page.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
  return golden.filter((name) => !present.has(name));
}
