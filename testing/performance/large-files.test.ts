/** Snapshots and blobs: what the commands of the benchmark tell is what the goals are judged by. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { QUORATE } from '../support/child.ts';
import { openBlobs, samplesOf as samplesOfBlobs } from './blobs.ts';
import { figuresOf, type Sample } from './figure.ts';
import { DEFAULT_SIZE, GOAL_PLANS, parseSize } from './goal-plans.ts';
import { GOALS, judgeGoal } from './goal-table.ts';
import { openSnapshots, type SnapshotLoad, samplesOf as samplesOfSnapshot } from './snapshots.ts';

const directory = mkdtempSync(join(tmpdir(), 'quorate-large-files-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

function loadOf(create: number, restore: number): SnapshotLoad {
  const step = (mbPerSecond: number) => ({
    seconds: 2,
    cpu_seconds: 3,
    mb_per_second: mbPerSecond,
  });
  return {
    database_bytes: 1e9,
    file_bytes: 4e8,
    create: step(create),
    read: step(500),
    restore: step(restore),
  };
}

function blobSamples(put: number, get: number): readonly Sample[] {
  const loads = { put: { mb_per_second: put }, get: { mb_per_second: get } };
  return samplesOfBlobs(loads, { writtenMb: 900, hashedMb: 600 });
}

function verdictOf(group: 'snapshot' | 'blob', samples: readonly Sample[]): string | undefined {
  const [goal] = GOALS[group] ?? [];
  return goal && judgeGoal(goal, figuresOf(samples)).verdict;
}

test('every goal of snapshots and blobs is measured, and everything that is measured is shown', () => {
  for (const [group, samples] of [
    ['snapshot', samplesOfSnapshot(loadOf(150, 150), 900)],
    ['blob', blobSamples(320, 426)],
  ] as const) {
    const shown = GOALS[group]?.flatMap(({ bounds }) => bounds.map(({ figure }) => figure)) ?? [];
    assert.deepEqual(shown.toSorted(), samples.map(({ name }) => name).toSorted());
    assert.ok(GOAL_PLANS[group]);
  }
});

test('either way is missed alone', () => {
  assert.equal(verdictOf('snapshot', samplesOfSnapshot(loadOf(150, 150), 900)), 'met');
  assert.equal(verdictOf('snapshot', samplesOfSnapshot(loadOf(149, 300), 900)), 'missed');
  assert.equal(verdictOf('snapshot', samplesOfSnapshot(loadOf(300, 149), 900)), 'missed');
  assert.equal(verdictOf('blob', blobSamples(320, 426)), 'met');
  assert.equal(verdictOf('blob', blobSamples(319, 600)), 'missed');
  assert.equal(verdictOf('blob', blobSamples(600, 425)), 'missed');
});

test('a size is one as the commands take it, and the default is 1 GB', () => {
  const bytes = parseSize(DEFAULT_SIZE);
  assert.ok(bytes > 0.95e9 && bytes < 1.1e9, `${bytes}`);
  for (const wrong of ['', '0B', 'much', '-1MiB'])
    assert.throws(() => parseSize(wrong), /expected --size with a size/, wrong);
});

test('a small database is made once, kept, and measured', { timeout: 120_000 }, async () => {
  const plan = { cache: directory, sizeBytes: 512 * 1024, say: () => undefined, program: QUORATE };
  await using bench = await openSnapshots(plan);
  const kept = readdirSync(directory);
  const samples = await bench.round();
  assert.ok(
    samples.every(({ ours, theirs }) => ours > 0 && theirs > 0),
    JSON.stringify(samples),
  );
  await using again = await openSnapshots(plan);
  assert.deepEqual(again.pids, []);
  assert.deepEqual([readdirSync(directory), kept.length], [kept, 1]);
});

test('small blobs are put and got', { timeout: 120_000 }, async () => {
  await using bench = await openBlobs({ size: '64KiB', count: 4, program: QUORATE });
  const samples = await bench.round();
  assert.ok(
    samples.every(({ ours, theirs }) => ours > 0 && theirs > 0),
    JSON.stringify(samples),
  );
});
