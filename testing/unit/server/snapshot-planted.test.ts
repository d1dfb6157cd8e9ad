/**
 * What the author of a snapshot plants in its database: rows that no hash in the log covers, in a file that passes
 * SQLite's own check. Each is refused before anybody opens it as a registry.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { readFrom } from '../../../src/server/snapshot/directory-place.ts';
import type { SnapshotFacts } from '../../../src/server/snapshot/header.ts';
import { unpackVerified } from '../../../src/server/snapshot/unpack-verified.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { keepCheckpoint, openTestRegistry, put } from '../../support/registry.ts';
import { descriptorsPayload, erasePayload } from '../../support/signers.ts';
import { factsOf, packTest } from '../../support/snapshot.ts';
import { makeDirectory, makePath } from '../../support/store-sqlite.ts';
import { withoutTriggers } from '../../support/store-triggers.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

interface Sound {
  readonly bytes: Buffer;
  readonly facts: SnapshotFacts;
}

let sound: Sound;
/** Version 1 of it is erased by version 3. */
let erased: Sound;

before(async () => {
  const path = makePath();
  const real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
  const [alice] = real.signers;
  assert.ok(alice);
  await real.change(put('a', { v: 1 }));
  await real.change(put('a', { v: 2 }, { v: 1 }), put('b', { v: 1 }));
  const whole = await real.registry.reader.entry(1);
  assert.ok(whole);
  const waiting = descriptorsPayload(real.registryHash, [put('waiting', {})]);
  await real.registry.proposals.propose(waiting.bytes);
  await real.registry.proposals.approve(waiting.payloadB3, alice.approve(waiting));
  await real.registry[Symbol.asyncDispose]();
  sound = { bytes: readFileSync(path), facts: await factsOf(path) };
  const again = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
  await again.commit(erasePayload(real.registryHash, { erases: whole.entryHash, version: 1 }));
  await keepCheckpoint(again);
  await again.registry[Symbol.asyncDispose]();
  erased = { bytes: readFileSync(path), facts: await factsOf(path) };
});

/** A snapshot of a database in which nothing held anybody back, under a header that is right. */
async function planted({ bytes, facts }: Sound, ...statements: readonly string[]): Promise<string> {
  const path = makePath();
  writeFileSync(path, bytes);
  const db = new Database(path);
  withoutTriggers(db, () => {
    for (const sql of statements) assert.ok(db.prepare(sql).run().changes > 0, sql);
  });
  db.pragma('journal_mode = DELETE');
  db.pragma('journal_mode = WAL');
  db.close();
  return (await packTest(path, undefined, facts)).path;
}

function unpack(snapshot: string) {
  return unpackVerified(readFrom(snapshot, 0), {
    directory: makeDirectory(),
    registry: undefined,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
}

async function assertRefused(
  of: Sound,
  message: RegExp,
  ...statements: readonly string[]
): Promise<void> {
  await assert.rejects(
    unpack(await planted(of, ...statements)),
    { code: 'storage_damaged', message },
    statements.join('; '),
  );
}

test('a snapshot in which nothing was planted is taken', async () => {
  assert.deepEqual((await unpack(await planted(sound))).header.version, 2);
  assert.deepEqual((await unpack(await planted(erased))).header.version, 3);
});

test('an approval that is none does not stand where the signer’s own belongs', async () => {
  const plant = (proposal: string, signer: string, sig: string) =>
    `INSERT INTO approvals (proposal, signer_id, algo, sig, signed_at)
     SELECT ${proposal}, '${signer}', 'ed25519', ${sig}, signed_at FROM approvals`;
  const message = /approvals of proposal b3:[0-9a-f]{64} to verify, got one as by /;
  for (const statement of [
    plant('proposal', 'org:acme#signer-001', 'sig'),
    plant('proposal', 'org:acme#signer-001', "'x'"),
    plant('proposal', 'org:acme#nobody', 'sig'),
    "UPDATE approvals SET signed_at = '2026-11-21T09:00:00.001Z'",
  ])
    await assertRefused(sound, message, statement);
  await assertRefused(
    sound,
    /each approval in flight to be of a proposal, got one of none/,
    plant('proposal + 1', 'org:acme#signer-001', 'sig'),
  );
});

test('a row has no number from which nobody can count on', async () => {
  for (const [table, statement] of [
    ['proposals', `UPDATE proposals SET arrival = ${2n ** 53n + 1n}`],
    ['approvals', `UPDATE approvals SET arrival = ${2n ** 63n - 1n}`],
    ['descriptors', `INSERT INTO descriptors VALUES (${2n ** 63n - 1n}, 'service', 'more')`],
    ['descriptors', `INSERT INTO descriptors VALUES (-5, 'service', 'more')`],
    ['spans', `UPDATE spans SET span = ${2n ** 52n + 1n} WHERE span = 1`],
    [
      'entries',
      `INSERT INTO entries SELECT -1, entry_hash, zeroblob(32), type, expires_at, leaf, approvals, payload
       FROM entries WHERE version = 2`,
    ],
  ] as const)
    await assertRefused(sound, new RegExp(`rows of the table ${table} numbered from`), statement);
});

test('what was erased stays erased', async () => {
  const older = makePath();
  writeFileSync(older, sound.bytes);
  const db = new Database(older, { readonly: true });
  const hex = (sql: string) => db.prepare<[], string>(sql).pluck().get();
  const payload = hex('SELECT hex(payload) FROM entries WHERE version = 1');
  const value = hex('SELECT hex(bytes) FROM spans WHERE set_version = 1');
  db.close();
  assert.ok(payload && value);
  const row = 'DELETE FROM erasures';
  const [payloadBack, valueBack] = [
    `UPDATE entries SET payload = x'${payload}' WHERE version = 1`,
    `UPDATE spans SET bytes = x'${value}' WHERE set_version = 1`,
  ];
  await assertRefused(
    erased,
    /expected the 1 erasures that entries say, got 0/,
    ...[row, payloadBack, valueBack],
  );
  await assertRefused(erased, /version 1 without its payload, as an entry demands/, payloadBack);
  await assertRefused(erased, /service\/a that is gone, as an entry demands/, valueBack);
});
