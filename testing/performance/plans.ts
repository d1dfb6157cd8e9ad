/** What a run measures, and how often: the developer's three minutes, the night, and one turn of the gate's proof. */
import { type BenchPlan, type BenchWatch, runBench } from './bench.ts';
import { type CommitsPlan, openCommits } from './commits.ts';
import { openCore } from './core.ts';
import type { Figure, Profile } from './figure.ts';
import { openPaced, type PacedPlan } from './paced.ts';
import type { Planted } from './planted.ts';
import { openReads, READ_CASES, type ReadCase, type ReadsPlan } from './reads.ts';
import { openStarts, type StartsPlan } from './starts.ts';

export interface Effort {
  readonly rounds: number;
  /** Where noise asks for more. */
  readonly maxRounds: number;
  readonly roundsPerStart: number;
}

export const SHORT: Effort = { rounds: 3, maxRounds: 6, roundsPerStart: 3 };
/** Each round on its own: what differs between processes is then part of the noise. */
const PROOF: Effort = { rounds: 4, maxRounds: 6, roundsPerStart: 1 };
const PROOF_BASELINE: Effort = { rounds: 10, maxRounds: 10, roundsPerStart: 1 };
export const LONG: Effort = { rounds: 6, maxRounds: 18, roundsPerStart: 2 };

const TURN_SECONDS = 1;
const CORE_MS = 300;

export function readsPlan(
  plan: Omit<ReadsPlan, 'secondsPerTurn' | 'cases'> & { readonly cases?: readonly ReadCase[] },
  effort: Effort,
): BenchPlan {
  const cases = plan.cases ?? READ_CASES;
  const open = () => openReads({ ...plan, cases, secondsPerTurn: TURN_SECONDS });
  return { name: `${plan.profile}: reads`, open, ...effort };
}

export function commitsPlan(
  plan: Pick<CommitsPlan, 'profile'> & Partial<CommitsPlan>,
  effort: Effort,
): BenchPlan {
  const counts = { alone: 100, together: 256, approvals: 90, cycles: 100 };
  const open = () => openCommits({ ...counts, ...plan });
  return { name: `${plan.profile}: commits`, open, ...effort };
}

export function pacedPlan(plan: Pick<PacedPlan, 'profile'>, effort: Effort): BenchPlan {
  const open = () => openPaced({ perSecond: 2_500, seconds: 2, commitsPerSecond: 50, ...plan });
  return { name: `${plan.profile}: reads at a fixed rate`, open, ...effort };
}

export function startsPlan(plan: StartsPlan, effort: Effort): BenchPlan {
  return { name: `${plan.profile}: starts`, open: () => openStarts(plan), ...effort };
}

export function corePlan(effort: Effort): BenchPlan {
  return { name: 'core', open: () => openCore(CORE_MS), ...effort };
}

/** The plans of a profile. Of a micronode a developer measures what differs from a macronode: little. */
export function plansOf(profile: Profile, effort: Effort): readonly BenchPlan[] {
  if (profile === 'micronode' && effort === SHORT)
    return [readsPlan({ profile, cases: READ_CASES.slice(0, 1).map(withoutBounds) }, effort)];
  const plans = [
    readsPlan({ profile }, effort),
    pacedPlan({ profile }, effort),
    commitsPlan({ profile }, effort),
    startsPlan({ profile }, effort),
  ];
  // The core is the same in both; once is enough.
  return profile === 'macronode' ? [...plans, corePlan(effort)] : plans;
}

/** What the gate is proved on, in less than half a minute: reads, commits and memory of a macronode. */
export function proofPlans(
  planted: Planted,
  { isBaseline = false }: { readonly isBaseline?: boolean } = {},
): readonly BenchPlan[] {
  const effort = isBaseline ? PROOF_BASELINE : PROOF;
  const profile = 'macronode';
  const cases = READ_CASES.slice(0, 1).map(withoutBounds);
  const commitsAlone = { alone: 100, together: 0, approvals: 0, cycles: 0 };
  return [
    readsPlan({ profile, planted, cases }, effort),
    commitsPlan({ profile, planted, ...commitsAlone }, effort),
    startsPlan({ profile, planted }, effort),
  ];
}

/** Beside nginx alone. */
export function withoutBounds(one: ReadCase): ReadCase {
  return { ...one, references: ['nginx'] };
}

export async function runPlans(
  plans: readonly BenchPlan[],
  watch: BenchWatch,
): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const plan of plans) figures.push(...(await runBench(plan, watch)));
  return figures;
}
