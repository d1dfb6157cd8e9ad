/** An audit of a database in which an entry was erased, and of the same one after somebody brought it back. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { erasePayload } from '../../support/signers.ts';
import { makePath } from '../../support/store-sqlite.ts';
import { withoutTriggers } from '../../support/store-triggers.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

let erased: string;
/** What version 1 held. */
let payload: Uint8Array;
let value: Uint8Array;

before(async () => {
  erased = makePath();
  const store = await openSqliteStore({ ...IDLE, path: erased });
  const real = await openTestRegistry({ store });
  await real.change(put('a', { v: 1 }));
  await real.change(put('a', { v: 2 }, { v: 1 }));
  const [entry, row] = [
    await store.entry(1),
    await store.descriptor({ kind: 'service', id: 'a', version: 1 }),
  ];
  assert.ok(entry && row);
  payload = entry.payload;
  value = row.bytes;
  await real.commit(erasePayload(real.registryHash, { erases: entry.entryHash, version: 1 }));
  await real.registry[Symbol.asyncDispose]();
});

async function verify(change: (db: Database.Database) => void) {
  const path = makePath();
  copyFileSync(erased, path);
  const db = new Database(path);
  withoutTriggers(db, () => change(db));
  db.close();
  return runCli(['verify', '--data', path, '--json']);
}

function bringPayloadBack(db: Database.Database): void {
  db.prepare('UPDATE entries SET payload = ? WHERE version = 1').run(payload);
}

function bringValueBack(db: Database.Database): void {
  db.prepare('UPDATE spans SET bytes = ? WHERE set_version = 1').run(value);
}

test('an erased entry is named', async () => {
  const { code, json, stderr } = await verify(() => undefined);
  assert.equal(code, 0, stderr);
  assert.deepEqual(json()[0]?.erased, [{ version: 1, erased_by: 3 }]);
});

const LEFT = /nothing left of version 1, which was erased, got bytes of it/;

const UNDONE: readonly (readonly [RegExp, (db: Database.Database) => void])[] = [
  [
    /expected the 1 erasures that entries say, got 0/,
    (db) => {
      bringPayloadBack(db);
      bringValueBack(db);
      db.exec('DELETE FROM erasures');
    },
  ],
  [
    LEFT,
    (db) => {
      bringPayloadBack(db);
      bringValueBack(db);
    },
  ],
  [LEFT, bringValueBack],
  [/the rows of service\/a as the entries give them/, bringPayloadBack],
  [
    /erasures as the entries say, got one of version 2 by 3/,
    (db) => db.exec('INSERT INTO erasures VALUES (2, 3)'),
  ],
];

test('an erasure that was undone is found, all of it or a part', async () => {
  for (const [message, change] of UNDONE) {
    const { code, stderr } = await verify(change);
    assert.equal(code, 3, stderr);
    assert.match(stderr, message);
  }
});
