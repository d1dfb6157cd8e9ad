/** What is said of restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GOAL_PLANS } from './goal-plans.ts';
import { GOALS } from './goal-table.ts';
import { samplesOf } from './restarts.ts';

const MEASURED = {
  stopped: { answersMs: 600, commitsMs: 700 },
  killed: { answersMs: 800, commitsMs: 900 },
  restoredMs: 1_000,
  bareMs: 100,
};

test('each way back is held against a start of the bare server in the same round', () => {
  assert.deepEqual(
    samplesOf(MEASURED).map(({ ours, theirs }) => [ours, theirs]),
    [600, 700, 800, 900, 1_000].map((ours) => [ours, 100]),
  );
});

test('every goal of restarts is measured, and everything that is measured has a goal', () => {
  const wanted = GOALS.restarts?.flatMap(({ bounds }) => bounds.map(({ figure }) => figure));
  assert.deepEqual(
    wanted,
    samplesOf(MEASURED).map(({ name }) => name),
  );
  assert.ok(GOAL_PLANS.restarts);
});
