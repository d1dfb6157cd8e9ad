/**
 * Every write and every fsync of a store fails once: at opening, appending, keeping a checkpoint,
 * folding the log, closing. Nothing acknowledged is lost, nothing is acknowledged after a failure, and
 * what a failed write left behind is whole or not there.
 */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { programOf, type Run, run } from '../support/child.ts';
import type { WholeLog } from '../support/store-log.ts';
import { recover } from '../support/store-recover.ts';
import { makeDirectory, makePath } from '../support/store-sqlite.ts';
import { type Fault, failEachCall, isStraceMissing, tracedCalls } from '../support/strace.ts';

const CHILD = programOf('store-child');
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
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
  /** The highest versions that were there or acknowledged. */
  readonly acknowledged: WholeLog;
  /** What a store that is opened afterwards finds. */
  readonly found: WholeLog;
  readonly failed: string;
}

/** Fails each call once; every time the log must be whole and hold what was acknowledged. */
async function outcomesOf(
  t: TestContext,
  fault: Fault,
  mode: readonly string[] = [],
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const before = await makeDatabase();
  const count = await failEachCall({
    ...fault,
    makeDirectory,
    program: ({ directory }) => {
      copyFileSync(before, join(directory, 'q.db'));
      return [process.execPath, CHILD, join(directory, 'q.db'), APPENDS, ...mode];
    },
    check: async (run, { k, directory, failed }) => {
      const found = await recover(join(directory, 'q.db'));
      const acknowledged = {
        head: lastOf(run, 'ack'),
        kept: lastOf(run, 'kept'),
      };
      for (const part of ['head', 'kept'] as const)
        assert.ok(
          found[part] - acknowledged[part] === 0 || found[part] - acknowledged[part] === 1,
          `call ${k}: ${part} ${acknowledged[part]} was acknowledged, ${found[part]} is there`,
        );
      assert.ok(!run.lines.includes('wrong answer'), `call ${k}`);
      outcomes.push({ ...run, acknowledged, found, failed });
    },
  });
  t.diagnostic(`${count} calls of ${fault.call} failed, one in each run`);
  return outcomes;
}

/** The highest version that was there before, or is in a line that begins so. */
function lastOf({ lines }: Run, word: string): number {
  const told = lines.filter((line) => line.startsWith(`${word} `));
  return Math.max(...BEFORE, ...told.map((line) => Number(line.split(' ')[1])));
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
      assert.ok(
        !after.some((line) => /^(ack|kept|read_only|closed)/.test(line)),
        `went on: ${lines}`,
      );
      assert.ok(lines.filter((line) => line.startsWith('fatal')).length <= 1, `${lines}`);
    }
    assertReached(outcomes, 'unknown 3');
    assertReached(outcomes, 'unknown checkpoint 3');
    assertReached(outcomes, 'refused');
    const directories = outcomes.filter(({ failed }) => isDirectory(failed));
    if (call === 'fsync') assertReached(directories, 'refused');
  });

test('after an i/o error of bringing the main file up to the log nothing more is acknowledged and nothing is lost', async (t) => {
  if (isStraceMissing(t)) return;
  for (const call of IS_LONG ? ['fsync', 'pwrite64'] : ['fsync']) {
    const outcomes = await outcomesOf(t, { call, effect: 'error=EIO' }, ['catch-up']);
    // The last thing that went well was to keep a checkpoint, and nothing was on its way.
    const hit = outcomes.filter(({ lines }) => lines.at(-2)?.startsWith('kept 3'));
    assert.ok(hit.length > 0, `no ${call} of it failed`);
    for (const { lines, signal } of hit) {
      assert.match(lines.at(-1) ?? '', /^fatal storage_failed/);
      assert.equal(signal, 'SIGKILL');
    }
  }
});

test('without space nothing is written, and the next append goes through', async (t) => {
  if (isStraceMissing(t)) return;
  const outcomes = await outcomesOf(t, { call: 'pwrite64', effect: 'error=ENOSPC' });
  for (const { lines, found, acknowledged } of outcomes) {
    assert.ok(!lines.some((line) => /^(unknown|fatal)/.test(line)), `${lines}`);
    assert.deepEqual(found, acknowledged, 'what was refused is there');
  }
  assertReached(outcomes, 'read_only 3');
  assertReached(outcomes, 'read_only checkpoint 3');
});

test('a process that is killed at any write leaves a whole log', async (t) => {
  if (isStraceMissing(t)) return;
  const outcomes = await outcomesOf(t, { call: 'pwrite64', effect: 'signal=SIGKILL' });
  for (const { signal } of outcomes) assert.equal(signal, 'SIGKILL');
  assertReached(outcomes, 'opened');
  assertReached(outcomes, 'ack');
  assertReached(outcomes, 'kept');
});

/** SQLite writes the header of the log there, and nothing as long as a page. */
function isWholeLog(call: string): boolean {
  const [, bytes = '0'] = /^pwrite64\(\d+<[^>]*-wal>.*, (\d+), 0\) = \1$/.exec(call) ?? [];
  return Number(bytes) > 4_096;
}

test('a log that a reader keeps from being folded is written again, and synced, before a start is done', async (t) => {
  if (isStraceMissing(t)) return;
  const path = await makeDatabase();
  const writer = new Database(path);
  writer.pragma('wal_autocheckpoint = 0');
  writer.exec('UPDATE checkpoint SET note = note');
  const stepsOf = async (): Promise<readonly string[]> => {
    const program = [process.execPath, CHILD, path, APPENDS];
    const names = ['pwrite64', 'fsync', 'fdatasync', 'write'];
    const calls = await tracedCalls(names, { directory: makeDirectory(), program });
    const begin = calls.findIndex(isWholeLog);
    return calls.slice(Math.max(begin, 0)).flatMap((call) => {
      if (isWholeLog(call)) return ['written'];
      if (call.startsWith('write(1<') && call.includes('opened')) return ['opened'];
      return /^f(data)?sync\(\d+<[^>]*-wal>/.test(call) ? ['synced'] : [];
    });
  };
  const reader = new Database(path, { readonly: true });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM entries').get();
  writer.close();
  assert.deepEqual((await stepsOf()).slice(0, 3), ['written', 'synced', 'opened']);
  reader.close();
  assert.ok(!(await stepsOf()).includes('written'), 'what is folded needs it not');
});
