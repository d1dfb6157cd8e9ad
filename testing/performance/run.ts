/**
 * `scripts/perf` and `scripts/perf-nightly`: measures, writes one JSON and a report, and holds the figures
 * against the baselines. Exit status 0: all is as before. 1: something is worse, or is no longer measured.
 * 2: the machine was too busy for a verdict.
 */
import { parseArgs, styleText } from 'node:util';
import type { Figure, Profile } from './figure.ts';
import { type Judgement, judge } from './gate.ts';
import { describeMachine, hasTool, isPinned, pinLoad, TOOLS, type Tool } from './machine.ts';
import { LONG, plansOf, runPlans, SHORT } from './plans.ts';
import {
  PROFILES,
  type RunFile,
  type RunKind,
  readBaseline,
  readWaivers,
  writeBaseline,
  writeRun,
} from './run-file.ts';
import { plainTable } from './table.ts';

const { values } = parseArgs({
  options: {
    nightly: { type: 'boolean', default: false },
    output: { type: 'string', default: 'perf' },
    profile: { type: 'string' },
    update: { type: 'boolean', default: false },
  },
});

const WITHOUT: Readonly<Record<Tool, string>> = {
  wrk: 'autocannon makes the load, and is the limit for cheap requests',
  nginx: 'nothing is held against nginx, and most reads are not judged',
  taskset: 'nothing is pinned to a core',
};

/** What this machine lacks, a line each. */
function findMissing(): readonly string[] {
  const missing = TOOLS.filter((tool) => !hasTool(tool)).map(
    (tool) => `${tool} is not installed: ${WITHOUT[tool]}`,
  );
  return isPinned ? missing : [...missing, 'servers and load share their cores'];
}

function judgeProfile(
  profile: Profile,
  figures: readonly Figure[],
  isComplete: boolean,
): Judgement {
  const today = new Date().toISOString().slice(0, 10);
  const judgement = judge(figures, {
    baseline: readBaseline(profile),
    waivers: readWaivers(),
    today,
    isComplete,
  });
  console.log(`\n${styleText('bold', profile)}\n${plainTable(figures, judgement)}`);
  for (const { waiver, verdict } of judgement.judged)
    if (verdict === 'waived' && waiver !== undefined)
      console.log(
        styleText('yellow', `waived until ${waiver.until}: ${waiver.figure}: ${waiver.cause}`),
      );
  return judgement;
}

function onRound({ name, round }: { name: string; round: number }): void {
  console.error(styleText('dim', `${name}, round ${round}`));
}

async function measure(kind: RunKind, profiles: readonly Profile[]): Promise<RunFile> {
  const began = performance.now();
  const measured: Partial<Record<Profile, readonly Figure[]>> = {};
  for (const profile of profiles)
    measured[profile] = await runPlans(
      plansOf(profile, kind === 'nightly' ? LONG : SHORT),
      onRound,
    );
  return {
    kind,
    at: new Date().toISOString(),
    seconds: Math.round((performance.now() - began) / 1_000),
    machine: describeMachine(),
    leftOut: findMissing(),
    profiles: measured,
    curves: [],
  };
}

/** Says it, and answers the exit status. */
function conclude(judgements: readonly Judgement[]): number {
  const failures = judgements.flatMap((one) => one.failures);
  const undecided = judgements.flatMap((one) => one.undecided);
  for (const line of failures) console.log(styleText('red', `worse: ${line}`));
  for (const line of undecided) console.log(styleText('yellow', `undecided: ${line}`));
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
pinLoad();
const profiles = PROFILES.filter((name) => values.profile === undefined || name === values.profile);
const run = await measure(kind, profiles);
const isComplete = kind === 'nightly';
const judgements = profiles.map((profile) => {
  const figures = run.profiles[profile] ?? [];
  if (values.update) writeBaseline(profile, { figures, machine: run.machine, at: run.at });
  return judgeProfile(profile, figures, isComplete);
});
console.log(`\n${run.seconds} s; all figures are in ${writeRun(values.output, run)}`);
process.exitCode = conclude(judgements);
