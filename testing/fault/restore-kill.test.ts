/** kill -9 and failing calls in the middle of a restore: what has a registry's name is whole, and the next restore goes through. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { before, test } from 'node:test';
import { openSqliteReader, openSqliteStore } from '../../src/store/sqlite.ts';
import { checkLog } from '../support/check-log.ts';
import { programOf, type Run, run } from '../support/child.ts';
import { openTestRegistry, put } from '../support/registry.ts';
import { packTest } from '../support/snapshot.ts';
import { makeDirectory } from '../support/store-sqlite.ts';
import { failEachCall, isStraceMissing } from '../support/strace.ts';

const CHILD = programOf('restore-child');
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const VERSIONS = 3;

let snapshot: string;

before(async () => {
  const path = join(makeDirectory(), 'registry.db');
  const real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
  for (let version = 1; version <= VERSIONS; version++) await real.change(put(`d${version}`, {}));
  await real.registry[Symbol.asyncDispose]();
  snapshot = (await packTest(path)).path;
});

function dataOf(directory: string): string {
  return join(directory, 'data');
}

/** Nothing that opens as a registry, or the whole one. */
async function assertWhole(data: string): Promise<boolean> {
  const path = join(data, 'registry.db');
  if (!existsSync(path)) return false;
  await using store = openSqliteReader({ path });
  assert.equal((await checkLog(store))?.version, VERSIONS);
  return true;
}

async function assertRestorable(data: string): Promise<void> {
  const again = await run(process.execPath, [CHILD, snapshot, data]);
  assert.deepEqual(again.lines, ['done'], again.lines.join('; '));
  assert.deepEqual(readdirSync(data), ['registry.db']);
}

interface Campaign {
  readonly call: string;
  readonly effect: string;
  readonly check: (run: Run, data: string) => Promise<void>;
}

/** Only calls that concern the data directory and what is made in it. */
function options(directory: string): readonly string[] {
  const data = dataOf(directory);
  const paths = ['', '.unfinished', '.unfinished/registry.db', 'registry.db'];
  // A call is counted in its thread: of those that node keeps for files there is one.
  return ['-E', 'UV_THREADPOOL_SIZE=1', ...paths.flatMap((path) => ['-P', join(data, path)])];
}

async function fail({ check, ...fault }: Campaign): Promise<number> {
  return failEachCall({
    ...fault,
    makeDirectory,
    program: ({ directory }) => [
      ...options(directory),
      process.execPath,
      CHILD,
      snapshot,
      dataOf(directory),
    ],
    check: (ran, { directory }) => check(ran, dataOf(directory)),
  });
}

const KILLED = [
  'fsync',
  'link',
  ...(IS_LONG ? ['openat', 'write', 'unlink', 'mkdir', 'rmdir'] : []),
];

for (const call of KILLED)
  test(`a process that is killed at any ${call} of a restore left a whole registry or none`, async (t) => {
    if (isStraceMissing(t)) return;
    const found = new Set<boolean>();
    const count = await fail({
      call,
      effect: 'signal=SIGKILL',
      check: async (ran, data) => {
        assert.equal(ran.signal, 'SIGKILL');
        const isThere = await assertWhole(data);
        found.add(isThere);
        if (ran.lines.includes('done')) assert.ok(isThere, 'it was acknowledged');
        if (!isThere) await assertRestorable(data);
      },
    });
    t.diagnostic(`${count} times killed; a registry was there: ${[...found].join(', ')}`);
    if (call === 'fsync') assert.deepEqual([...found].sort(), [false, true]);
  });

for (const [call, effect, code] of [
  ['fsync', 'error=EIO', 'storage_failed'],
  ...(IS_LONG
    ? ([
        ['write', 'error=ENOSPC', 'read_only'],
        ['link', 'error=EIO', 'storage_failed'],
      ] as const)
    : []),
] as const)
  test(`a restore of which any ${call} fails with ${effect} is refused, and leaves nothing`, async (t) => {
    if (isStraceMissing(t)) return;
    const count = await fail({
      call,
      effect,
      check: async (ran, data) => {
        assert.deepEqual(ran.lines, [`refused ${code}`]);
        assert.deepEqual(existsSync(data) ? readdirSync(data) : [], []);
        await assertRestorable(data);
      },
    });
    t.diagnostic(`${count} calls failed`);
  });

test('every directory that a restore makes is durable, and gone when one cannot be', async (t) => {
  if (isStraceMissing(t)) return;
  const synced = new Set<string>();
  const made = ['', 'a', 'a/b', 'a/b/c'];
  await failEachCall({
    call: 'fsync',
    effect: 'error=EIO',
    makeDirectory,
    program: ({ directory }) => [
      ...['-E', 'UV_THREADPOOL_SIZE=1'],
      ...made.flatMap((path) => ['-P', join(directory, path)]),
      ...[process.execPath, CHILD, snapshot, join(directory, 'a/b/c')],
    ],
    check: async (ran, { directory, failed }) => {
      assert.deepEqual(ran.lines, ['refused storage_failed']);
      assert.deepEqual(readdirSync(directory), ['trace']);
      const [, path = ''] = /<([^>]*)>/.exec(failed) ?? [];
      synced.add(relative(directory, path));
    },
  });
  assert.deepEqual([...synced].sort(), made);
});

test('a restore on a file system without links ends with a rename', async (t) => {
  if (isStraceMissing(t)) return;
  let isWhole = false;
  await fail({
    call: 'link',
    effect: 'error=EPERM',
    check: async (ran, data) => {
      assert.deepEqual(ran.lines, ['done']);
      assert.deepEqual(readdirSync(data), ['registry.db']);
      isWhole = await assertWhole(data);
    },
  });
  assert.ok(isWhole);
});
