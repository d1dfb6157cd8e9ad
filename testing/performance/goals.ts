/**
 * `scripts/perf goals [GROUP...] [--cache DIR] [--size BYTES] [--others SHARE] [--output DIR]`: measures what the registry is to reach, and says what it reaches. Exit status
 * 0: all that was measured is met. 1: a goal is missed. 2: the machine was too busy to say.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import {
  type BenchPlan,
  type BenchWatch,
  formatProgress,
  MAX_OTHERS,
  parseShare,
} from './bench.ts';
import type { Figure } from './figure.ts';
import { DEFAULT_CACHE, DEFAULT_SIZE, GOAL_PLANS, parseSize } from './goal-plans.ts';
import { GOALS, type JudgedBound, type JudgedGoal, judgeGoal } from './goal-table.ts';
import { describeMachine, endOnSignals, pinLoad } from './machine.ts';
import { findMissing } from './missing.ts';
import { runPlans } from './plans.ts';
import { amount, markdownTable } from './table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string', default: DEFAULT_CACHE },
    others: { type: 'string', default: String(MAX_OTHERS) },
    output: { type: 'string', default: 'perf' },
    size: { type: 'string', default: DEFAULT_SIZE },
  },
});

const sizeBytes = parseSize(values.size);
const names = positionals.length > 0 ? positionals : Object.keys(GOALS);
const watch: BenchWatch = {
  maxOthers: parseShare(values.others),
  onRound: (progress) => say(formatProgress(progress)),
  onBroken: ({ name, error }) => say(`a round of ${name} failed and was repeated: ${error}`),
};

function say(line: string): void {
  console.error(styleText('dim', line));
}

function plansOf(name: string): readonly BenchPlan[] {
  const plans = GOAL_PLANS[name];
  if (plans === undefined)
    throw new Error(`expected one of ${Object.keys(GOAL_PLANS).join(', ')}, got ${name}`);
  return plans({ cache: values.cache, sizeBytes, say });
}

/** What one group lacks is no reason to leave the others out. */
async function figuresOf(plans: readonly BenchPlan[]): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const plan of plans)
    try {
      figures.push(...(await runPlans([plan], watch)));
    } catch (error) {
      console.error(styleText(['red', 'bold'], `${plan.name} is not measured: ${error}`));
    }
  return figures;
}

const HEAD = ['work', 'figure', 'measured', 'reference', 'ratio', 'noise', 'goal', ''];

function rowsOf({ work, bounds }: JudgedGoal): string[][] {
  return bounds.map((judged, i) => [i === 0 ? work : '', ...cellsOf(judged)]);
}

function cellsOf({ bound, figure, verdict }: JudgedBound): string[] {
  const goal = goalText(bound, figure);
  const said = goal === '' && figure !== undefined ? '' : verdict;
  if (figure === undefined) return [bound.figure, '', '', '', '', goal, said];
  const { ours, theirs, unit, ratio, noise, disturbed } = figure;
  return [
    bound.figure,
    `${amount(ours)} ${unit}`,
    `${amount(theirs)}, ${figure.reference}`,
    `${ratio.toFixed(2)}x`,
    noise === null ? '?' : `${(noise * 100).toFixed(1)} %`,
    goal,
    disturbed > 0 ? `${said}, ${disturbed} of ${figure.rounds} rounds disturbed` : said,
  ];
}

function goalText({ of, atLeast, atMost }: JudgedBound['bound'], figure?: Figure): string {
  if (atLeast === undefined && atMost === undefined) return '';
  const unit = of === 'ratio' ? 'x' : ` ${figure?.unit ?? ''}`;
  const bound = atLeast === undefined ? `<= ${amount(atMost ?? 0)}` : `>= ${amount(atLeast)}`;
  return bound + unit;
}

const plans = names.map((name) => ({ name, plans: plansOf(name) }));
for (const line of findMissing()) console.error(styleText(['red', 'bold'], line));
pinLoad();
endOnSignals();
const at = new Date().toISOString();
const measured: { group: string; figures: readonly Figure[]; goals: readonly JudgedGoal[] }[] = [];
for (const group of plans) {
  const figures = await figuresOf(group.plans);
  const goals = (GOALS[group.name] ?? []).map((goal) => judgeGoal(goal, figures));
  measured.push({ group: group.name, figures, goals });
  console.log(`${markdownTable(HEAD, goals.flatMap(rowsOf))}\n`);
}
mkdirSync(values.output, { recursive: true });
const file = join(values.output, `${at.replaceAll(':', '-').slice(0, 19)}-goals.json`);
const machine = describeMachine();
writeFileSync(file, `${JSON.stringify({ kind: 'goals', at, machine, measured }, null, 2)}\n`);
console.log(`all figures are in ${file}`);
const goals = measured.flatMap((one) => one.goals);
const missed = goals.filter(({ verdict }) => verdict !== 'met');
for (const { work, verdict } of missed) console.log(styleText('yellow', `${verdict}: ${work}`));
const isDisturbed = measured.some(({ figures }) => figures.some(({ disturbed }) => disturbed > 0));
process.exitCode = isDisturbed ? 2 : missed.length > 0 ? 1 : 0;
