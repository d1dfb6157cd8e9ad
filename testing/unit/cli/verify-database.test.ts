import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import type { DecodedPayload } from '../../../src/core/payload.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { openTestRegistry, put, remove, type TestRegistry } from '../../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  governancePayload,
  makeGovernance,
} from '../../support/signers.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

let whole: string;
let registry: TestRegistry;

/** Versions 1 to 4: a put, a change beside a put, a removal, a governance. */
before(async () => {
  whole = join(makeDirectory(), 'registry.db');
  registry = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path: whole }) });
  await registry.change(put('a', { n: 1 }));
  await registry.change(put('a', { n: 2 }, { n: 1 }), put('b', { n: 1 }));
  await registry.change(remove('b', { n: 1 }));
  const { governance: current, signers, registryHash } = registry;
  const next = makeGovernance(signers.slice(0, 2), { threshold: 1, version: 2 });
  await registry.commit(governancePayload(registryHash, { next, current }));
  await registry.registry[Symbol.asyncDispose]();
});

/** A copy, changed by other hands: whoever can write the file can take the triggers away for a moment. */
function damagedBy(...statements: readonly string[]): string {
  const path = join(makeDirectory(), 'registry.db');
  copyFileSync(whole, path);
  const db = new Database(path);
  const triggers = db.prepare<[], { name: string; sql: string }>(
    "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'",
  );
  const saved = triggers.all();
  for (const { name } of saved) db.exec(`DROP TRIGGER ${name}`);
  db.pragma('foreign_keys = OFF');
  for (const statement of statements)
    assert.ok(db.prepare(statement).run().changes > 0, `${statement} changes nothing`);
  for (const { sql } of saved) db.exec(sql);
  db.close();
  return path;
}

const verify = (path: string, ...options: readonly string[]) =>
  runCli(['verify', '--data', path, ...options]);

test('a whole database is verified, entries and rows', async () => {
  const { code, json } = await verify(whole, '--json');
  assert.equal(code, 0);
  const head = registry.registry.head()?.object;
  assert.deepEqual(json(), [
    {
      origin: head?.origin,
      registry: registry.registryHash,
      version: 4,
      entry_hash: head?.entry_hash,
      committed_at: head?.committed_at,
      set_root: head?.set_root,
      entries: 5,
      pruned: 0,
      erased: [],
      approvals: 11,
      descriptors: 1,
      governances: 2,
      threshold: 1,
      signers: 2,
      checkpoint: {
        size: 5,
        root: registry.registry.checkpoint()?.note.split('\n')[2],
        log_keys: [registry.governance.log_keys[0]?.split('+')[1]],
        cosigned: null,
        fresh_at: null,
      },
      rows: 3,
      nodes: 8,
      tiles: null,
    },
  ]);
  assert.match((await verify(whole)).stdout, /^rows +3, as the entries give them$/m);
});

for (const [what, statement] of [
  [
    'a byte of a leaf',
    `UPDATE entries SET leaf = CAST(replace(leaf, '"set_size":1', '"set_size":2') AS BLOB) WHERE version = 1`,
  ],
  [
    'a byte of a payload',
    `UPDATE entries SET payload = CAST(replace(payload, '"n":2', '"n":3') AS BLOB) WHERE version = 2`,
  ],
  [
    'a byte of an approval',
    `UPDATE entries SET approvals = CAST(replace(approvals, 'signer-000', 'signer-002') AS BLOB) WHERE version = 1`,
  ],
  [
    'a value',
    `UPDATE spans SET bytes = CAST(replace(bytes, '2', '3') AS BLOB) WHERE set_version = 2 AND end_version IS NULL`,
  ],
  [
    'a value of the past',
    `UPDATE spans SET bytes = CAST(replace(bytes, '1', '3') AS BLOB) WHERE set_version = 1`,
  ],
  ['a value hash', 'UPDATE spans SET value_hash = zeroblob(32) WHERE set_version = 1'],
  ['the version that put a value', 'UPDATE spans SET set_version = 0 WHERE set_version = 1'],
  ['the version that ended a value', 'UPDATE spans SET end_version = 4 WHERE end_version = 3'],
  ['the end of a value, taken away', 'UPDATE spans SET end_version = NULL WHERE end_version = 3'],
  ['a value, taken away', 'DELETE FROM spans WHERE set_version = 1'],
  ['an id', `UPDATE descriptors SET id = 'c' WHERE id = 'a'`],
  [
    'a value that no entry put',
    `INSERT INTO spans SELECT 99, descriptor, 4, NULL, value_hash, bytes FROM spans WHERE end_version = 3`,
  ],
  ['an entry hash', 'UPDATE entries SET entry_hash = zeroblob(32) WHERE version = 1'],
  ['the index of payloads', 'UPDATE entries SET payload_b3 = zeroblob(32) WHERE version = 1'],
  ['the index of governances', `UPDATE entries SET type = 'descriptors' WHERE version = 4`],
  ['a leaf of the tree', 'UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND place = 3'],
  ['a node of the tree', 'UPDATE nodes SET hash = zeroblob(32) WHERE level = 2 AND place = 0'],
  ['a node, taken away', 'DELETE FROM nodes WHERE level = 1 AND place = 1'],
  [
    'a node past the log',
    'INSERT INTO nodes SELECT level, 5, hash FROM nodes WHERE level = 0 AND place = 4',
  ],
  [
    'the root in the checkpoint',
    `UPDATE checkpoint SET note = replace(note, substr(note, 30, 4), 'AAAA')`,
  ],
  [
    'the signature of the checkpoint',
    `UPDATE checkpoint SET note = substr(note, 1, length(note) - 9) || 'AAAA' || substr(note, -5)`,
  ],
  [
    'the size in the checkpoint',
    `UPDATE checkpoint SET note = replace(note, char(10) || '5' || char(10), char(10) || '9' || char(10))`,
  ],
  ['an entry, taken out', 'DELETE FROM entries WHERE version = 2'],
] as const)
  test(`verify finds ${what} changed, with exit code 3`, async () => {
    const { code, stdout, stderr } = await verify(damagedBy(statement));
    assert.deepEqual([code, stdout], [3, ''], stderr);
    assert.match(stderr, /^quorate: /);
  });

test('verify finds a changed byte in the file itself, or that the file is no database', async () => {
  const bytes = readFileSync(whole);
  const at = bytes.indexOf('{"id":"a","kind":"service","spec":{"n":2}}');
  assert.ok(at > 0);
  bytes[at + 38] = 0x39;
  const path = join(makeDirectory(), 'registry.db');
  writeFileSync(path, bytes);
  assert.equal((await verify(path)).code, 3);
  writeFileSync(path, 'not a database, but long enough to have the header of one'.repeat(100));
  assert.equal((await verify(path)).code, 3);
});

test('verify of another registry than the pinned one fails', async () => {
  const { code, stderr } = await verify(whole, '--registry', `b3:${'0'.repeat(64)}`);
  assert.equal(code, 3);
  assert.match(stderr, /expected registry b3:0000/);
  assert.equal((await verify(whole, '--registry', registry.registryHash)).code, 0);
});

test('verify names what is not there, or has not begun', async () => {
  const directory = makeDirectory();
  const missing = await verify(directory);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /registry\.db/);
  const path = join(directory, 'empty.db');
  await (await openSqliteStore({ ...IDLE, path }))[Symbol.asyncDispose]();
  const empty = await verify(path);
  assert.equal(empty.code, 1);
  assert.match(empty.stderr, /got a database without entries/);
});

test('a database that is being written to is verified as it stood when it was opened', async () => {
  const path = join(makeDirectory(), 'registry.db');
  const growing = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
  await growing.change(put('a', { n: 1 }));
  let growth: Promise<unknown> | undefined;
  const onOutput = (text: string) => {
    // A slow machine shows the bar more than once.
    if (text.includes('entries verified')) growth ??= growing.change(put('a', { n: 2 }, { n: 1 }));
  };
  const argv = ['verify', '--data', path, '--json'];
  const { code, stdout, stderr } = await runCli(argv, { isTerminal: true, onOutput });
  assert.ok(growth, 'it grew while it was verified');
  await growth;
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).version, 1);
  await growing.registry[Symbol.asyncDispose]();
});

test('verify finds a signature that does not hold in a database that is right in every other way', async () => {
  const path = join(makeDirectory(), 'registry.db');
  const store = await openSqliteStore({ ...IDLE, path });
  const verifier = { admit: () => true, verify: async () => true };
  const { commit, registryHash, signers, governance, registry } = await openTestRegistry({
    store,
    verifier,
  });
  const [first, second] = signers;
  if (first === undefined || second === undefined) throw new Error('expected two signers');
  const { sig } = first.approve(genesisPayload(governance));
  const forger = {
    ...second,
    approve: (proposal: DecodedPayload) => ({ ...second.approve(proposal), sig }),
  };
  await commit(descriptorsPayload(registryHash, [put('a', {})]), [first, forger]);
  await registry[Symbol.asyncDispose]();
  const { code, stderr } = await verify(path);
  assert.equal(code, 3);
  assert.match(stderr, /entry 1: expected a signature by org:acme#signer-001 over this payload/);
});
