/**
 * The move of a database from an older schema version to 3, cut off or refused at every write and every
 * fsync: what is left opens as the one or the other, whole, and the next start carries it through.
 */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SCHEMAS } from '../../src/store/sqlite-schema.ts';
import { programOf, type Run, run } from '../support/child.ts';
import { identityOf, makeOlder, type OlderVersion } from '../support/store-older.ts';
import { recover } from '../support/store-recover.ts';
import { makeDirectory, makePath } from '../support/store-sqlite.ts';
import { type Fault, failEachCall, isStraceMissing } from '../support/strace.ts';

const CHILD = programOf('store-child');
const SIZE = 20;
const NEWEST = 3;
/** From version 1 the move makes all that it makes from version 2, and more. */
const OLDER: readonly OlderVersion[] = [1, 2];

interface Outcome extends Run {
  /** What the fault left behind. */
  readonly version: number;
  readonly failed: string;
}

async function outcomesOf(
  t: TestContext,
  from: OlderVersion,
  fault: Fault,
): Promise<readonly Outcome[]> {
  const before = makePath();
  makeOlder(before, from, SIZE);
  const outcomes: Outcome[] = [];
  const count = await failEachCall({
    ...fault,
    makeDirectory,
    program: ({ directory }) => {
      copyFileSync(before, join(directory, 'q.db'));
      return [process.execPath, CHILD, join(directory, 'q.db'), '0'];
    },
    check: async (run, { k, directory, failed }) => {
      const path = join(directory, 'q.db');
      const { version, statements } = identityOf(path);
      assert.ok(version === from || version === NEWEST, `call ${k} left version ${version}`);
      assert.deepEqual(statements, [...(SCHEMAS.get(Number(version)) ?? [])].sort(), `call ${k}`);
      assert.deepEqual(await recover(path), { head: SIZE - 1, kept: -1 }, `call ${k}`);
      outcomes.push({ ...run, version: Number(version), failed });
    },
  });
  t.diagnostic(`${count} calls of ${fault.call} failed, one in each run`);
  return outcomes;
}

/** Before the store was open: the move itself, and the fold of the log that makes it durable. */
function duringOpening(outcomes: readonly Outcome[]): readonly Outcome[] {
  return outcomes.filter(({ lines }) => !lines.includes('opened'));
}

function assertBothVersions(from: OlderVersion, outcomes: readonly Outcome[]): void {
  const versions = duringOpening(outcomes).map(({ version }) => version);
  assert.ok(versions.includes(from), 'no fault came before the move');
  assert.ok(versions.includes(NEWEST), 'no fault came after the move, before it was told');
}

for (const from of OLDER)
  test(`without a fault the move from version ${from} writes, and its end is a database of version 3`, async () => {
    const path = makePath();
    makeOlder(path, from, SIZE);
    const { lines } = await run(process.execPath, [CHILD, path, '0']);
    assert.deepEqual(lines, ['opened', 'closed']);
    assert.equal(identityOf(path).version, NEWEST);
  });

for (const call of ['pwrite64', 'fsync'])
  test(`a process killed at any ${call} of the move leaves one version or the other, whole`, async (t) => {
    if (isStraceMissing(t)) return;
    const outcomes = await outcomesOf(t, 1, { call, effect: 'signal=SIGKILL' });
    for (const { signal } of outcomes) assert.equal(signal, 'SIGKILL');
    assertBothVersions(1, outcomes);
  });

for (const call of ['pwrite64', 'fsync'])
  test(`an i/o error of any ${call} of the move refuses the start or ends the process`, async (t) => {
    if (isStraceMissing(t)) return;
    const outcomes = await outcomesOf(t, 1, { call, effect: 'error=EIO' });
    for (const { lines, failed } of outcomes) {
      assert.match(failed, /EIO.*INJECTED/);
      if (isOfDirectory(failed) && lines.at(-1) === 'closed') continue;
      assert.ok(!lines.includes('closed'), `went on: ${lines}`);
    }
    assertBothVersions(1, outcomes);
  });

test('without space for the move the start is refused, and the log stays whole', async (t) => {
  if (isStraceMissing(t)) return;
  const outcomes = await outcomesOf(t, 1, { call: 'pwrite64', effect: 'error=ENOSPC' });
  const refused = outcomes.filter(({ lines }) => lines.includes('refused storage_failed'));
  assert.ok(refused.length > 0, 'no write of the move failed');
  for (const { version } of refused) assert.equal(version, 1);
  for (const { lines } of outcomes) assert.ok(!/unknown|fatal/.test(lines.join()), `${lines}`);
});

/** SQLite ignores a failed fsync of a directory; the store syncs it once more. */
function isOfDirectory(failed: string): boolean {
  return /\((\d+)<[^>]*\/test-\w+>\)/.test(failed);
}
