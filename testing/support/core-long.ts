/** Large suites are sampled by default, always the same cases, and run whole with QUORATE_TEST_LONG=1. */
import type { TestContext } from 'node:test';

const isLong = process.env.QUORATE_TEST_LONG === '1';

/** One case in `every`, or all of them; says which. */
export function sampled<T>(t: TestContext, cases: readonly T[], every: number): readonly T[] {
  const chosen = isLong ? cases : cases.filter((_, i) => i % every === 0);
  t.diagnostic(`${chosen.length} of ${cases.length} cases${isLong ? '' : ' (sampled)'}`);
  return chosen;
}
