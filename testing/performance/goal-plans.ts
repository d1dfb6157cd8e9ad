/** How each group of goals is measured: five rounds at least, with fresh servers for every second one. */
import type { BenchPlan } from './bench.ts';
import type { Effort } from './plans.ts';
import { commitsPlan, pacedPlan, readsPlan } from './plans.ts';
import { openSlowDisk } from './slow-disk.ts';

const PROFILE = 'macronode';
const EFFORT: Effort = { rounds: 5, maxRounds: 10, roundsPerStart: 2 };

/** Of each group of `GOALS`; `say`: what takes long tells how far it is. */
export const GOAL_PLANS: Readonly<
  Record<string, (say: (line: string) => void) => readonly BenchPlan[]>
> = {
  reads: () => [readsPlan({ profile: PROFILE }, EFFORT)],
  paced: () => [pacedPlan({ profile: PROFILE }, EFFORT)],
  commits: () => [commitsPlan({ profile: PROFILE }, EFFORT)],
  'slow-disk': () =>
    [8, 50].map((delayMs) => ({
      name: `every fsync ${delayMs} ms slower`,
      open: () => openSlowDisk({ delayMs }),
      ...EFFORT,
    })),
};
