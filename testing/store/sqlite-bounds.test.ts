/** A database made to fill the memory of who reads it is refused before what is too large is read. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { readFacts } from '../../src/server/snapshot/facts.ts';
import type { SnapshotFacts } from '../../src/server/snapshot/header.ts';
import { openSqliteReader, openSqliteStore } from '../../src/store/sqlite.ts';
import { assertBounded } from '../../src/store/sqlite-bounds.ts';
import { QUORATE } from '../support/child.ts';
import { openTestRegistry, put } from '../support/registry.ts';
import { packTest } from '../support/snapshot.ts';
import { makePath } from '../support/store-sqlite.ts';
import { withoutTriggers } from '../support/store-triggers.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const MEBIBYTE = 1024 * 1024;

let sound: Buffer;
let facts: SnapshotFacts;

before(async () => {
  const path = makePath();
  const { change, registry } = await openTestRegistry({
    store: await openSqliteStore({ ...IDLE, path }),
  });
  await change(put('a', { v: 1 }), put('b', { v: 1 }));
  await change(put('a', { v: 2 }, { v: 1 }));
  await registry[Symbol.asyncDispose]();
  await using reader = openSqliteReader({ path });
  facts = await readFacts(reader);
  sound = readFileSync(path);
});

/** The path of a copy in which nothing held anybody back. */
function edited(sql: string): string {
  const path = makePath();
  writeFileSync(path, sound);
  const db = new Database(path);
  for (const pragma of ['journal_mode = OFF', 'synchronous = OFF', 'ignore_check_constraints = ON'])
    db.pragma(pragma);
  withoutTriggers(db, () => assert.ok(db.prepare(sql).run().changes > 0, sql));
  db.pragma('journal_mode = WAL');
  db.close();
  return path;
}

function rows(count: number): string {
  return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
}

const MADE_TO_HARM = 'no registry writes that, so it was made to harm who reads it';
const LARGE = `zeroblob(${MEBIBYTE + 1})`;
const LARGE_TEXT = `CAST(${LARGE} AS TEXT)`;

test('a single value that no registry writes is too large, wherever it is', () => {
  for (const [table, sql] of [
    ['entries', `UPDATE entries SET payload = ${LARGE} WHERE version = 2`],
    ['entries', `UPDATE entries SET leaf = ${LARGE} WHERE version = 2`],
    ['entries', `UPDATE entries SET approvals = ${LARGE} WHERE version = 2`],
    ['entries', `UPDATE entries SET entry_hash = ${LARGE} WHERE version = 2`],
    ['entries', `UPDATE entries SET expires_at = ${LARGE_TEXT} WHERE version = 2`],
    ['descriptors', `UPDATE descriptors SET id = CAST(zeroblob(257) AS TEXT) WHERE id = 'a'`],
    ['nodes', `UPDATE nodes SET hash = ${LARGE} WHERE level = 1`],
    ['proposals', `INSERT INTO proposals VALUES (1, zeroblob(32), '', '', ${LARGE})`],
    ['approvals', `INSERT INTO approvals VALUES (1, 1, 'a', '', ${LARGE_TEXT}, '')`],
    ['checkpoint', `INSERT OR REPLACE INTO checkpoint VALUES (1, ${LARGE_TEXT})`],
  ] as const)
    assert.throws(
      () => assertBounded(edited(sql)),
      { code: 'storage_damaged', message: new RegExp(`in the table ${table}, got more`) },
      sql,
    );
});

test('what a registry may write is not', () => {
  for (const sql of [
    `UPDATE entries SET payload = zeroblob(${MEBIBYTE})`,
    `UPDATE descriptors SET id = CAST(zeroblob(256) AS TEXT) WHERE id = 'a'`,
    `UPDATE spans SET bytes = zeroblob(${MEBIBYTE}) WHERE set_version = 2`,
    `${rows(9_998)} INSERT INTO spans SELECT 9 + i, 9 + i, 1, 2, zeroblob(32), x'' FROM n`,
    `${rows(200)} INSERT INTO proposals SELECT i, randomblob(32), '', '', zeroblob(${MEBIBYTE}) FROM n`,
  ]) {
    const path = edited(sql);
    assert.doesNotThrow(() => assertBounded(path), sql);
    rmSync(path);
  }
});

test('the name of a table that nobody made is no part of a question', () => {
  const name = `sqlite_schema AS a, (SELECT ${LARGE} AS x) AS b`;
  const path = makePath();
  writeFileSync(path, sound);
  const db = new Database(path);
  db.exec('CREATE TABLE other (x)');
  db.unsafeMode(true);
  db.pragma('writable_schema = ON');
  const sql = `CREATE TABLE "${name}" (x)`;
  const rename = 'UPDATE sqlite_schema SET name = ?, tbl_name = ?, sql = ? WHERE name = ?';
  assert.equal(db.prepare(rename).run(name, name, sql, 'other').changes, 1);
  db.close();
  assert.throws(() => assertBounded(path), {
    code: 'storage_damaged',
    message: /got also one called "sqlite_schema AS a/,
  });
});

test('many that are read at once are too large together', () => {
  for (const [what, sql] of [
    [
      'proposals in flight',
      `INSERT INTO proposals SELECT i, randomblob(32), '', '', zeroblob(${MEBIBYTE}) FROM n`,
    ],
    [
      'governances',
      `INSERT INTO entries SELECT 2 + i, zeroblob(32), randomblob(32), 'governance', '', x'00', x'00', zeroblob(${MEBIBYTE}) FROM n`,
    ],
  ] as const) {
    const path = edited(`${rows(256)} ${sql}`);
    const message = new RegExp(`^expected at most 268435456 bytes of ${what}, got \\d{9}:`);
    assert.throws(() => assertBounded(path), { code: 'storage_damaged', message });
    rmSync(path);
  }
});

test('values of descriptors are counted by the versions that put and ended them', () => {
  for (const [version, sql] of [
    [2, `UPDATE spans SET bytes = zeroblob(${MEBIBYTE + 1}) WHERE set_version = 2`],
    [2, `UPDATE spans SET value_hash = zeroblob(${MEBIBYTE + 1}) WHERE set_version = 2`],
    [1, `${rows(9_999)} INSERT INTO spans SELECT 9 + i, 9 + i, 1, 2, zeroblob(32), x'' FROM n`],
    [2, `${rows(10_000)} INSERT INTO spans SELECT 9 + i, 1, 20 + i, 2, zeroblob(32), x'' FROM n`],
  ] as const) {
    const message = `expected at most 10000 values of ${MEBIBYTE} bytes to begin or end at a version, got more at ${version}`;
    assert.throws(() => assertBounded(edited(sql)), {
      code: 'storage_damaged',
      message: `${message}: ${MADE_TO_HARM}`,
    });
  }
});

const SMALL_PAGE = 512;
const INTERIOR_TABLE = 5;

/** The numbers of the pages below an interior page of a table, and where they stand. */
function childrenOf(file: Buffer, page: number): readonly { at: number; child: number }[] {
  const begin = (page - 1) * SMALL_PAGE;
  assert.equal(file[begin], INTERIOR_TABLE);
  const cells = file.readUInt16BE(begin + 3);
  const offsets = Array.from({ length: cells }, (_, i) => file.readUInt16BE(begin + 12 + 2 * i));
  return [8, ...offsets].map((offset) => ({
    at: begin + offset,
    child: file.readUInt32BE(begin + offset),
  }));
}

test('a tree whose pages stand in several places is refused before it is read for ever', () => {
  const path = edited(
    `${rows(20_000)} INSERT INTO descriptors SELECT 9 + i, 'service', i || '-more' FROM n`,
  );
  const db = new Database(path);
  db.pragma('journal_mode = DELETE');
  db.pragma(`page_size = ${SMALL_PAGE}`);
  db.exec('VACUUM');
  db.pragma('journal_mode = WAL');
  const root = db
    .prepare<[], number>("SELECT rootpage FROM sqlite_schema WHERE name = 'descriptors'")
    .pluck()
    .get();
  db.close();
  assert.doesNotThrow(() => assertBounded(path));
  const file = readFileSync(path);
  const [one, other] = childrenOf(file, root ?? 0).map(({ child }) => child);
  assert.ok(root && one && other);
  for (const { at } of childrenOf(file, root)) file.writeUInt32BE(one, at);
  for (const { at } of childrenOf(file, one)) file.writeUInt32BE(other, at);
  writeFileSync(path, file);
  assert.throws(() => assertBounded(path), {
    code: 'storage_damaged',
    message: /^expected each of \d+ pages in one place of one tree, got one in several:/,
  });
});

/** The exit status and standard error of `quorate`, and the most memory that it had at once. */
async function quorate(...parameters: readonly string[]) {
  const child = spawn(process.execPath, [QUORATE, ...parameters], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  let mebibytes = 0;
  const timer = setInterval(() => {
    const most = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
    if (most !== null) mebibytes = Number(most[1]) / 1024;
  }, 10);
  const status = await new Promise((resolve) => child.once('exit', resolve));
  clearInterval(timer);
  return { status, said, mebibytes };
}

test('who verifies such a snapshot, or database, holds no more than of any other', async () => {
  const path = edited(`UPDATE entries SET payload = zeroblob(${256 * MEBIBYTE}) WHERE version = 1`);
  const hostile = await packTest(path, undefined, facts);
  assert.ok(hostile.header.bytes > 256 * MEBIBYTE && hostile.header.packedBytes < MEBIBYTE);
  const honest = makePath();
  writeFileSync(honest, sound);
  const verified = await quorate('snapshot', 'verify', (await packTest(honest)).path, '--quick');
  assert.equal(verified.status, 0, verified.said);
  for (const refused of [
    await quorate('snapshot', 'verify', hostile.path, '--quick'),
    await quorate('verify', '--data', path),
  ]) {
    assert.equal(refused.status, 3);
    assert.match(refused.said, /expected nothing of more than 1048576 bytes in the table entries/);
    const { mebibytes } = refused;
    assert.ok(mebibytes < verified.mebibytes + 100, `${mebibytes}, not ${verified.mebibytes} MiB`);
  }
  rmSync(path);
});
