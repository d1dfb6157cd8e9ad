/**
 * What somebody with SQLite at hand could make of the database in a snapshot: each change keeps SQLite content,
 * and is found by the walk over the log or by the one over the rows beside it. Of a log that is longer than
 * what either of them takes at once.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { RegistryError } from '../../src/core/error.ts';
import { blake3Bytes } from '../../src/core/hash.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { verifyCopy, verifyLog } from '../../src/server/snapshot/verify-copy.ts';
import { verifyRows } from '../../src/server/snapshot/verify-rows.ts';
import { verifyInThreads } from '../../src/server/snapshot/verify-threads.ts';
import { assertSound } from '../../src/store/sqlite-integrity.ts';
import { PAGE_NODES } from '../../src/store/sqlite-scan.ts';
import { catalogueChanges } from '../performance/catalogue-set.ts';
import { makeLongLog } from '../performance/long-log.ts';
import { makeDirectory } from '../support/store-sqlite.ts';
import { withoutTriggers } from '../support/store-triggers.ts';

/** Entries after genesis: a level of the tree has more nodes than are read at once, and versions fill many pages. */
const ENTRIES = PAGE_NODES + 76;
const DESCRIPTORS = 200;
/** In the middle of everything. */
const OLDEST = 600;

interface Span {
  readonly span: number;
  readonly descriptor: number;
  readonly set_version: number;
  readonly end_version: number | null;
  readonly bytes: Buffer;
}

let whole: Buffer;
let pruned: Buffer;

before(async () => {
  const path = join(makeDirectory(), 'registry.db');
  const changes = catalogueChanges({ descriptors: DESCRIPTORS, entries: ENTRIES, seed: 3 });
  await makeLongLog({ path, count: ENTRIES, changes, signerCount: 1, threshold: 1 });
  whole = readFileSync(path);
  pruned = edited(whole, (db) => {
    db.exec(`INSERT INTO retention (only, oldest, reached) VALUES (1, ${OLDEST}, ${OLDEST})`);
    db.prepare(
      "UPDATE entries SET payload = x'', approvals = x'' WHERE version < ? AND type = 'descriptors'",
    ).run(OLDEST);
    db.prepare('DELETE FROM spans WHERE end_version <= ?').run(OLDEST);
  });
});

type Edit = (db: Database.Database) => void;

/** The bytes of a database in which no trigger held anybody back. */
function edited(from: Buffer, edit: Edit): Buffer {
  const path = join(makeDirectory(), 'edited.db');
  writeFileSync(path, from);
  const db = new Database(path);
  db.pragma('journal_mode = DELETE');
  withoutTriggers(db, () => db.transaction(edit)(db));
  db.pragma('journal_mode = WAL');
  assertSound(db);
  db.close();
  return readFileSync(path);
}

function written(bytes: Buffer): string {
  const path = join(makeDirectory(), 'copy.db');
  writeFileSync(path, bytes);
  return path;
}

const OPTIONS = { verifier: createNativeVerifier(), onProgress() {} };

/** Some that ended. */
const ENDED = `end_version > ${OLDEST + 2} AND end_version > set_version + 1`;

function spanWhere(db: Database.Database, condition: string): Span {
  const found = db
    .prepare<[], Span>(`SELECT * FROM spans WHERE ${condition} ORDER BY span LIMIT 1 OFFSET 7`)
    .get();
  assert.ok(found, condition);
  return found;
}

/** As it would be if its entry had put it. */
function setValue(db: Database.Database, { span }: Pick<Span, 'span'>, bytes: Buffer): void {
  const hash = blake3Bytes(bytes);
  db.prepare('UPDATE spans SET bytes = ?, value_hash = ? WHERE span = ?').run(bytes, hash, span);
}

function exec(sql: string): Edit {
  return (db) => assert.equal(db.prepare(sql).run().changes > 0, true, sql);
}

function flipped(bytes: Buffer, at = bytes.length >> 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

const ROWS: Readonly<Record<string, Edit>> = {
  'another value that is current': (db) => {
    const span = spanWhere(db, 'end_version IS NULL');
    setValue(db, span, flipped(span.bytes));
  },
  'another value that ended': (db) => {
    const span = spanWhere(db, ENDED);
    setValue(db, span, flipped(span.bytes));
  },
  'the values of two descriptors, the one for the other': (db) => {
    const [one, other] = [spanWhere(db, ENDED), spanWhere(db, 'end_version IS NULL')];
    setValue(db, one, other.bytes);
    setValue(db, other, one.bytes);
  },
  'bytes that went from one value to the one before it': (db) => {
    const [one, other] = db
      .prepare<[], Span>(
        `SELECT s.* FROM spans s JOIN descriptors d USING (descriptor) WHERE set_version = (
           SELECT set_version FROM spans WHERE set_version > ${OLDEST} GROUP BY set_version HAVING count(*) > 1 LIMIT 1)
         ORDER BY kind, id LIMIT 2`,
      )
      .all();
    assert.ok(one && other);
    setValue(db, one, Buffer.concat([one.bytes, other.bytes.subarray(0, 5)]));
    setValue(db, other, other.bytes.subarray(5));
  },
  'a hash of no value': (db) => {
    const { span } = spanWhere(db, ENDED);
    db.prepare('UPDATE spans SET value_hash = zeroblob(32) WHERE span = ?').run(span);
  },
  'a value without bytes': (db) => {
    const { span } = spanWhere(db, ENDED);
    db.prepare("UPDATE spans SET bytes = x'' WHERE span = ?").run(span);
  },
  'a value that is missing': (db) => {
    db.prepare('DELETE FROM spans WHERE span = ?').run(spanWhere(db, ENDED).span);
  },
  'a value that went on': (db) => {
    const { span } = spanWhere(db, ENDED);
    db.prepare('UPDATE spans SET end_version = end_version + 1 WHERE span = ?').run(span);
  },
  'a value that ended before': (db) => {
    const { span } = spanWhere(db, `${ENDED} AND set_version > ${OLDEST}`);
    db.prepare('UPDATE spans SET end_version = end_version - 1 WHERE span = ?').run(span);
  },
  'a value that ended and was not replaced': (db) => {
    const { span } = spanWhere(db, 'end_version IS NULL');
    db.prepare('UPDATE spans SET end_version = ? WHERE span = ?').run(ENTRIES, span);
  },
  'a value that was put by the entry before': (db) => {
    const { span } = spanWhere(db, `set_version > ${OLDEST + 1}`);
    db.prepare('UPDATE spans SET set_version = set_version - 1 WHERE span = ?').run(span);
  },
  'a value of a descriptor that nobody put': (db) => {
    const { span } = spanWhere(db, 'end_version IS NULL');
    const { lastInsertRowid } = db
      .prepare("INSERT INTO descriptors (kind, id) VALUES ('thing', 'nobody-put')")
      .run();
    db.prepare(
      `INSERT INTO spans (descriptor, set_version, end_version, value_hash, bytes)
       SELECT ?, ${OLDEST + 10}, ${OLDEST + 20}, value_hash, bytes FROM spans WHERE span = ?`,
    ).run(lastInsertRowid, span);
  },
  'a value at a version that no entry has': (db) => {
    const { span } = spanWhere(db, ENDED);
    db.prepare(
      `INSERT INTO spans (descriptor, set_version, end_version, value_hash, bytes)
       SELECT descriptor, ${ENTRIES + 100}, ${ENTRIES + 200}, value_hash, bytes FROM spans WHERE span = ?`,
    ).run(span);
  },
  'an end at a version that no entry has': (db) => {
    const { span } = spanWhere(db, 'end_version IS NULL');
    db.prepare(`UPDATE spans SET end_version = ${ENTRIES + 100} WHERE span = ?`).run(span);
  },
  'a descriptor whose number is not told from the one before it': (db) => {
    const { descriptor } = spanWhere(db, 'end_version IS NULL');
    for (const table of ['spans', 'descriptors'])
      db.prepare(`UPDATE ${table} SET descriptor = ${2n ** 53n + 1n} WHERE descriptor = ?`).run(
        descriptor,
      );
  },
  'a descriptor under another name': (db) => {
    const { descriptor } = spanWhere(db, ENDED);
    db.prepare("UPDATE descriptors SET id = id || 'x' WHERE descriptor = ?").run(descriptor);
  },
  'a kind that ends at another slash': exec(
    `UPDATE descriptors SET kind = kind || '/' || substr(id, 1, instr(id, '/') - 1),
       id = substr(id, instr(id, '/') + 1)
     WHERE descriptor = (SELECT min(descriptor) FROM descriptors WHERE instr(id, '/') > 1)`,
  ),
  'a kind that reaches into the id': (db) => {
    const { descriptor } = spanWhere(db, ENDED);
    db.prepare(
      "UPDATE descriptors SET kind = kind || '/' || substr(id, 1, 1), id = substr(id, 2) WHERE descriptor = ?",
    ).run(descriptor);
  },
};

/** Their hashes are for the other walk to find. */
const PAYLOADS: Readonly<Record<string, Edit>> = {
  'a payload whose changes break off': exec(
    `UPDATE entries SET payload = substr(payload, 1, 40) WHERE version = ${OLDEST + 5}`,
  ),
  'a payload that is no json': exec(
    `UPDATE entries SET payload = CAST('x' AS BLOB) WHERE version = ${OLDEST + 5}`,
  ),
  'a head with another set root': (db) => {
    const leaf = db
      .prepare<[number], Buffer>('SELECT leaf FROM entries WHERE version = ?')
      .pluck()
      .get(ENTRIES);
    assert.ok(leaf);
    const digit = leaf.indexOf('"set_root":"b3:') + 20;
    const other = Buffer.from(leaf);
    other[digit] = other[digit] === 0x30 ? 0x31 : 0x30;
    db.prepare('UPDATE entries SET leaf = ? WHERE version = ?').run(other, ENTRIES);
  },
  'a head with another set size': exec(
    `UPDATE entries SET leaf = CAST(replace(leaf, '"set_size":', '"set_size":1') AS BLOB) WHERE version = ${ENTRIES}`,
  ),
};

const LOG: Readonly<Record<string, Edit>> = {
  'two entries, the one in the place of the other': (db) => {
    for (const [from, to] of [
      [OLDEST + 1, -1],
      [OLDEST + 2, OLDEST + 1],
      [-1, OLDEST + 2],
    ])
      db.prepare('UPDATE entries SET version = ? WHERE version = ?').run(to, from);
  },
  'an entry that is missing': exec(`DELETE FROM entries WHERE version = ${OLDEST + 5}`),
  'an entry that is missing at the end': exec(`DELETE FROM entries WHERE version = ${ENTRIES}`),
  'another payload': exec(
    `UPDATE entries SET payload = CAST(replace(payload, 'descriptors', 'descriptorz') AS BLOB) WHERE version = ${OLDEST + 5}`,
  ),
  'other approvals': exec(
    `UPDATE entries SET approvals = (SELECT approvals FROM entries WHERE version = ${OLDEST + 6}) WHERE version = ${OLDEST + 5}`,
  ),
  'another hash of a payload': exec(
    `UPDATE entries SET payload_b3 = zeroblob(32) WHERE version = ${OLDEST + 5}`,
  ),
  'another hash of an entry': exec(
    `UPDATE entries SET entry_hash = zeroblob(32) WHERE version = ${OLDEST + 5}`,
  ),
  'another type': exec(`UPDATE entries SET type = 'governance' WHERE version = ${OLDEST + 5}`),
  'an entry that is erased and not gone': exec(
    `INSERT INTO erasures (version, erased_by) VALUES (${OLDEST + 5}, ${OLDEST + 6})`,
  ),
  'another node in the first thousand': exec(
    'UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND place = 700',
  ),
  'another node after them': exec(
    `UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND place = ${PAGE_NODES + 10}`,
  ),
  'another node above': exec('UPDATE nodes SET hash = zeroblob(32) WHERE level = 5 AND place = 3'),
  'a node that is missing': exec(
    `DELETE FROM nodes WHERE level = 1 AND place = ${(ENTRIES >> 1) - 1}`,
  ),
  'a node too many': exec(`INSERT INTO nodes VALUES (0, ${ENTRIES + 1}, zeroblob(32))`),
  'another checkpoint': exec(
    `UPDATE checkpoint SET note = replace(note, '${ENTRIES + 1}', '${ENTRIES}')`,
  ),
};

test('the database is accepted while nobody changes it, pruned or not', async () => {
  for (const bytes of [whole, pruned]) {
    const { version } = await verifyCopy(written(edited(bytes, () => undefined)), OPTIONS);
    assert.equal(version, ENTRIES);
  }
});

for (const [what, edit] of Object.entries({ ...ROWS, ...PAYLOADS }))
  test(`the walk over the rows finds ${what}`, async () => {
    await assert.rejects(verifyRows(written(edited(whole, edit)), OPTIONS), {
      code: 'storage_damaged',
    });
  });

for (const [what, edit] of Object.entries(ROWS))
  test(`in a pruned database the walk over the rows finds ${what}`, async () => {
    await assert.rejects(verifyRows(written(edited(pruned, edit)), OPTIONS), {
      code: 'storage_damaged',
    });
  });

test('a value whose payload is gone is found by the set root of the oldest version', async () => {
  const bytes = edited(pruned, (db) => {
    const span = spanWhere(db, `set_version < ${OLDEST} AND end_version > ${OLDEST}`);
    setValue(db, span, flipped(span.bytes));
  });
  await assert.rejects(verifyRows(written(bytes), OPTIONS), (error: unknown) => {
    assert.ok(error instanceof RegistryError);
    assert.match(error.message, new RegExp(`descriptors at version ${OLDEST} to give`));
    return true;
  });
});

test('a value that is said to have ended where all was pruned is found, for no set root covers it', async () => {
  const plant: Edit = (db) => {
    const { span } = spanWhere(db, 'end_version IS NULL AND set_version > 1');
    db.prepare(
      `INSERT INTO spans (descriptor, set_version, end_version, value_hash, bytes)
       SELECT descriptor, 1, 2, value_hash, bytes FROM spans WHERE span = ?`,
    ).run(span);
  };
  await assert.rejects(verifyRows(written(edited(pruned, plant)), OPTIONS), {
    code: 'storage_damaged',
    message: /no value that had ended where all was pruned, got 1$/,
  });
});

for (const [what, edit] of Object.entries(LOG))
  test(`the walk over the log finds ${what}`, async () => {
    await assert.rejects(verifyLog(written(edited(whole, edit)), OPTIONS), {
      code: 'storage_damaged',
    });
  });

/** A log that fits together, whose newest entry names another set than its rows make. */
function withOtherRoot(db: Database.Database): void {
  const at = [ENTRIES];
  const text = String(db.prepare('SELECT leaf FROM entries WHERE version = ?').pluck().get(at));
  const leaf = Buffer.from(
    text.replace(/"set_root":"b3:[0-9a-f]{64}"/, `"set_root":"b3:${'0'.repeat(64)}"`),
  );
  assert.ok(!leaf.equals(Buffer.from(text)));
  db.prepare('UPDATE entries SET leaf = ?, entry_hash = ? WHERE version = ?').run(
    leaf,
    blake3Bytes(leaf),
    ENTRIES,
  );
  // Alone at the right edge: no other node holds it.
  const node = createHash('sha256').update(Buffer.of(0)).update(leaf).digest();
  const changed = db
    .prepare('UPDATE nodes SET hash = ? WHERE level = 0 AND place = ?')
    .run(node, ENTRIES);
  assert.equal(changed.changes, 1);
  db.exec('DELETE FROM checkpoint');
}

function inThreads(bytes: Buffer) {
  const { signal } = new AbortController();
  return verifyInThreads(written(bytes), { foreign: undefined, onProgress() {}, signal });
}

test('the two threads together hold the rows against the sets of the head and of the oldest version', async () => {
  for (const bytes of [whole, pruned]) assert.equal((await inThreads(bytes)).version, ENTRIES);
  await assert.rejects(inThreads(edited(whole, withOtherRoot)), {
    code: 'storage_damaged',
    message: new RegExp(`descriptors at version ${ENTRIES} to give b3:0{64}`),
  });
  const atOldest = edited(pruned, (db) => {
    const span = spanWhere(db, `set_version < ${OLDEST} AND end_version > ${OLDEST}`);
    setValue(db, span, flipped(span.bytes));
  });
  await assert.rejects(inThreads(atOldest), {
    code: 'storage_damaged',
    message: new RegExp(`descriptors at version ${OLDEST} to give`),
  });
});
