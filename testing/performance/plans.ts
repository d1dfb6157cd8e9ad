/** What a run measures, and how often: the developer's minutes, the night, and one turn of the gate's proof. */
import { type BenchPlan, type BenchWatch, runBench } from './bench.ts';
import { type CommitsPlan, openCommits } from './commits.ts';
import { openCore } from './core.ts';
import type { Figure, Profile } from './figure.ts';
import { openPaced, type PacedPlan } from './paced.ts';
import type { Planted } from './planted.ts';
import { openReads, READ_CASES, type ReadCase, type ReadsPlan } from './reads.ts';
import { openStarts, type StartsPlan } from './starts.ts';

export interface Effort extends Partial<Pick<ReadsPlan, 'besideTurns'>> {
  readonly rounds: number;
  /** Where noise asks for more. */
  readonly maxRounds: number;
  readonly roundsPerStart: number;
}

/** But for the core not repeated for noise: what it leaves undecided the night decides. */
export const SHORT: Effort = { rounds: 3, maxRounds: 3, roundsPerStart: 3, besideTurns: 3 };
/** Each round on its own: what differs between processes is then part of the noise. */
const PROOF: Effort = { rounds: 4, maxRounds: 6, roundsPerStart: 1, besideTurns: 6 };
/** In four a read that was made a fifth worse showed as 13 to 31 % worse where the machine's speed moves. */
const PROOF_READS: Effort = { ...PROOF, rounds: 8, maxRounds: 12 };
/** In four a commit that was made a fifth worse showed as 4 to 29 % worse there. */
const PROOF_COMMITS: Effort = { ...PROOF, rounds: 6, maxRounds: 9 };
const PROOF_BASELINE: Effort = { ...PROOF, rounds: 10, maxRounds: 10 };
export const LONG: Effort = { rounds: 6, maxRounds: 18, roundsPerStart: 2, besideTurns: 3 };

export function readsPlan(
  plan: Omit<ReadsPlan, 'cases' | 'besideTurns'> & { readonly cases?: readonly ReadCase[] },
  effort: Effort,
): BenchPlan {
  const cases = plan.cases ?? READ_CASES;
  const open = () => openReads({ besideTurns: 0, ...effort, ...plan, cases });
  return { name: `${plan.profile}: reads`, open, ...effort };
}

export function commitsPlan(
  plan: Pick<CommitsPlan, 'profile'> & Partial<CommitsPlan>,
  effort: Effort,
): BenchPlan {
  const counts = { alone: 200, together: 256, approvals: 90, cycles: 100 };
  const open = () => openCommits({ ...counts, ...plan });
  // V8 goes on compiling for thousands of commits: the second round of a start is another than the first.
  return { name: `${plan.profile}: commits`, open, ...effort, roundsPerStart: 1 };
}

export function pacedPlan(plan: Pick<PacedPlan, 'profile'>, effort: Effort): BenchPlan {
  const open = () => openPaced({ perSecond: 2_500, seconds: 2, commitsPerSecond: 50, ...plan });
  return { name: `${plan.profile}: reads at a fixed rate`, open, ...effort };
}

export function startsPlan(plan: StartsPlan, effort: Effort): BenchPlan {
  return { name: `${plan.profile}: starts`, open: () => openStarts(plan), ...effort };
}

export function corePlan(effort: Effort): BenchPlan {
  // They take seconds, and in some of them nothing counts.
  const maxRounds = effort.maxRounds * 2;
  return { name: 'core', open: openCore, ...effort, maxRounds };
}

/** The plans of a profile. Of a micronode a developer measures what differs from a macronode: little. */
export function plansOf(profile: Profile, effort: Effort): readonly BenchPlan[] {
  if (profile === 'micronode' && effort === SHORT)
    return [readsPlan({ profile, cases: headAlone([]) }, effort)];
  const plans = [
    readsPlan({ profile, ...(effort === SHORT && { cases: SHORT_CASES }) }, effort),
    pacedPlan({ profile }, effort),
    commitsPlan({ profile }, effort),
    startsPlan({ profile }, effort),
  ];
  // The core is the same in both; once is enough.
  return profile === 'macronode' ? [...plans, corePlan(effort)] : plans;
}

/** What the gate is proved on: reads, commits and memory of a macronode. */
export const PROVED = ['read', 'commit', 'memory'] as const;
export type Proved = (typeof PROVED)[number];

const PROOF_EFFORTS: Readonly<Record<Proved, Effort>> = {
  read: PROOF_READS,
  commit: PROOF_COMMITS,
  memory: PROOF,
};

export function proofPlan(
  proved: Proved,
  planted: Planted,
  { isBaseline = false }: { readonly isBaseline?: boolean } = {},
): BenchPlan {
  const effort = isBaseline ? PROOF_BASELINE : PROOF_EFFORTS[proved];
  const plan = { profile: 'macronode', planted } as const;
  switch (proved) {
    case 'read':
      return readsPlan({ ...plan, cases: headAlone([]) }, effort);
    case 'commit':
      return commitsPlan({ ...plan, alone: 200, together: 0, approvals: 0, cycles: 0 }, effort);
    case 'memory':
      return startsPlan(plan, effort);
  }
}

/** All that the gate judges, which is measured beside the bare server; beside nginx the head alone. */
const SHORT_CASES: readonly ReadCase[] = READ_CASES.map((one, i) => ({
  ...one,
  references: i === 0 ? ['nginx', 'bare node:http'] : [],
}));

/** Of the head, which has the shortest way. */
function headAlone(references: ReadCase['references']): readonly ReadCase[] {
  return READ_CASES.slice(0, 1).map((one) => ({ ...one, references }));
}

export async function runPlans(
  plans: readonly BenchPlan[],
  watch: BenchWatch,
): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const plan of plans) figures.push(...(await runBench(plan, watch)));
  return figures;
}
