/**
 * `scripts/perf` and `scripts/perf-nightly`: measures, writes one JSON and a report, and holds the figures
 * against the baselines. Exit status 0: all is as before. 1: something is worse, or is no longer measured.
 * 2: the machine was too busy for a verdict, or a profile has no baseline.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import { type BenchWatch, formatProgress, MAX_OTHERS, parseShare } from './bench.ts';
import { profileServer } from './culprit.ts';
import { LONG_CURVES, measureCurves, SHORT_CURVES } from './curves.ts';
import type { Figure, Profile } from './figure.ts';
import { type Judgement, judge } from './gate.ts';
import { findMissingMetrics } from './golden.ts';
import { describeMachine, endOnSignals, pinLoad } from './machine.ts';
import { findMissing } from './missing.ts';
import { LONG, plansOf, runPlans, SHORT } from './plans.ts';
import { REPORT, writeReport } from './report.ts';
import {
  type Curve,
  PROFILES,
  type RunFile,
  type RunKind,
  readBaseline,
  readRuns,
  readWaivers,
  writeBaseline,
  writeRun,
} from './run-file.ts';
import { measureSlopes } from './slopes.ts';
import { measureSweeps } from './sweeps.ts';
import { plainTable } from './table.ts';

const { values } = parseArgs({
  options: {
    nightly: { type: 'boolean', default: false },
    others: { type: 'string', default: String(MAX_OTHERS) },
    output: { type: 'string', default: 'perf' },
    profile: { type: 'string' },
    update: { type: 'boolean', default: false },
  },
});

const maxOthers = parseShare(values.others);

/** A run that was told to put up with its neighbours says so. */
function loosened(): readonly string[] {
  if (maxOthers <= MAX_OTHERS) return [];
  return [`quiet: rounds count in which others had up to ${maxOthers * 100} % of the machine`];
}

/** To whom watches; the figures themselves go to standard output. */
function say(line: string): void {
  console.error(styleText('dim', line));
}

async function measure(kind: RunKind, profiles: readonly Profile[]): Promise<RunFile> {
  const began = performance.now();
  const effort = kind === 'nightly' ? LONG : SHORT;
  const measured: Partial<Record<Profile, readonly Figure[]>> = {};
  const failures: string[] = [];
  const broken: string[] = [];
  const watch: BenchWatch = {
    maxOthers,
    onRound: (progress) => say(formatProgress(progress)),
    onBroken: ({ name, error }) => {
      broken.push(`a round of ${name} failed and was repeated: ${error}`);
      say(broken.at(-1) ?? '');
    },
  };
  for (const profile of profiles) {
    measured[profile] = await runPlans(plansOf(profile, effort), watch);
    failures.push(...(await findMissingMetrics(profile)));
  }
  const { curves, bounds } = await measureShapes(kind, profiles);
  failures.push(
    ...bounds
      .filter(({ value, max }) => !(value <= max))
      .map(({ name, value, max }) => `${name}: ${value.toFixed(3)}, at most ${max}`),
  );
  return {
    kind,
    at: new Date().toISOString(),
    seconds: Math.round((performance.now() - began) / 1_000),
    machine: describeMachine(),
    leftOut: [...findMissing(), ...loosened(), ...broken],
    profiles: measured,
    curves,
    bounds,
    failures,
  };
}

/** What is drawn, and how costs grow. */
async function measureShapes(
  kind: RunKind,
  profiles: readonly Profile[],
): Promise<Pick<RunFile, 'curves' | 'bounds'>> {
  const curves: Curve[] = [];
  for (const profile of kind === 'nightly' ? profiles : profiles.slice(-1)) {
    say(`${profile}: curves`);
    const plan = kind === 'nightly' ? LONG_CURVES : SHORT_CURVES;
    curves.push(...(await measureCurves({ profile, ...plan })));
    if (kind === 'nightly') curves.push(...(await measureSweeps(profile)));
  }
  say('cost against size');
  const { bounds, curve } = await measureSlopes();
  return { bounds, curves: [...curves, curve] };
}

function judgeProfile(run: RunFile, profile: Profile): Judgement {
  const figures = run.profiles[profile] ?? [];
  const judgement = judge(figures, {
    baseline: readBaseline(profile, run.machine),
    waivers: readWaivers(profile),
    today: run.at.slice(0, 10),
    // A developer's run leaves out what a night has time for.
    isComplete: run.kind === 'nightly',
  });
  console.log(`\n${styleText('bold', profile)}\n${plainTable(figures, judgement)}`);
  for (const { waiver, verdict } of judgement.judged)
    if (verdict === 'waived' && waiver !== undefined)
      console.log(
        styleText('yellow', `waived until ${waiver.until}: ${waiver.figure}: ${waiver.cause}`),
      );
  return judgement;
}

/** Says it, and answers the exit status. */
function conclude(run: RunFile, judgements: readonly Judgement[]): number {
  const failures = [...run.failures, ...judgements.flatMap((one) => one.failures)];
  const undecided = judgements.flatMap((one) => one.undecided);
  for (const line of failures) console.log(styleText('red', `worse: ${line}`));
  for (const line of undecided) console.log(styleText('yellow', `undecided: ${line}`));
  for (const line of judgements.flatMap(({ remarks }) => remarks))
    console.log(styleText('yellow', line));
  if (failures.length > 0) return 1;
  if (!judgements.every(({ isDecided }) => isDecided)) return 2;
  console.log(styleText('green', 'nothing is worse than its baseline allows'));
  return 0;
}

const kind: RunKind = values.nightly ? 'nightly' : 'perf';
const missing = findMissing();
for (const line of missing) console.error(styleText(['red', 'bold'], line));
if (kind === 'nightly' && missing.length > 0)
  throw new Error('expected all references and two cores for the nightly run, got less');
const profiles = PROFILES.filter((name) => values.profile === undefined || name === values.profile);
if (profiles.length === 0) throw new Error(`expected a profile, got ${values.profile}`);
if (values.update && kind === 'perf' && profiles.includes('micronode'))
  throw new Error(
    'expected --profile macronode or scripts/perf-nightly to make a baseline, got a run that measures little of a micronode',
  );
pinLoad();
endOnSignals();
// Of a run that breaks off, that of the run before would be taken for its own.
rmSync(join(values.output, REPORT), { force: true });
const run = await measure(kind, profiles);
const file = writeRun(values.output, run);
if (values.update)
  for (const profile of profiles)
    writeBaseline(profile, { ...run, figures: run.profiles[profile] ?? [] });
const judgements = new Map(profiles.map((profile) => [profile, judgeProfile(run, profile)]));
const runs = readRuns(values.output, kind);
const page = writeReport(values.output, { run, judgements, runs });
console.log(`\n${run.seconds} s; all figures are in ${file}, the report is ${page}`);
process.exitCode = conclude(run, [...judgements.values()]);
if (kind === 'nightly')
  for (const [profile, { failures }] of judgements)
    if (failures.length > 0) {
      const written = await profileServer(profile, values.output);
      console.log(`to see where the time goes, beside it: ${written.join(', ')}`);
    }
