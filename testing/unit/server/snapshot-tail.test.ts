/**
 * Entries after the checkpoint of a snapshot: the author of the file may put an older checkpoint, or none, in the
 * place of the newest, and write what comes after it anew. It must be what the rules make of approved payloads.
 */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { encodeApprovals } from '../../../src/core/approval.ts';
import { type Hash, hashOf, parseHash } from '../../../src/core/hash.ts';
import { decodeLeaf, encodeLeaf, entryHash, type Leaf } from '../../../src/core/leaf.ts';
import type { DecodedPayload } from '../../../src/core/payload.ts';
import { LogTree } from '../../../src/core/tlog/log-tree.ts';
import { createNativeVerifier } from '../../../src/server/native-verifier.ts';
import { readFrom } from '../../../src/server/snapshot/directory-place.ts';
import { unpackVerified } from '../../../src/server/snapshot/unpack-verified.ts';
import { verifyTail } from '../../../src/server/snapshot/verify-tail.ts';
import { openSqliteReader, openSqliteStore } from '../../../src/store/sqlite.ts';
import {
  keepCheckpoint,
  openTestRegistry,
  put,
  type TestRegistry,
} from '../../support/registry.ts';
import {
  descriptorsPayload,
  erasePayload,
  governancePayload,
  makeGovernance,
  START,
} from '../../support/signers.ts';
import { packTest } from '../../support/snapshot.ts';
import { makeDirectory, makePath } from '../../support/store-sqlite.ts';
import { withoutTriggers } from '../../support/store-triggers.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const HOUR = 3_600_000;
const HEAD = 7;

let real: TestRegistry;
let database: string;
/** Of the checkpoint over versions 0 to 2. */
let older: string;
const hashes: Hash[] = [];

before(async () => {
  database = makePath();
  const store = await openSqliteStore({ ...IDLE, path: database });
  real = await openTestRegistry({ store });
  const { registryHash: registry, governance: current, signers } = real;
  await real.change(put('a', { v: 1 }));
  await real.change(put('a', { v: 2 }, { v: 1 }), put('b', { v: 1 }));
  await keepCheckpoint(real);
  older = (await store.checkpoint()) ?? '';
  await real.change(put('a', { v: 3 }, { v: 2 }));
  await real.change(put('a', { v: 4 }, { v: 3 }));
  const next = makeGovernance(signers, { threshold: 2, version: 2 });
  await real.commit(governancePayload(registry, { next, current }));
  for (let version = 0; version <= 5; version++)
    hashes.push((await store.entry(version))?.entryHash ?? assert.fail());
  await real.commit(erasePayload(registry, { erases: hashes[3] ?? registry, version: 3 }));
  await real.change(put('c', { v: 1 }));
  await keepCheckpoint(real);
  await real.registry[Symbol.asyncDispose]();
});

type Edit = (db: Database.Database) => void;

/** A copy under the older checkpoint. */
function edited(edit: Edit): string {
  const path = makePath();
  copyFileSync(database, path);
  const db = new Database(path);
  withoutTriggers(db, () => {
    assert.equal(db.prepare('UPDATE checkpoint SET note = ?').run(older).changes, 1);
    edit(db);
  });
  db.pragma('journal_mode = DELETE');
  db.pragma('journal_mode = WAL');
  db.close();
  return path;
}

/** A log that fits together again, from `version` on. */
function relog(db: Database.Database, version: number, change: Partial<Leaf>): void {
  const leaves = db.prepare<[], Buffer>('SELECT leaf FROM entries ORDER BY version').pluck().all();
  const update = db.prepare('UPDATE entries SET leaf = ?, entry_hash = ? WHERE version = ?');
  const addNode = db.prepare('INSERT INTO nodes VALUES (?, ?, ?)');
  db.exec('DELETE FROM nodes');
  let tree = LogTree.EMPTY;
  let previous: Hash | null = null;
  for (const [at, bytes] of leaves.entries()) {
    const was = decodeLeaf(bytes);
    const leaf = encodeLeaf({ ...was, prev_hash: previous, ...(at === version ? change : {}) });
    previous = entryHash(leaf);
    update.run(leaf, parseHash(previous), at);
    const grown = tree.with(leaf);
    for (const { level, index, hash } of grown.nodes) addNode.run(level, index, hash);
    tree = grown.tree;
  }
}

/** Another payload, with approvals that hold, as the head. `signed`: what the signers approved. */
function replaceHead(
  db: Database.Database,
  payload: DecodedPayload,
  change: Partial<Leaf>,
  signed = payload,
): void {
  const approvals = encodeApprovals(real.signers.map((signer) => signer.approve(signed)));
  db.prepare('UPDATE entries SET payload = ?, payload_b3 = ?, approvals = ? WHERE version = ?').run(
    payload.bytes,
    parseHash(payload.payloadB3),
    approvals,
    HEAD,
  );
  relog(db, HEAD, {
    payload_b3: payload.payloadB3,
    payload_bytes: payload.bytes.length,
    approvals_b3: hashOf(approvals),
    type: payload.payload.type,
    ...change,
  });
}

function leafOf(db: Database.Database, version: number): Leaf {
  const bytes = db.prepare('SELECT leaf FROM entries WHERE version = ?').pluck().get(version);
  return decodeLeaf(bytes as Buffer);
}

async function verify(edit: Edit, now = START + HOUR): Promise<void> {
  await using store = openSqliteReader({ path: edited(edit) });
  await verifyTail(store, { verifier: createNativeVerifier(), now });
}

function timeAfter(ms: number): string {
  return new Date(START + ms).toISOString();
}

const ANOTHER_ROOT: Hash = `b3:${'0'.repeat(64)}`;

test('entries after an older checkpoint, or after none, are taken as they were committed', async () => {
  await verify(() => undefined);
  await verify((db) => db.exec('DELETE FROM checkpoint'));
});

for (const [what, code, change, version] of [
  ['a set of another size', 'invalid_entry', { set_size: 9 }, HEAD],
  ['a set root in between', 'invalid_entry', { set_root: ANOTHER_ROOT }, 4],
  ['a governance that is not in force', 'invalid_entry', { governance_version: 1 }, HEAD],
  ['a time before the entry before', 'invalid_entry', { committed_at: timeAfter(-1) }, HEAD],
  ['a time after the payload expired', 'expired', { committed_at: timeAfter(200 * HOUR) }, HEAD],
  ['a time that is yet to come', 'storage_damaged', { committed_at: timeAfter(2 * HOUR) }, HEAD],
] as const)
  test(`a leaf with ${what} is refused`, async () => {
    await assert.rejects(
      verify((db) => relog(db, version, change)),
      { code, message: new RegExp(`^entry ${version}: expected `) },
    );
  });

test('an approved payload whose fence does not hold is refused', async () => {
  const broken = descriptorsPayload(real.registryHash, [put('a', { v: 9 }, { v: 2 })]);
  await assert.rejects(
    verify((db) => replaceHead(db, broken, {})),
    { code: 'fence_broken', message: /^entry 7: expected service\/a to be / },
  );
});

test('a payload is refused whose approvals are of another', async () => {
  const [ours, theirs] = [1, 2].map((v) =>
    descriptorsPayload(real.registryHash, [put('c', { v })], { note: 'another' }),
  );
  assert.ok(ours && theirs);
  // The same set after it: of what is signed nothing else is wrong.
  await verify((db) => replaceHead(db, ours, {}));
  await assert.rejects(
    verify((db) => replaceHead(db, ours, {}, theirs)),
    { code: 'invalid_signature', message: /^entry 7: / },
  );
});

test('an approved erasure of what cannot be erased is refused', async () => {
  const erases = hashes[5] ?? ANOTHER_ROOT;
  const wrong = erasePayload(real.registryHash, { erases, version: 5 });
  const edit: Edit = (db) => {
    const { set_root, set_size } = leafOf(db, HEAD - 1);
    replaceHead(db, wrong, { set_root, set_size });
  };
  await assert.rejects(verify(edit), { code: 'fence_broken', message: /of type descriptors/ });
});

test('an entry that no checkpoint covers has its payload, or was erased', async () => {
  await assert.rejects(
    verify((db) => db.exec(`UPDATE entries SET payload = x'' WHERE version = ${HEAD}`)),
    { code: 'storage_damaged', message: /^entry 7: expected its payload/ },
  );
});

test('who unpacks a snapshot verifies what comes after its checkpoint', async () => {
  const unpack = async (edit: Edit) => {
    const { path } = await packTest(edited(edit));
    return unpackVerified(readFrom(path, 0), {
      directory: makeDirectory(),
      registry: real.registryHash,
      now: () => START + HOUR,
      onProgress: () => undefined,
      signal: new AbortController().signal,
    });
  };
  assert.equal((await unpack(() => undefined)).header.version, HEAD);
  await assert.rejects(
    unpack((db) => relog(db, HEAD, { committed_at: timeAfter(2 * HOUR) })),
    { code: 'storage_damaged', message: /^in the snapshot: entry 7: .*this machine's clock/ },
  );
});
