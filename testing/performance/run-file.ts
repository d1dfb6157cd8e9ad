/** A run as one JSON, the baselines it is held against, and the waivers that somebody has looked at. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure, Profile } from './figure.ts';
import { type Baseline, parseBaseline, parseWaivers, type Waiver } from './gate.ts';
import type { Machine } from './machine.ts';

export const PROFILES: readonly Profile[] = ['micronode', 'macronode'];

export interface RunFile {
  readonly kind: RunKind;
  readonly at: string;
  readonly seconds: number;
  readonly machine: Machine;
  /** Said loudly: what could not be measured here, and why. */
  readonly leftOut: readonly string[];
  readonly profiles: Readonly<Partial<Record<Profile, readonly Figure[]>>>;
  readonly curves: readonly Curve[];
  readonly bounds: readonly Bound[];
  /** What fails the run whatever its figures are, a line each. */
  readonly failures: readonly string[];
}

/** A figure that needs no machine to compare with: an exponent, a count. */
export interface Bound {
  readonly name: string;
  readonly value: number;
  readonly max: number;
}

export type RunKind = 'perf' | 'nightly';

/** Cost or latency against something that was turned up. */
export interface Curve {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly isLogX: boolean;
  readonly isLogY: boolean;
  readonly lines: readonly CurveLine[];
}

export interface CurveLine {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export function writeRun(directory: string, run: RunFile): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${run.at.replaceAll(':', '-').slice(0, 19)}-${run.kind}.json`);
  writeFileSync(path, `${JSON.stringify(run, null, 2)}\n`);
  return path;
}

/** Oldest first; none where the directory is not there. A file that is no run is left aside. */
export function readRuns(directory: string, kind: RunKind): readonly RunFile[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith(`-${kind}.json`))
    .sort()
    .map((name): RunFile => JSON.parse(readFileSync(join(directory, name), 'utf8')))
    .filter((run) => run.kind === kind && run.profiles !== undefined);
}

export function readBaseline(
  profile: Profile,
  { cpu }: Partial<Pick<Machine, 'cpu'>> = {},
): Baseline {
  const path = baselinePath(profile);
  return existsSync(path) ? parseBaseline(readFileSync(path, 'utf8'), cpu) : {};
}

/**
 * Gated figures alone: nothing else is compared. Throws when others had too much of the machine meanwhile,
 * or when a developer's run would drop what it did not measure.
 */
export function writeBaseline(
  profile: Profile,
  {
    kind,
    figures,
    machine,
    at,
  }: Pick<RunFile, 'kind' | 'machine' | 'at'> & { readonly figures: readonly Figure[] },
): void {
  if (kind === 'perf') assertWhole(readBaseline(profile, machine), figures);
  const gated = figures.filter(({ isGated }) => isGated);
  const bad = gated.find(({ noise, disturbed }) => noise === null || disturbed > 0);
  if (bad !== undefined) {
    const { name, rounds, disturbed, slow } = bad;
    const got =
      disturbed > 0
        ? `${disturbed} disturbed rounds of ${rounds}`
        : `${rounds} samples that count and ${slow} while it was slow`;
    throw new Error(
      `expected a quiet machine to make a baseline on, got ${got} (${name}): run again when nothing else runs`,
    );
  }
  const baseline = Object.fromEntries(
    gated.map(({ name, ratio, noise, fastest }) => [
      name,
      {
        ratio: Number(ratio.toPrecision(4)),
        noise: Number((noise ?? 0).toPrecision(2)),
        ...(fastest !== null && { fastest: Number(fastest.toPrecision(4)) }),
      },
    ]),
  );
  const { cpu, cores, node, commit } = machine;
  const measured = { at, cpu, cores, node, commit };
  writeFileSync(
    baselinePath(profile),
    `${JSON.stringify({ measured, figures: baseline }, null, 2)}\n`,
  );
}

/** Throws when something of the baseline is not among the figures. */
export function assertWhole(baseline: Baseline, figures: readonly Figure[]): void {
  const measured = new Set(figures.map(({ name }) => name));
  const dropped = Object.keys(baseline).filter((name) => !measured.has(name));
  if (dropped.length > 0)
    throw new Error(
      `expected a run that measures all of the baseline, got one without ${dropped.join('; ')}: use scripts/perf-nightly --update`,
    );
}

function baselinePath(profile: Profile): string {
  return join(import.meta.dirname, 'baselines', `${profile}.json`);
}

export function readWaivers(profile: Profile): readonly Waiver[] {
  const waivers = parseWaivers(readFileSync(join(import.meta.dirname, 'waivers.json'), 'utf8'));
  return waivers.filter((waiver) => waiver.profile === profile);
}
