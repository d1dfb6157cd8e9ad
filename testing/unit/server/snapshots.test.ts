/** Snapshots: verified before they have a name, and without a trace when they fail. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { RegistryError } from '../../../src/core/error.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { Snapshots } from '../../../src/server/snapshot/snapshots.ts';
import { verifyCopy, verifyLog } from '../../../src/server/snapshot/verify-copy.ts';
import { verifyRows } from '../../../src/server/snapshot/verify-rows.ts';
import { openSqliteReader } from '../../../src/store/sqlite.ts';
import { storageError } from '../../../src/store/sqlite-errors.ts';
import { assertSound } from '../../../src/store/sqlite-integrity.ts';
import { openReadOnly } from '../../../src/store/sqlite-open.ts';
import type { Store } from '../../../src/store/store.ts';
import { checkLog } from '../../support/check-log.ts';
import { lying } from '../../support/lying-store.ts';
import { makeRandom } from '../../support/random.ts';
import {
  keepCheckpoint,
  openTestRegistry,
  put,
  remove,
  SILENT_LOG,
} from '../../support/registry.ts';
import {
  descriptorsPayload,
  erasePayload,
  governancePayload,
  makeGovernance,
  START,
} from '../../support/signers.ts';
import { unpackTest } from '../../support/snapshot.ts';
import { type Cell, cellsOf } from '../../support/store-cells.ts';
import { makeDirectory, openStore } from '../../support/store-sqlite.ts';
import { withoutTriggers } from '../../support/store-triggers.ts';

const WAIT = new AbortController().signal;

/** Some of everything: replaced and removed values, a proposal in flight, a kept checkpoint. */
async function openRegistry(t: TestContext) {
  const dataDir = makeDirectory();
  const store = await openStore(t, join(dataDir, 'registry.db'));
  const real = await openTestRegistry({ store });
  t.after(() => real.registry[Symbol.asyncDispose]());
  await real.change(put('a', { v: 1 }), put('b', { v: 1 }));
  await real.change(put('a', { v: 2 }, { v: 1 }), remove('b', { v: 1 }));
  await real.change(put('c', { text: 'x'.repeat(9_000) }));
  const waiting = descriptorsPayload(real.registryHash, [put('d', { v: 1 })]);
  await real.registry.proposals.propose(waiting.bytes);
  const [signer] = real.signers;
  assert.ok(signer);
  await real.registry.proposals.approve(waiting.payloadB3, signer.approve(waiting));
  await keepCheckpoint(real);
  return { ...real, store, dataDir };
}

function open(dataDir: string | null, store: Store, monotonicMs = () => 0): Snapshots {
  return new Snapshots({ store, dataDir, log: SILENT_LOG, now: () => START, monotonicMs });
}

function namesIn(dataDir: string): string[] {
  return existsSync(join(dataDir, 'snapshots')) ? readdirSync(join(dataDir, 'snapshots')) : [];
}

test('a snapshot is named for its version and header, and holds what the checkpoint in it covers', async (t) => {
  const { store, dataDir, registry, registryHash } = await openRegistry(t);
  let ms = 0;
  const snapshots = open(dataDir, store, () => {
    ms += 1_500;
    return ms;
  });
  assert.equal(snapshots.state, null);
  const made = await snapshots.make(WAIT);
  const head = registry.head();
  const checkpoint = registry.checkpoint();
  assert.ok(head && checkpoint);
  const file = `3-${made.id.slice(3, 19)}.qsnap`;
  const path = join(dataDir, 'snapshots', file);
  const { header, ...others } = made;
  assert.deepEqual(others, {
    id: made.id,
    file,
    directory: join(dataDir, 'snapshots'),
    bytes: statSync(path).size,
    seconds: 1.5,
  });
  const { registry: genesis, version, entryHash, setSize, proposals, createdAt } = header;
  assert.deepEqual(
    [genesis, version, entryHash, setSize, proposals, createdAt, header.checkpoint],
    [registryHash, 3, head.object.entry_hash, 2, 1, '2026-11-21T09:00:00.000Z', checkpoint.note],
  );
  assert.deepEqual(namesIn(dataDir), [file]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(dataDir, 'snapshots')).mode & 0o777, 0o700);
  await using copy = openSqliteReader({ path: await unpackTest(path) });
  assert.equal((await checkLog(copy))?.entryHash, head.object.entry_hash);
  assert.deepEqual(await copy.proposals(), await store.proposals());
  assert.equal(await copy.checkpoint(), checkpoint.note);
});

test('a snapshot of the same head at the same time is the same one, and takes the place of the one before', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  const snapshots = open(dataDir, store);
  const { file } = await snapshots.make(WAIT);
  writeFileSync(join(dataDir, 'snapshots', file), 'damaged later');
  const again = await snapshots.make(WAIT);
  assert.equal(again.file, file);
  assert.deepEqual(namesIn(dataDir), [file]);
  await using copy = openSqliteReader({
    path: await unpackTest(join(again.directory, again.file)),
  });
  assert.equal((await copy.head())?.version, 3);
});

test('while a snapshot is made its state says how far it is, and another one is refused', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  const snapshots: Snapshots = open(
    dataDir,
    lying(store, {
      snapshot: async (target) => {
        assert.deepEqual(snapshots.state, { phase: 'copying', done: 0, total: 0 });
        await assert.rejects(snapshots.make(WAIT), { code: 'overloaded' });
        await store.snapshot({
          ...target,
          onProgress: (progress) => {
            target.onProgress?.(progress);
            const { doneBytes, totalBytes } = progress;
            const state = { phase: 'copying', done: doneBytes, total: totalBytes };
            assert.deepEqual(snapshots.state, state);
          },
        });
      },
    }),
  );
  const made = snapshots.make(WAIT);
  const phases = new Set<string>();
  let isDone = false;
  const finished = made.then(() => {
    isDone = true;
  });
  while (!isDone) {
    const state = snapshots.state;
    if (state !== null) {
      phases.add(state.phase);
      assert.ok(state.done <= state.total && Number.isInteger(state.done));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await finished;
  assert.deepEqual([...phases], ['copying', 'verifying']);
  assert.equal(snapshots.state, null);
  await open(dataDir, store).make(WAIT);
});

test('what an earlier process left half made is removed, and nothing else is', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  const left = join(dataDir, 'snapshots', '.unfinished');
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, 'registry.db'), 'half');
  for (const name of ['1-0123456789abcdef.qsnap', 'notes.txt'])
    writeFileSync(join(dataDir, 'snapshots', name), '');
  const snapshots = open(dataDir, store);
  const { file } = await snapshots.make(WAIT);
  assert.deepEqual(namesIn(dataDir).sort(), ['notes.txt', '1-0123456789abcdef.qsnap', file].sort());
});

test('a registry in memory has no file to copy, and an empty one nothing to restore', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  await assert.rejects(open(null, store).make(WAIT), { code: 'invalid_request' });
  const empty = await openStore(t, join(makeDirectory(), 'registry.db'));
  await assert.rejects(open(dataDir, empty).make(WAIT), { code: 'not_initialised' });
  // Two threads verify a copy, and either may be the first to say so.
  const path = join(makeDirectory(), 'registry.db');
  await openStore(t, path);
  const options = { verifier: createNativeVerifier(), onProgress: () => undefined };
  await assert.rejects(verifyRows(path, options), { code: 'not_initialised' });
  await assert.rejects(verifyLog(path, options), { code: 'not_initialised' });
  assert.deepEqual(namesIn(dataDir), []);
});

test('without room for the copy and what is written meanwhile none is begun', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  let asked = 0;
  const crowded = lying(store, {
    storageBytes: async () => 2 ** 60,
    snapshot: async () => void asked++,
  });
  await assert.rejects(open(dataDir, crowded).make(WAIT), {
    code: 'read_only',
    message: /^expected \d+ bytes free for a snapshot, got \d+: make room/,
  });
  assert.deepEqual([asked, namesIn(dataDir)], [0, []]);
});

test('a copy that fails, or is other than it should be, leaves nothing', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  const snapshotsOf = (snapshot: Store['snapshot']) => open(dataDir, lying(store, { snapshot }));
  const full = new RegistryError('read_only', 'expected room on the disk, got none');
  await assert.rejects(
    snapshotsOf(async ({ path }) => {
      writeFileSync(path, 'half');
      throw full;
    }).make(WAIT),
    full,
  );
  await assert.rejects(
    snapshotsOf(async ({ path }) => writeFileSync(path, 'x'.repeat(8_192))).make(WAIT),
    {
      code: 'storage_damaged',
    },
  );
  await assert.rejects(snapshotsOf(async () => undefined).make(WAIT), { code: 'storage_failed' });
  assert.deepEqual(namesIn(dataDir), []);
});

test('what the file system refuses is said with its place', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  writeFileSync(join(dataDir, 'snapshots'), 'a file is no directory');
  await assert.rejects(open(dataDir, store).make(WAIT), {
    code: 'storage_failed',
    message: /expected to write a snapshot in .*snapshots, got EEXIST/,
  });
});

test('a snapshot that nobody waits for any more is given up, at whatever step', async (t) => {
  const { store, dataDir } = await openRegistry(t);
  const early = new AbortController();
  const copying = lying(store, {
    snapshot: (target) => {
      early.abort();
      return store.snapshot(target);
    },
  });
  await assert.rejects(open(dataDir, copying).make(early.signal), { code: 'unavailable' });
  const late = new AbortController();
  const copied = lying(store, {
    snapshot: async (target) => {
      await store.snapshot(target);
      late.abort();
    },
  });
  await assert.rejects(open(dataDir, copied).make(late.signal), {
    code: 'unavailable',
    message: /given up/,
  });
  assert.deepEqual(namesIn(dataDir), []);
});

/** The database of a registry, closed in good order. */
async function writeDatabase(t: TestContext): Promise<string> {
  const { registry, dataDir } = await openRegistry(t);
  await registry[Symbol.asyncDispose]();
  return join(dataDir, 'registry.db');
}

/** As a snapshot is checked, without its threads. */
async function verify(path: string): ReturnType<typeof verifyCopy> {
  const db = openReadOnly(path);
  try {
    assertSound(db);
  } catch (cause) {
    throw storageError(cause, 'a sound database');
  } finally {
    db.close();
  }
  return verifyCopy(path, { verifier: createNativeVerifier(), onProgress: () => undefined });
}

const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
/** Nothing is ever decided by these. */
const UNREAD = ['entries.type', 'entries.expires_at', 'proposals.received_at'];

/** Of a null in a row's header: types that SQLite reads as the same. A row's own number is not read from there. */
const SAME_AS_NULL = [10, 11];
const SAME_AS_OWN_NUMBER = [8, 9, 10, 11, 12, 13];

function isSame({ part, offsets }: Cell, at: number, { was, is }: Record<'was' | 'is', number>) {
  if (part !== 'header' || was !== 0) return false;
  return (at === offsets[1] ? SAME_AS_OWN_NUMBER : SAME_AS_NULL).includes(is);
}

test('one changed byte in any part of any row is found, but where nothing is decided by it', async (t) => {
  const seed = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
  const source = await writeDatabase(t);
  const whole = readFileSync(source);
  const path = join(makeDirectory(), 'copy.db');
  const parts = Map.groupBy(cellsOf(source), ({ tree, part }) => `${tree}.${part}`);
  assert.ok(parts.size > 80, `${parts.size} parts`);
  for (const [part, cells] of parts) {
    if (UNREAD.includes(part)) continue;
    for (const cell of IS_LONG ? cells : [pick(cells)]) {
      const at = pick(cell.offsets);
      const was = whole[at] ?? 0;
      const is = was ^ (1 + Math.floor(random() * 255));
      if (isSame(cell, at, { was, is })) continue;
      const file = Uint8Array.from(whole);
      file[at] = is;
      writeFileSync(path, file);
      const what = `byte ${at} from ${was} to ${is}: ${part} of row ${cell.row}`;
      await assert.rejects(verify(path), RegistryError, what);
    }
  }
  writeFileSync(path, whole);
  assert.equal((await verify(path)).version, 3, 'the one without damage is accepted');
});

/** Rows changed with SQLite's help, so that every index agrees. */
const REWRITTEN: readonly (readonly [what: string, sql: string])[] = [
  ['a value of another version', 'UPDATE spans SET set_version = 3 WHERE set_version = 2'],
  ['a value that never ended', 'UPDATE spans SET end_version = 3 WHERE end_version = 2'],
  ['a value that is missing', 'DELETE FROM spans WHERE set_version = 1'],
  ['a value that was never put', "UPDATE descriptors SET id = 'z' WHERE id = 'b'"],
  ['an entry that is missing at the end', 'DELETE FROM entries WHERE version = 3'],
  [
    'a payload under another hash',
    'UPDATE entries SET payload_b3 = zeroblob(32) WHERE version = 2',
  ],
  ['a governance that is none', "UPDATE entries SET type = 'governance' WHERE version = 2"],
  ['a tree without its last node', 'DELETE FROM nodes WHERE level = 2'],
  ['no checkpoint but another text', "UPDATE checkpoint SET note = 'x'"],
  [
    'a proposal that expires at another time',
    "UPDATE proposals SET expires_at = '2020-01-01T00:00:00.000Z'",
  ],
  ['another payload of a proposal', "UPDATE proposals SET payload = x'78'"],
];

test('rows that agree with each other and not with the entries are found', async (t) => {
  const source = await writeDatabase(t);
  const whole = readFileSync(source);
  for (const [what, sql] of REWRITTEN) {
    const path = join(makeDirectory(), 'copy.db');
    writeFileSync(path, whole);
    const db = new Database(path);
    withoutTriggers(db, () => assert.ok(db.prepare(sql).run().changes > 0, what));
    db.close();
    await assert.rejects(
      verify(path),
      (error: unknown) => {
        assert.ok(error instanceof RegistryError, `${what}: ${error}`);
        return true;
      },
      what,
    );
  }
});

test('a governance that is no longer found among the governances is missed', async (t) => {
  const { registry, commit, registryHash, governance, signers, dataDir } = await openRegistry(t);
  const next = makeGovernance(signers, { threshold: 3, version: 2 });
  await commit(governancePayload(registryHash, { next, current: governance }), signers);
  await registry[Symbol.asyncDispose]();
  const path = join(dataDir, 'registry.db');
  assert.equal((await verify(path)).version, 4);
  const db = new Database(path);
  withoutTriggers(db, () => db.exec("UPDATE entries SET type = 'descriptors' WHERE version = 4"));
  db.close();
  await assert.rejects(verifyCopy(path, { verifier: createNativeVerifier(), onProgress() {} }), {
    code: 'storage_damaged',
    message: /version 4 among those of type governance/,
  });
});

test('a database without a checkpoint is whole, and says so', async (t) => {
  const path = await writeDatabase(t);
  const db = new Database(path);
  db.exec('DELETE FROM checkpoint');
  db.close();
  chmodSync(path, 0o600);
  assert.equal((await verify(path)).checkpoint, null);
});

/** Versions 1 to 3 as `openRegistry` makes them, then 4: an erasure of version 3, whose value was replaced; 2 is the oldest. */
async function writeLetGo(t: TestContext): Promise<string> {
  const real = await openRegistry(t);
  await real.change(put('c', { text: 'y' }, { text: 'x'.repeat(9_000) }));
  const erased = await real.store.entry(3);
  assert.ok(erased);
  const erases = erased.entryHash;
  await real.commit(erasePayload(real.registryHash, { version: 3, erases }));
  await real.registry.prune(2);
  await keepCheckpoint(real);
  await real.registry[Symbol.asyncDispose]();
  return join(real.dataDir, 'registry.db');
}

test('what retention and erasures let go of is not damage, and the oldest version is told', async (t) => {
  const path = await writeLetGo(t);
  const { version, oldest } = await verify(path);
  assert.deepEqual([version, oldest], [5, 2]);
});

const LET_GO: readonly (readonly [what: string, sql: string])[] = [
  [
    'a payload that is gone from where nothing was let go',
    "UPDATE entries SET payload = x'' WHERE version = 4",
  ],
  [
    'approvals that are gone with what was erased',
    "UPDATE entries SET approvals = x'' WHERE version = 3",
  ],
  [
    'the value of an older entry',
    'UPDATE spans SET value_hash = zeroblob(32) WHERE set_version = 2',
  ],
  [
    'a value that is still there though it was erased',
    "UPDATE spans SET bytes = x'7b7d' WHERE set_version = 3",
  ],
  ['a value of the oldest set that is missing', 'DELETE FROM spans WHERE set_version = 2'],
  ['an erasure that no entry asked for', 'UPDATE erasures SET version = 4'],
  ['a horizon that was moved', 'UPDATE retention SET oldest = 1, reached = 1'],
  [
    'a leaf',
    "UPDATE entries SET leaf = CAST(replace(leaf, 'b3:', 'b4:') AS BLOB) WHERE version = 1",
  ],
];

test('what is missing beside what was let go of is found', async (t) => {
  const source = await writeLetGo(t);
  const whole = readFileSync(source);
  for (const [what, sql] of LET_GO) {
    const path = join(makeDirectory(), 'copy.db');
    writeFileSync(path, whole);
    const db = new Database(path);
    withoutTriggers(db, () => assert.ok(db.prepare(sql).run().changes > 0, what));
    db.close();
    await assert.rejects(verify(path), RegistryError, what);
  }
});
