/** What is told of the commit lane, and what is said of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figuresOf } from './figure.ts';
import { GOAL_PLANS } from './goal-plans.ts';
import { GOALS, judgeGoal } from './goal-table.ts';
import { formatStep, KINDS, LANE_FLAGS, LaneSteps, parseStep } from './lane-steps.ts';
import { writeBeside } from './paced-writes.ts';
import { type Measured, samplesOf } from './pruning.ts';
import { startRegistry } from './registry-process.ts';

const WINDOW = {
  steps: KINDS.flatMap((kind) => [1, 2, 8].map((ms) => ({ kind, ms, corelessMs: 0 }))),
  commitMs: [3, 5, 9],
};
const DEADLINE_MS = 60_000;

function measured(pruningMs: number): Measured {
  return {
    alone: WINDOW,
    beside: {
      'a pruning': { ...WINDOW, steps: [{ kind: 'prune', ms: pruningMs, corelessMs: 5 }] },
      'an erasure': WINDOW,
      'a compaction': WINDOW,
      'a catch-up': WINDOW,
      'a long read': WINDOW,
    },
    syncMs: [0.2, 0.4, 4],
  };
}

test('a step that is printed is read as it was, and nothing else is a step', () => {
  const step = { kind: 'catch-up', ms: 1.25, corelessMs: 0.5, isWiped: false } as const;
  assert.deepEqual(parseStep(formatStep(step)), step);
  for (const line of ['http://127.0.0.1:1', 'lane other 1 0 wiped', 'durable 12']) {
    assert.equal(parseStep(line), undefined);
  }
});

test('steps are told once, and who waits for one that does not come hears of it', async () => {
  const steps = new LaneSteps();
  const wiped = steps.first(({ isWiped }) => isWiped, DEADLINE_MS);
  steps.take('lane wipe 2 0 wiping');
  steps.take('lane wipe 1 0 wiped');
  await wiped;
  assert.deepEqual(
    steps.since().map(({ ms }) => ms),
    [2, 1],
  );
  assert.deepEqual(steps.since(), []);
  const never = steps.first(() => true, 1);
  await assert.rejects(never, /expected a step of the lane within 1 ms/);
});

test('every step of a running lane is told with what it was', {
  timeout: DEADLINE_MS,
}, async () => {
  const steps = new LaneSteps();
  const onSaid = steps.take;
  await using server = await startRegistry('macronode', { nodeFlags: LANE_FLAGS, onSaid });
  steps.since();
  const plan = { perSecond: 50, entryBytes: 100, name: 'test' };
  const commits = await writeBeside(server, plan, () =>
    steps.first(({ kind }) => kind === 'batch', DEADLINE_MS),
  );
  const told = steps.since();
  assert.ok(commits.length > 0 && commits.every((ms) => ms > 0));
  assert.ok(told.length > 0 && told.every(({ ms }) => ms > 0), JSON.stringify(told));
  assert.ok(told.every(({ ms, corelessMs }) => corelessMs >= 0 && corelessMs < ms + 1));
});

test('every goal of pruning is measured, and everything that is measured is shown', () => {
  const shown = GOALS.pruning?.flatMap(({ bounds }) => bounds.map(({ figure }) => figure)) ?? [];
  const names = samplesOf(measured(8)).map(({ name }) => name);
  assert.deepEqual(shown.toSorted(), names.toSorted());
  assert.ok(GOAL_PLANS.pruning);
});

test('one step of more than 20 ms is missed, in whichever round it was', () => {
  const verdicts = (ms: number) => {
    const figures = figuresOf([8, ms, 8].flatMap((one) => samplesOf(measured(one))));
    return (GOALS.pruning ?? []).map((goal) => judgeGoal(goal, figures).verdict);
  };
  assert.deepEqual(new Set(verdicts(20)), new Set(['met']));
  assert.deepEqual(verdicts(20.1).filter((verdict) => verdict === 'missed').length, 1);
});
