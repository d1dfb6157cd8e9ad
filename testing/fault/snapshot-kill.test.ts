/**
 * kill -9 and failing calls in the middle of operator acts: a freeze is there as a whole or not at all,
 * nothing half made has a snapshot's name, and the registry starts as if nothing had been.
 */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { openFreeze } from '../../src/server/operator/freeze.ts';
import { snapshotName } from '../../src/server/snapshot/header.ts';
import { verifyCopy } from '../../src/server/snapshot/verify-copy.ts';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { checkLog } from '../support/check-log.ts';
import { programOf, type Run, run } from '../support/child.ts';
import { keepCheckpoint, openTestRegistry, put, SILENT_LOG } from '../support/registry.ts';
import { packTest, unpackTest } from '../support/snapshot.ts';
import { makeDirectory, openStore } from '../support/store-sqlite.ts';
import {
  type FailedAttempt,
  type Fault,
  failEachCall,
  isStraceMissing,
} from '../support/strace.ts';

const CHILD = programOf('operator-child');
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const VERSIONS = 4;
const KILL = 'signal=SIGKILL';

/** A registry's database, closed in good order. */
async function makeDatabase(t: TestContext): Promise<string> {
  const path = join(makeDirectory(), 'registry.db');
  const real = await openTestRegistry({ store: await openStore(t, path) });
  for (let version = 1; version <= VERSIONS; version++) await real.change(put(`d${version}`, {}));
  await keepCheckpoint(real);
  await real.registry[Symbol.asyncDispose]();
  return path;
}

interface Campaign extends Fault {
  readonly act: 'freeze' | 'thaw' | 'snapshot' | 'compact' | 'cover';
  readonly database: string | undefined;
  /** Only calls that concern these, in the data directory; default: all calls. */
  readonly paths?: readonly string[];
  /** Put into the data directory before. */
  readonly prepare?: (directory: string) => void;
  readonly check: (run: Run, failed: FailedAttempt) => Promise<void>;
}

async function fail(
  t: TestContext,
  { act, database, prepare, paths = [], ...loop }: Campaign,
): Promise<void> {
  const count = await failEachCall({
    ...loop,
    makeDirectory,
    program: ({ directory }) => {
      if (database !== undefined) copyFileSync(database, join(directory, 'registry.db'));
      prepare?.(directory);
      // A call is counted in its thread: of those that node keeps for files there is one.
      const options = ['-E', 'UV_THREADPOOL_SIZE=1'];
      for (const path of paths) options.push('-P', join(directory, path));
      return [...options, process.execPath, CHILD, directory, act];
    },
    check: async (ran, failed) => {
      if (database !== undefined) await assertUnharmed(failed.directory);
      await loop.check(ran, failed);
    },
  });
  t.diagnostic(`${count} calls of ${loop.call} met ${loop.effect} during ${act}`);
}

/** The next start recovers it, and every entry verifies. */
async function assertUnharmed(directory: string): Promise<void> {
  const path = join(directory, 'registry.db');
  new CommitLane(path).close();
  await using reader = openSqliteReader({ path });
  assert.equal((await checkLog(reader))?.version, VERSIONS);
}

async function stateOf(directory: string) {
  const parts = { now: Date.now, log: SILENT_LOG };
  return (await openFreeze(join(directory, 'freeze.json'), parts)).state;
}

function isDone({ lines }: Run): boolean {
  return lines.some((line) => line.startsWith('done'));
}

const FREEZE_CALLS = IS_LONG ? ['write', 'fsync', 'rename'] : ['fsync', 'rename'];

for (const call of FREEZE_CALLS)
  test(`a process that is killed at any ${call} of a freeze left a whole one or none`, async (t) => {
    if (isStraceMissing(t)) return;
    const found = new Set<boolean>();
    await fail(t, {
      call,
      effect: KILL,
      act: 'freeze',
      database: undefined,
      check: async (ran, { directory }) => {
        assert.equal(ran.signal, 'SIGKILL');
        const state = await stateOf(directory);
        found.add(state !== null);
        if (state !== null) assert.deepEqual([state.reason, state.isKept], ['a drill', true]);
        if (isDone(ran)) assert.ok(state, 'it was acknowledged');
        const left = readdirSync(directory).filter((name) => name !== 'trace');
        assert.deepEqual(left, state === null ? [] : ['freeze.json'], 'no other file is left');
      },
    });
    if (call === 'fsync') assert.deepEqual([...found].sort(), [false, true]);
  });

for (const call of ['unlink', 'fsync'])
  test(`a process that is killed at any ${call} of a thaw left the freeze, or none`, async (t) => {
    if (isStraceMissing(t)) return;
    await fail(t, {
      call,
      effect: KILL,
      act: 'thaw',
      database: undefined,
      prepare: (directory) =>
        writeFileSync(
          join(directory, 'freeze.json'),
          '{"reason":"before","since":"2026-11-21T09:30:00.000Z"}\n',
        ),
      check: async (ran, { directory }) => {
        assert.equal(ran.signal, 'SIGKILL');
        const state = await stateOf(directory);
        if (state !== null) assert.deepEqual([state.reason, state.isKept], ['before', true]);
        if (isDone(ran)) assert.equal(state, null, 'the thaw was acknowledged');
      },
    });
  });

test('a freeze whose file cannot be synced is not acknowledged', async (t) => {
  if (isStraceMissing(t)) return;
  await fail(t, {
    call: 'fsync',
    effect: 'error=EIO',
    act: 'freeze',
    database: undefined,
    check: async ({ lines }) => assert.deepEqual(lines, ['opened', 'refused storage_failed']),
  });
});

/** What has a snapshot's name is one, and the next snapshot leaves nothing half made. */
async function assertSnapshots(directory: string): Promise<readonly string[]> {
  const place = join(directory, 'snapshots');
  const named = existsSync(place)
    ? readdirSync(place).filter((name) => name !== '.unfinished')
    : [];
  for (const name of named) {
    const verifier = createNativeVerifier();
    const path = await unpackTest(join(place, name));
    const copy = await verifyCopy(path, { verifier, onProgress: () => undefined });
    assert.equal(copy.version, VERSIONS);
  }
  return named;
}

/** The file, written from the copy by a thread. */
const PACKED = 'snapshots/.unfinished/packed';
const PLACES: readonly (readonly [call: string, paths: readonly string[]])[] = [
  ['fsync', [PACKED]],
  ['fsync', ['snapshots']],
  ['rename', []],
  ...(IS_LONG
    ? ([
        ['recvmsg', []],
        ['pwrite64', [PACKED]],
        ['openat', [PACKED, 'snapshots']],
        ['mkdir', []],
        ['unlink', []],
        ['rmdir', []],
        ['write', []],
        ['pwrite64', []],
      ] as const)
    : []),
];

function assertRefused(ran: Run, directory: string, code: string): void {
  assert.deepEqual(ran.lines, ['opened', `refused ${code}`]);
  assert.deepEqual(readdirSync(join(directory, 'snapshots')), []);
}

for (const [call, paths] of PLACES)
  test(`a process that is killed at any ${call} of ${paths[0] ?? 'any file'} for a snapshot left a whole one or none`, async (t) => {
    if (isStraceMissing(t)) return;
    const found = new Set<string>();
    await fail(t, {
      call,
      effect: KILL,
      act: 'snapshot',
      paths,
      database: await makeDatabase(t),
      check: async (ran, { directory }) => {
        const isOfCopy = ran.signal === null;
        if (isOfCopy && !isDone(ran)) return assertRefused(ran, directory, 'unavailable');
        const named = await assertSnapshots(directory);
        if (isDone(ran)) assert.equal(named.length, 1, 'it was acknowledged');
        const isCut = existsSync(join(directory, 'snapshots/.unfinished'));
        found.add(`${isCut ? 'a half one' : 'none half'}, ${named.length} whole`);
      },
    });
    t.diagnostic([...found].join('; '));
    if (['rename', 'recvmsg'].includes(call))
      assert.ok(found.has('a half one, 0 whole'), [...found].join('; '));
    if (call === 'fsync' && paths.includes('snapshots'))
      assert.ok([...found].some((one) => one.endsWith('1 whole')));
  });

test('a snapshot whose name cannot be made durable has none', async (t) => {
  if (isStraceMissing(t)) return;
  await fail(t, {
    call: 'fsync',
    effect: 'error=EIO',
    act: 'snapshot',
    paths: ['snapshots'],
    database: await makeDatabase(t),
    check: async (ran, { directory }) => assertRefused(ran, directory, 'storage_failed'),
  });
});

/** Of the copy, which a process of its own makes. */
const COPY = 'snapshots/.unfinished/registry.db';

for (const [call, effect, code] of [
  ['copy_file_range', KILL, 'unavailable'],
  // Of the log of the copy; where the main file cannot be copied within the kernel it is copied otherwise.
  ['write', 'error=EIO', 'storage_failed'],
  ...(IS_LONG
    ? ([
        ['copy_file_range', 'error=ENOSPC', 'read_only'],
        ['write', KILL, 'unavailable'],
        ['write', 'error=ENOSPC', 'read_only'],
        ['chmod', 'error=EIO', 'storage_failed'],
        ['pwrite64', KILL, 'unavailable'],
        ['pwrite64', 'error=EIO', 'storage_failed'],
        ['pwrite64', 'error=ENOSPC', 'read_only'],
        ['openat', KILL, 'unavailable'],
      ] as const)
    : []),
] as const)
  test(`a snapshot of whose copy any ${call} meets ${effect} is refused, and leaves nothing`, async (t) => {
    if (isStraceMissing(t)) return;
    await fail(t, {
      call,
      effect,
      act: 'snapshot',
      paths: [COPY, `${COPY}-wal`],
      database: await makeDatabase(t),
      check: async (ran, { directory }) => {
        // It reads the copy too.
        const isOfServer = ran.signal !== null;
        if (isOfServer) assert.deepEqual(await assertSnapshots(directory), []);
        else assertRefused(ran, directory, code);
      },
    });
  });

test('a snapshot that cannot be made durable, or its name, covers nothing', async (t) => {
  if (isStraceMissing(t)) return;
  const database = await makeDatabase(t);
  const { path, id } = await packTest(database);
  const file = join('snapshots', snapshotName({ version: VERSIONS, id }));
  for (const paths of [[file], ['snapshots']])
    await fail(t, {
      call: 'fsync',
      effect: 'error=EIO',
      act: 'cover',
      paths,
      database,
      prepare: (directory) => {
        mkdirSync(join(directory, 'snapshots'));
        copyFileSync(path, join(directory, file));
      },
      check: async ({ lines }) => assert.deepEqual(lines, ['opened', 'done undefined']),
    });
});

test('after an i/o error in a compaction nothing is acknowledged, and nothing is lost', async (t) => {
  if (isStraceMissing(t)) return;
  let fatals = 0;
  await fail(t, {
    call: 'fsync',
    effect: 'error=EIO',
    act: 'compact',
    database: await makeDatabase(t),
    check: async (ran, { failed }) => {
      // SQLite ignores a failed fsync of a directory; the store syncs it once more at its start.
      if (/\/test-\w+>\)/.test(failed)) return;
      assert.ok(!isDone(ran) || ran.signal === 'SIGKILL', ran.lines.join());
      if (ran.lines.some((line) => line.startsWith('fatal'))) {
        assert.equal(ran.signal, 'SIGKILL');
        fatals++;
      }
    },
  });
  assert.ok(fatals > 0, 'no compaction was fatal');
});

test('the acts that are made to fail above are done when nothing fails', async (t) => {
  const database = await makeDatabase(t);
  const directory = join(makeDirectory(), 'data');
  mkdirSync(directory);
  copyFileSync(database, join(directory, 'registry.db'));
  for (const act of ['freeze', 'thaw', 'snapshot', 'cover', 'compact']) {
    const { lines } = await run(process.execPath, [CHILD, directory, act]);
    assert.match(lines.join(), /^opened,done (true|4-[0-9a-f]{16}\.qsnap)$/, act);
  }
  assert.equal((await assertSnapshots(directory)).length, 1);
});
