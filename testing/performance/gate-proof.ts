/**
 * Whether the gate sees: a server is slowed down on purpose by a fifth, in reads, in commits and in memory, and
 * measured and judged as always; and so is the unchanged one, twice as often. In turns, so that a busy minute
 * hits all of them.
 *
 *   node testing/performance/gate-proof.ts [--runs 10] [--others 0.05] [--output FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs, styleText } from 'node:util';
import { type BenchWatch, formatProgress, MAX_OTHERS, parseShare } from './bench.ts';
import type { Figure } from './figure.ts';
import { type Baseline, judge } from './gate.ts';
import { describeMachine, endOnSignals, hasTool, isPinned, pinLoad } from './machine.ts';
import { proofPlans, runPlans } from './plans.ts';
import { NOTHING_PLANTED, type Planted } from './planted.ts';

const SHARE = 0.2;
const MAX_ALARMS_OF_20 = 1;

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

/** What is planted, and the figures that must see it. */
interface Case {
  readonly name: string;
  readonly planted: Planted;
  readonly seenBy: RegExp | undefined;
}

interface Outcome {
  readonly name: string;
  readonly seconds: number;
  readonly failures: readonly string[];
  readonly isSeen: boolean;
  readonly isDecided: boolean;
  readonly figures: readonly Figure[];
}

/** A fifth of what was measured. */
function casesOf(figures: readonly Figure[]): readonly Case[] {
  const oursOf = (name: string) => {
    const found = figures.find((figure) => figure.name.startsWith(name));
    if (found === undefined) throw new Error(`expected a figure ${name}, got none`);
    return found.ours;
  };
  const readUs = SHARE * oursOf('head 200: processor time');
  const commitUs = SHARE * oursOf('commit alone: p50');
  const memoryMib = Math.round(SHARE * oursOf('memory: idle'));
  const unchanged = { name: 'unchanged', planted: NOTHING_PLANTED, seenBy: undefined };
  return [
    { name: 'read', planted: { ...NOTHING_PLANTED, readUs }, seenBy: /^head/ },
    unchanged,
    { name: 'commit', planted: { ...NOTHING_PLANTED, commitUs }, seenBy: /^commit/ },
    unchanged,
    { name: 'memory', planted: { ...NOTHING_PLANTED, memoryMib }, seenBy: /^memory/ },
  ];
}

async function prove({ name, planted, seenBy }: Case, baseline: Baseline): Promise<Outcome> {
  const began = performance.now();
  const figures = await runPlans(proofPlans(planted), WATCH);
  const today = new Date().toISOString().slice(0, 10);
  const { failures, isDecided } = judge(figures, { baseline, waivers: [], today });
  const isSeen = failures.some((line) => seenBy === undefined || seenBy.test(line));
  const seconds = (performance.now() - began) / 1_000;
  const said = failures.length === 0 ? 'nothing is worse' : failures.join('; ');
  console.log(`${name.padEnd(10)} ${seconds.toFixed(0).padStart(3)} s  ${said}`);
  return { name, seconds, failures, isSeen, isDecided, figures };
}

function conclude(name: string, outcomes: readonly Outcome[]): boolean {
  const seen = outcomes.filter(({ isSeen }) => isSeen).length;
  const undecided = outcomes.filter(({ isDecided }) => !isDecided).length;
  const isUnchanged = name === 'unchanged';
  const isGood = isUnchanged
    ? seen <= (MAX_ALARMS_OF_20 * outcomes.length) / 20
    : seen === outcomes.length;
  const verb = isUnchanged ? 'raised an alarm' : 'caught';
  const line = `${name}: ${verb} in ${seen} of ${outcomes.length} runs, ${undecided} without a verdict`;
  console.log(styleText(isGood ? 'green' : 'red', line));
  return isGood;
}

if (!hasTool('wrk') || !hasTool('nginx') || !isPinned)
  throw new Error('expected wrk, nginx, taskset and two cores, got less');
pinLoad();
endOnSignals();
const runs = Number(values.runs);
console.log(
  `about ${Math.ceil((runs * 5 * 30 + 90) / 60)} minutes; leave the machine alone meanwhile`,
);
const before = await runPlans(proofPlans(NOTHING_PLANTED, { isBaseline: true }), WATCH);
const baseline: Baseline = Object.fromEntries(
  before
    .filter(({ isGated }) => isGated)
    .map(({ name, ratio, noise }) => [name, { ratio, noise: noise ?? 0 }]),
);
if (before.some(({ disturbed }) => disturbed > 0))
  throw new Error(
    'expected a quiet machine, got busy neighbours: run again when nothing else runs',
  );
for (const [name, { ratio, noise }] of Object.entries(baseline))
  console.log(`baseline ${name}: ${ratio.toFixed(3)}x, noise ${(noise * 100).toFixed(1)} %`);
const cases = casesOf(before);
const outcomes: Outcome[] = [];
for (let run = 0; run < runs; run++)
  for (const one of cases) outcomes.push(await prove(one, baseline));
const names = [...new Set(cases.map(({ name }) => name))];
const isProved = names
  .map((name) =>
    conclude(
      name,
      outcomes.filter((outcome) => outcome.name === name),
    ),
  )
  .every(Boolean);
if (values.output !== undefined) {
  const machine = describeMachine();
  const text = JSON.stringify({ machine, baseline, cases, outcomes }, null, 2);
  writeFileSync(values.output, `${text}\n`);
}
process.exitCode = isProved ? 0 : 1;
