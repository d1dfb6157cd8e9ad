/**
 * Pruning and erasing cut off or refused at every write and every fsync: what is left is whole but for what a
 * row says may be gone, what was acknowledged has happened, and the next start carries it through.
 */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { programOf, type Run, run } from '../support/child.ts';
import { assertLetGo, type LetGoState, makeWholeLog, OLDEST } from '../support/store-letting-go.ts';
import { makeDirectory, makePath } from '../support/store-sqlite.ts';
import { type Fault, failEachCall, isStraceMissing } from '../support/strace.ts';

const CHILD = programOf('store-letting-go-child');
const DONE: LetGoState = { oldest: OLDEST, pruned: OLDEST - 1, isErased: true };
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';

interface Outcome extends Run {
  readonly left: LetGoState;
}

async function outcomesOf(t: TestContext, fault: Fault): Promise<readonly Outcome[]> {
  const before = makePath();
  makeWholeLog(before);
  const outcomes: Outcome[] = [];
  const count = await failEachCall({
    ...fault,
    makeDirectory,
    program: ({ directory }) => {
      copyFileSync(before, join(directory, 'q.db'));
      return [process.execPath, CHILD, join(directory, 'q.db')];
    },
    check: async (ran, { k, directory }) => {
      const path = join(directory, 'q.db');
      const left = await assertLetGo(path);
      const { lines } = ran;
      if (lines.includes('oldest')) assert.equal(left.oldest, OLDEST, `call ${k}`);
      if (lines.includes('pruned')) assert.equal(left.pruned, OLDEST - 1, `call ${k}`);
      if (lines.includes('erased')) assert.ok(left.isErased, `call ${k}`);
      outcomes.push({ ...ran, left });
      if (!IS_LONG && k % 8 !== 0) return;
      const again = await run(process.execPath, [CHILD, path]);
      assert.equal(again.lines.at(-1), 'closed', `call ${k}: ${again.lines}`);
      assert.deepEqual(await assertLetGo(path), DONE, `call ${k}`);
    },
  });
  t.diagnostic(`${count} calls of ${fault.call} failed, one in each run`);
  return outcomes;
}

/** Otherwise the faults came where nothing was let go of. */
function assertAllStages(outcomes: readonly Outcome[]): void {
  const stages = new Set<string>(
    outcomes.map(({ left: { oldest, pruned, isErased } }) =>
      isErased ? 'erased' : pruned > 0 ? 'pruned' : oldest > 0 ? 'oldest' : 'whole',
    ),
  );
  for (const stage of ['whole', 'pruned', 'erased']) assert.ok(stages.has(stage), stage);
}

test('without a fault everything is let go of that was to go', async () => {
  const path = makePath();
  makeWholeLog(path);
  const { lines } = await run(process.execPath, [CHILD, path]);
  assert.deepEqual(lines, ['opened', 'oldest', 'pruned', 'erased', 'closed']);
  assert.deepEqual(await assertLetGo(path), DONE);
});

for (const call of ['pwrite64', 'fsync'])
  test(`a process killed at any ${call} leaves what the next start carries through`, async (t) => {
    if (isStraceMissing(t)) return;
    const outcomes = await outcomesOf(t, { call, effect: 'signal=SIGKILL' });
    for (const { signal } of outcomes) assert.equal(signal, 'SIGKILL');
    if (call === 'pwrite64') assertAllStages(outcomes);
  });

test('an i/o error of any write is not taken for success', async (t) => {
  if (isStraceMissing(t)) return;
  const outcomes = await outcomesOf(t, { call: 'pwrite64', effect: 'error=EIO' });
  assertAllStages(outcomes);
  const failed = outcomes.filter(({ lines }) => !lines.includes('closed'));
  assert.ok(failed.length > outcomes.length / 2, `${failed.length} of ${outcomes.length} failed`);
});
