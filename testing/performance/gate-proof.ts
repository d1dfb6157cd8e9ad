/**
 * Whether the gate sees: a server is made worse on purpose by a fifth, in reads, in commits and in memory, and
 * measured and judged as always; and so is the unchanged one, in all three, twice as often. In turns, so that a
 * busy minute hits all of them. How much makes a fifth is measured first: what plants it costs something too.
 *
 *   node testing/performance/gate-proof.ts [--runs 10] [--others 0.05] [--output FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs, styleText } from 'node:util';
import { type BenchWatch, formatProgress, MAX_OTHERS, parseShare } from './bench.ts';
import type { Figure } from './figure.ts';
import { type Baseline, judge } from './gate.ts';
import { describeMachine, endOnSignals, hasTool, isPinned, pinLoad } from './machine.ts';
import { PROVED, type Proved, proofPlan, runPlans } from './plans.ts';
import { NOTHING_PLANTED, type Planted } from './planted.ts';
import { type Point, reachOf } from './statistics.ts';

const SHARE = 0.2;
/** Of what the unchanged server takes: what plants it costs something too. */
const FIRST_TRIAL = 0.16;
const MAX_TRIALS = 5;
/** What shows as a fifth, more or less by so much, is one. */
const CLOSE = 0.015;
const MAX_ALARMS_OF_20 = 1;
const MINUTES_OF_A_RUN = 8;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10' },
    output: { type: 'string' },
    others: { type: 'string', default: String(MAX_OTHERS) },
  },
});
const WATCH: BenchWatch = {
  maxOthers: parseShare(values.others),
  onRound: (progress) => console.error(styleText('dim', formatProgress(progress))),
  onBroken: ({ name, error }) => console.log(`a round of ${name} failed and is repeated: ${error}`),
};

/** How each is made worse, and the figure in which that is to be a fifth. */
const WAYS: Readonly<Record<Proved, { readonly figure: string; readonly by: keyof Planted }>> = {
  read: { figure: 'head 200: processor time', by: 'readUs' },
  commit: { figure: 'commit alone: processor time', by: 'commitUs' },
  memory: { figure: 'memory: idle', by: 'memoryMib' },
};

/** What is measured, and what is planted in it. */
interface Case {
  readonly name: Proved | 'unchanged';
  readonly measured: readonly Proved[];
  readonly planted: Planted;
}

interface Outcome {
  readonly name: string;
  readonly seconds: number;
  readonly failures: readonly string[];
  readonly isDecided: boolean;
  /** By how much the figure is worse, of a case in which something was planted. */
  readonly shown: number | undefined;
  readonly figures: readonly Figure[];
}

function figureOf(proved: Proved, figures: readonly Figure[]): Figure {
  const found = figures.find(({ name }) => name.startsWith(WAYS[proved].figure));
  if (found === undefined) throw new Error(`expected a figure ${WAYS[proved].figure}, got none`);
  return found;
}

function measure(
  measured: readonly Proved[],
  planted: Planted,
  isBaseline = false,
): Promise<readonly Figure[]> {
  const plans = measured.map((proved) => proofPlan(proved, planted, { isBaseline }));
  return runPlans(plans, WATCH);
}

/**
 * How much must be planted so that the figure becomes worse by a fifth: what a trial shows as one, and where none does,
 * because trials differ by more than that, where the line through all of them says.
 */
async function plantedFor(proved: Proved, before: readonly Figure[]): Promise<Planted> {
  const { by } = WAYS[proved];
  const unchanged = figureOf(proved, before);
  const trials: Point[] = [{ x: 0, y: 0 }];
  let amount = FIRST_TRIAL * unchanged.ours;
  while (trials.length <= MAX_TRIALS) {
    const planted = { ...NOTHING_PLANTED, [by]: amount };
    const trial = figureOf(proved, await measure([proved], planted, true));
    const shown = trial.ratio / unchanged.ratio - 1;
    console.log(`${proved}: ${by} ${amount.toFixed(2)} shows as ${percent(shown)}`);
    if (Math.abs(shown - SHARE) <= CLOSE) return planted;
    trials.push({ x: amount, y: shown });
    amount = reachOf(trials, SHARE);
  }
  if (trials.every(({ y }) => y < SHARE))
    throw new Error(`expected ${by} that shows as a fifth within ${MAX_TRIALS} trials, got less`);
  console.log(`${proved}: ${by} ${amount.toFixed(2)} is a fifth by the line through all of them`);
  return { ...NOTHING_PLANTED, [by]: amount };
}

async function prove(
  { name, measured, planted }: Case,
  before: readonly Figure[],
): Promise<Outcome> {
  const began = performance.now();
  const figures = await measure(measured, planted);
  const today = new Date().toISOString().slice(0, 10);
  const options = { baseline: baselineOf(before), waivers: [], today, isComplete: false };
  const { failures, isDecided } = judge(figures, options);
  const shown =
    name === 'unchanged'
      ? undefined
      : figureOf(name, figures).ratio / figureOf(name, before).ratio - 1;
  const seconds = (performance.now() - began) / 1_000;
  const said = failures.length === 0 ? 'nothing is worse' : failures.join('; ');
  const by = shown === undefined ? '' : ` shows as ${percent(shown)}:`;
  console.log(`${name.padEnd(10)} ${seconds.toFixed(0).padStart(3)} s ${by} ${said}`);
  return { name, seconds, failures, isDecided, shown, figures };
}

function baselineOf(figures: readonly Figure[]): Baseline {
  const gated = figures.filter(({ isGated }) => isGated);
  return Object.fromEntries(
    gated.map(({ name, ratio, noise, fastest }) => [
      name,
      { ratio, noise: noise ?? 0, ...(fastest !== null && { fastest }) },
    ]),
  );
}

function conclude(name: string, outcomes: readonly Outcome[]): boolean {
  const seen = outcomes.filter(({ failures }) => failures.length > 0).length;
  const undecided = outcomes.filter(({ isDecided }) => !isDecided).length;
  const isUnchanged = name === 'unchanged';
  const isGood = isUnchanged
    ? seen <= (MAX_ALARMS_OF_20 * outcomes.length) / 20
    : seen === outcomes.length;
  const shown = outcomes.flatMap((outcome) => outcome.shown ?? []);
  const planted = `${percent(Math.min(...shown))} to ${percent(Math.max(...shown))} worse, caught`;
  const verb = isUnchanged ? 'raised an alarm' : planted;
  const line = `${name}: ${verb} in ${seen} of ${outcomes.length} runs, ${undecided} without a verdict`;
  console.log(styleText(isGood ? 'green' : 'red', line));
  return isGood;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

if (!hasTool('wrk') || !isPinned) throw new Error('expected wrk, taskset and two cores, got less');
pinLoad();
endOnSignals();
const runs = Number(values.runs);
const minutes = Math.ceil(runs * MINUTES_OF_A_RUN + 10);
console.log(`about ${minutes} minutes; leave the machine alone meanwhile`);
const before = await measure(PROVED, NOTHING_PLANTED, true);
if (before.some(({ disturbed }) => disturbed > 0))
  throw new Error(
    'expected a quiet machine, got busy neighbours: run again when nothing else runs',
  );
for (const [name, { ratio, noise }] of Object.entries(baselineOf(before)))
  console.log(`baseline ${name}: ${ratio.toFixed(3)}x, noise ${percent(noise)}`);
const unchanged: Case = { name: 'unchanged', measured: PROVED, planted: NOTHING_PLANTED };
const worse: Case[] = [];
for (const name of PROVED)
  worse.push({ name, measured: [name], planted: await plantedFor(name, before) });
const cases = worse.flatMap((one, i) => (i === 0 ? [one] : [unchanged, one]));
const outcomes: Outcome[] = [];
for (let run = 0; run < runs; run++)
  for (const one of cases) outcomes.push(await prove(one, before));
const isProved = [...PROVED, 'unchanged']
  .map((name) =>
    conclude(
      name,
      outcomes.filter((outcome) => outcome.name === name),
    ),
  )
  .every(Boolean);
if (values.output !== undefined) {
  const machine = describeMachine();
  const text = JSON.stringify({ machine, baseline: baselineOf(before), cases, outcomes }, null, 2);
  writeFileSync(values.output, `${text}\n`);
}
process.exitCode = isProved ? 0 : 1;
