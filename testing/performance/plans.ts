/** What a run measures, and how often: the developer's three minutes, the night, and one turn of the gate's proof. */
import { type BenchPlan, runBench } from './bench.ts';
import { openCommits } from './commits.ts';
import { openCore } from './core.ts';
import type { Figure, Profile } from './figure.ts';
import { openReads, READ_CASES, type ReadCase, type ReadsPlan } from './reads.ts';

export interface Effort {
  readonly rounds: number;
  /** Where noise asks for more. */
  readonly maxRounds: number;
  readonly roundsPerStart: number;
}

export const SHORT: Effort = { rounds: 3, maxRounds: 6, roundsPerStart: 3 };
export const LONG: Effort = { rounds: 6, maxRounds: 18, roundsPerStart: 2 };

const TURN_SECONDS = 1;
const CORE_MS = 500;

export function readsPlan(
  plan: Omit<ReadsPlan, 'secondsPerTurn' | 'cases'> & { readonly cases?: readonly ReadCase[] },
  effort: Effort,
): BenchPlan {
  const cases = plan.cases ?? READ_CASES;
  const open = () => openReads({ ...plan, cases, secondsPerTurn: TURN_SECONDS });
  return { name: `${plan.profile}: reads`, open, ...effort };
}

export function commitsPlan(profile: Profile, effort: Effort): BenchPlan {
  const counts = { alone: 100, together: 256, approvals: 90, cycles: 100 };
  const open = () => openCommits({ profile, ...counts });
  return { name: `${profile}: commits`, open, ...effort };
}

export function corePlan(effort: Effort): BenchPlan {
  return { name: 'core', open: () => openCore(CORE_MS), ...effort };
}

/** The plans of a profile. Of a micronode a developer measures what differs from a macronode: little. */
export function plansOf(profile: Profile, effort: Effort): readonly BenchPlan[] {
  if (profile === 'micronode' && effort === SHORT)
    return [readsPlan({ profile, cases: READ_CASES.slice(0, 1).map(withoutBounds) }, effort)];
  return [readsPlan({ profile }, effort), commitsPlan(profile, effort), corePlan(effort)];
}

/** Beside nginx alone. */
export function withoutBounds(one: ReadCase): ReadCase {
  return { ...one, references: ['nginx'] };
}

export async function runPlans(
  plans: readonly BenchPlan[],
  onRound: (progress: { name: string; round: number }) => void,
): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const plan of plans) figures.push(...(await runBench(plan, onRound)));
  return figures;
}
