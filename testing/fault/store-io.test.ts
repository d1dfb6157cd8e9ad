/**
 * Every write and every fsync of a store fails once: at opening, appending, checkpointing, closing.
 * Nothing acknowledged is lost, nothing is acknowledged after a failure, and what a failed append
 * left behind is a whole version or none.
 */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Run, run } from '../support/child.ts';
import { recover } from '../support/store-recover.ts';
import { makeDirectory, makePath } from '../support/store-sqlite.ts';
import { type Fault, failEachCall, isStraceMissing } from '../support/strace.ts';

const CHILD = join(import.meta.dirname, '../support/store-child.ts');
const APPENDS = '1';
/** Versions in the database that each attempt begins with. */
const BEFORE = [0, 1, 2];

async function makeDatabase(): Promise<string> {
  const path = makePath();
  const { lines } = await run(process.execPath, [CHILD, path, String(BEFORE.length)]);
  assert.equal(lines.at(-1), 'closed');
  return path;
}

interface Outcome extends Run {
  /** The highest version that was there or acknowledged. */
  readonly acknowledged: number;
  /** What a store that is opened afterwards finds. */
  readonly head: number;
  readonly failed: string;
}

/** Fails each call once; every time the log must be whole and hold what was acknowledged. */
async function outcomesOf(t: TestContext, fault: Fault): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const before = await makeDatabase();
  const count = await failEachCall({
    ...fault,
    makeDirectory,
    program: ({ directory }) => {
      copyFileSync(before, join(directory, 'q.db'));
      return [process.execPath, CHILD, join(directory, 'q.db'), APPENDS];
    },
    check: async (run, { k, directory, failed }) => {
      const head = await recover(join(directory, 'q.db'));
      const acks = run.lines
        .filter((line) => line.startsWith('ack '))
        .map((l) => Number(l.slice(4)));
      const acknowledged = Math.max(...BEFORE, ...acks);
      assert.ok(
        head >= acknowledged,
        `call ${k}: version ${acknowledged} was acknowledged and lost`,
      );
      assert.ok(
        head <= acknowledged + 1,
        `call ${k}: ${head} is there, ${acknowledged} acknowledged`,
      );
      assert.ok(!run.lines.includes('wrong answer'), `call ${k}`);
      outcomes.push({ ...run, acknowledged, head, failed });
    },
  });
  t.diagnostic(`${count} calls of ${fault.call} failed, one in each run`);
  return outcomes;
}

function isDirectory(failed: string): boolean {
  return /\((\d+)<[^>]*\/test-\w+>\)/.test(failed);
}

/** An outcome that hit the append itself, so that the loop is known to have reached it. */
function assertReached(outcomes: readonly Outcome[], line: string): void {
  assert.ok(
    outcomes.some(({ lines }) => lines.some((l) => l.startsWith(line))),
    `no ${line}`,
  );
}

for (const call of ['fsync', 'pwrite64'])
  test(`after an i/o error of any ${call} nothing more is acknowledged and nothing is lost`, async (t) => {
    if (isStraceMissing(t)) return;
    const outcomes = await outcomesOf(t, { call, effect: 'error=EIO' });
    for (const { lines, failed } of outcomes) {
      // SQLite ignores a failed fsync of a directory; the store syncs it once more.
      if (isDirectory(failed) && lines.at(-1) === 'closed') continue;
      const failure = lines.findIndex((line) => /^(unknown|fatal|refused)/.test(line));
      assert.ok(failure >= 0, `nobody was told: ${lines}`);
      const after = lines.slice(failure);
      assert.ok(!after.some((line) => /^(ack|read_only|closed)/.test(line)), `went on: ${lines}`);
      assert.ok(lines.filter((line) => line.startsWith('fatal')).length <= 1, `${lines}`);
    }
    assertReached(outcomes, 'unknown');
    assertReached(outcomes, 'refused');
    const directories = outcomes.filter(({ failed }) => isDirectory(failed));
    if (call === 'fsync') assertReached(directories, 'refused');
  });

test('without space nothing is written, and the next append goes through', async (t) => {
  if (isStraceMissing(t)) return;
  const outcomes = await outcomesOf(t, { call: 'pwrite64', effect: 'error=ENOSPC' });
  for (const { lines, head, acknowledged } of outcomes) {
    assert.ok(!lines.some((line) => /^(unknown|fatal)/.test(line)), `${lines}`);
    assert.equal(head, acknowledged, 'a version that was refused is there');
  }
  assertReached(outcomes, 'read_only');
});

test('a process that is killed at any write leaves a whole log', async (t) => {
  if (isStraceMissing(t)) return;
  const outcomes = await outcomesOf(t, { call: 'pwrite64', effect: 'signal=SIGKILL' });
  for (const { signal } of outcomes) assert.equal(signal, 'SIGKILL');
  assertReached(outcomes, 'opened');
  assertReached(outcomes, 'ack');
});
