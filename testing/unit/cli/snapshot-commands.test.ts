/** `quorate snapshot create`, `list` and `verify`: against a real operator socket, and over files of every kind. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { packDatabase } from '../../../src/server/snapshot/pack.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { openOperator } from '../../support/operator.ts';
import {
  keepCheckpoint,
  openTestRegistry,
  put,
  type TestRegistry,
} from '../../support/registry.ts';
import { descriptorsPayload, START } from '../../support/signers.ts';
import { packTest, type TestSnapshot, withHeader } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const NOW = { now: () => START + 3 * 3_600_000 };

let real: TestRegistry;
let database: string;
let snapshot: TestSnapshot;

before(async () => {
  database = join(makeDirectory(), 'registry.db');
  real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path: database }) });
  await real.change(put('a', { v: 1 }));
  await real.change(put('a', { v: 2 }, { v: 1 }), put('b', { v: 1 }));
  await real.registry.proposals.propose(
    descriptorsPayload(real.registryHash, [put('waiting', {})]).bytes,
  );
  await real.registry[Symbol.asyncDispose]();
  snapshot = await packTest(database);
});

function verify(path: string, ...options: readonly string[]) {
  const scratch = makeDirectory();
  return runCli(['snapshot', 'verify', path, '--scratch', scratch, ...options], NOW).then(
    (run) => ({ ...run, left: readdirSync(scratch) }),
  );
}

test('create says where the snapshot is, and carries it to a directory and to a file', async (t) => {
  const server = await openOperator(t);
  await server.change(put('a', {}));
  await keepCheckpoint(server);
  const socket = ['--socket', server.socketPath];
  const made = await runCli(['snapshot', 'create', ...socket, '--reason', 'the night', '--json']);
  assert.deepEqual([made.code, made.stderr], [0, '']);
  const [answer] = made.json();
  assert.equal(answer?.path, join(server.dataDir, 'snapshots', String(answer?.file)));
  assert.equal(answer?.copy, null);
  assert.equal(server.events.at(-1)?.reason, 'the night');
  const place = join(makeDirectory(), 'backups');
  const file = join(makeDirectory(), 'one.qsnap');
  for (const to of [place, file]) {
    const { code, stdout } = await runCli(['snapshot', 'create', ...socket, '--to', to]);
    assert.equal(code, 0);
    assert.match(stdout, /^and in .*\.qsnap, read again$/m);
  }
  const [name = ''] = readdirSync(place);
  assert.deepEqual(readdirSync(place).length, 1);
  assert.match(name, /^1-[0-9a-f]{16}\.qsnap$/);
  for (const path of [join(place, name), file])
    assert.equal((await verify(path, '--registry', server.registryHash)).code, 0);
  const missing = join(makeDirectory(), 'no', 'one.qsnap');
  const failed = await runCli(['snapshot', 'create', ...socket, '--to', missing]);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /expected to write a snapshot at .*, got ENOENT/);
});

test('list shows the newest first, and which are damaged', async () => {
  const place = makeDirectory();
  const empty = await runCli(['snapshot', 'list', place]);
  assert.deepEqual([empty.code, empty.stdout], [0, '']);
  assert.match(empty.stderr, /no snapshots in /);
  const missing = await runCli(['snapshot', 'list', `${place}-elsewhere`]);
  assert.deepEqual([missing.code, missing.stdout], [1, '']);
  assert.match(missing.stderr, /no snapshots: there is no directory .*-elsewhere\n$/);
  const missingJson = await runCli(['snapshot', 'list', `${place}-elsewhere`, '--json']);
  assert.deepEqual([missingJson.code, missingJson.stdout], [1, '']);
  const name = `2-${snapshot.id.slice(3, 19)}.qsnap`;
  const bytes = readFileSync(snapshot.path);
  writeFileSync(join(place, name), bytes);
  assert.equal((await runCli(['snapshot', 'list', place], NOW)).code, 0);
  writeFileSync(join(place, '9-0123456789abcdef.qsnap'), 'nothing');
  writeFileSync(join(place, '1-0123456789abcdef.qsnap'), bytes);
  writeFileSync(join(place, '0-0123456789abcdef.qsnap'), bytes.subarray(0, -1));
  mkdirSync(join(place, '3-0123456789abcdef.qsnap'));
  writeFileSync(join(place, 'notes.txt'), '');
  const { code, stdout, stderr } = await runCli(['snapshot', 'list', place], NOW);
  assert.equal(code, 3, stderr);
  const [, ...rows] = stdout.trimEnd().split('\n');
  assert.deepEqual(
    rows.map((row) => row.split(/ {2,}/)[0]),
    ['9-0123456789abcdef.qsnap', name, '1-0123456789abcdef.qsnap', '0-0123456789abcdef.qsnap'],
  );
  assert.match(rows[0] ?? '', /damaged: expected a snapshot with a header line/);
  assert.match(rows[1] ?? '', /^\S+ +2 +0 +\S+ KiB +\S+ KiB +3 hours ago +$/);
  assert.match(rows[2] ?? '', /damaged: .*the name 2-/);
  assert.match(rows[3] ?? '', /damaged: .*bytes by its header/);
  assert.match(stderr, /3 of 4 are damaged/);
  const asJson = await runCli(['snapshot', 'list', place, '--json'], NOW);
  assert.equal(asJson.code, 3, asJson.stderr);
  const json = asJson.json();
  assert.deepEqual(
    json.map(({ name, id, damage }) => [name, id, damage === null]),
    [
      ['9-0123456789abcdef.qsnap', null, false],
      [name, snapshot.id, true],
      ['1-0123456789abcdef.qsnap', null, false],
      ['0-0123456789abcdef.qsnap', null, false],
    ],
  );
  const byId = ['snapshot', 'verify', snapshot.id, '--in', place, '--quick'];
  assert.equal((await runCli(byId)).code, 0);
  const other = `b3:${'0'.repeat(64)}`;
  assert.match(
    (await runCli(['snapshot', 'verify', other, '--in', place])).stderr,
    /none of that id/,
  );
});

test('verify checks everything, and says what it is', async () => {
  const { code, stdout, stderr, left } = await verify(
    snapshot.path,
    '--registry',
    real.registryHash,
  );
  assert.deepEqual([code, stderr, left], [0, '', []]);
  for (const line of [
    new RegExp(`^snapshot +${snapshot.id}$`, 'm'),
    new RegExp(`^registry +${real.registryHash}$`, 'm'),
    /^head +version 2, b3:/m,
    /^proposals +1 in flight$/m,
    /^made +2026-11-21T09:00:00.000Z, 3 hours ago, by quorate 1\.2\.3/m,
    /^verified /m,
    /^approvals +7$/m,
    /^rows +3, as the entries give them$/m,
  ])
    assert.match(stdout, line);
  const [json] = (await verify(snapshot.path, '--json')).json();
  assert.equal(json?.id, snapshot.id);
  assert.equal(Object(json?.audit).approvals, 7);
  const quick = await verify(snapshot.path, '--quick');
  assert.match(quick.stdout, /but for the approvals under the checkpoint/);
  const piped = await runCli(['snapshot', 'verify', '-', '--quick'], {
    ...NOW,
    stdinBytes: readFileSync(snapshot.path),
  });
  assert.equal(piped.code, 0, piped.stderr);
});

test('another registry is said to be another, before anything is unpacked', async () => {
  const other = `b3:${'1'.repeat(64)}`;
  const { code, stderr, left } = await verify(snapshot.path, '--registry', other);
  assert.deepEqual([code, left], [1, []]);
  assert.match(stderr, /expected a snapshot of registry b3:1{64}, got one of /);
});

/** The database changed by other hands, every index in agreement, and packed with a header that is right. */
async function packChanged(...statements: readonly string[]): Promise<string> {
  const path = join(makeDirectory(), 'registry.db');
  writeFileSync(path, readFileSync(database));
  const db = new Database(path);
  const triggers = db
    .prepare<[], { name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'",
    )
    .all();
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  db.pragma('foreign_keys = OFF');
  for (const statement of statements) db.exec(statement);
  for (const { sql } of triggers) db.exec(sql);
  db.pragma('journal_mode = DELETE');
  db.pragma('journal_mode = WAL');
  db.close();
  return packAs(path);
}

test('a well-formed snapshot of a log that was changed is found out, and nothing is left', async () => {
  for (const [what, statement] of [
    [
      'a payload',
      `UPDATE entries SET payload = CAST(replace(payload, '"v":1', '"v":7') AS BLOB) WHERE version = 1`,
    ],
    [
      'a value',
      `UPDATE spans SET bytes = CAST(replace(bytes, '1', '3') AS BLOB) WHERE set_version = 1`,
    ],
    ['a row', 'DELETE FROM spans WHERE set_version = 1'],
    ['a node', 'UPDATE nodes SET hash = zeroblob(32) WHERE level = 1'],
    ['the checkpoint', "UPDATE checkpoint SET note = replace(note, 'A', 'B')"],
    ['a proposal', "UPDATE proposals SET payload = x'78'"],
    [
      'an approval',
      `UPDATE entries SET approvals = CAST(replace(approvals, 'signer-000', 'signer-002') AS BLOB) WHERE version = 0`,
    ],
  ] as const) {
    const path = await packChanged(statement);
    const { code, stderr, left } = await verify(path);
    assert.deepEqual([code, left], [3, []], `${what}: ${stderr}`);
  }
});

test('a database with more in it than ours is not opened', async () => {
  for (const statement of [
    'CREATE TABLE more (x)',
    "CREATE TRIGGER t AFTER INSERT ON proposals BEGIN SELECT load_extension('x'); END",
    'CREATE VIEW v AS SELECT * FROM entries',
    'DROP INDEX spans_set',
    'CREATE TABLE a (a INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE a',
    ...HIDDEN.map(
      ([type, name, table, sql]) =>
        `INSERT INTO sqlite_schema VALUES ('${type}', '${name}', '${table}', 0, '${sql}')`,
    ),
  ]) {
    const path = join(makeDirectory(), 'registry.db');
    writeFileSync(path, readFileSync(database));
    const db = new Database(path);
    db.unsafeMode();
    db.pragma('writable_schema = ON');
    db.exec(statement);
    db.close();
    const { code, stderr, left } = await verify(await packAs(path));
    assert.deepEqual([code, left], [3, []], `${statement}: ${stderr}`);
    assert.match(stderr, /expected the tables and triggers/, statement);
  }
});

/** Under names that SQLite keeps for itself, and takes from who writes the file. */
const HIDDEN = [
  [
    'trigger',
    'sqlite_x',
    'approvals',
    'CREATE TRIGGER sqlite_x AFTER INSERT ON approvals BEGIN DELETE FROM approvals; END',
  ],
  [
    'trigger',
    'sqlite_stat1',
    'approvals',
    'CREATE TRIGGER sqlite_stat1 AFTER INSERT ON approvals BEGIN SELECT RAISE(ABORT, 1); END',
  ],
  ['view', 'sqlite_v', 'sqlite_v', 'CREATE VIEW sqlite_v AS SELECT 1'],
] as const;

/** With the facts of the whole one: whoever makes such a file writes what they like. */
async function packAs(path: string): Promise<string> {
  const to = join(makeDirectory(), 'changed.qsnap');
  await packDatabase({ database: path, to, header: snapshot.header, onProgress: () => undefined });
  return to;
}

test('a header that lies about a whole database is found out', async () => {
  for (const members of [
    { version: 1, tree_size: 2 },
    { set_size: 5 },
    { proposals: 0 },
    { checkpoint: null },
    { oldest: 1 },
    { origin: 'other.example' },
  ]) {
    const { code, stderr, left } = await verify(withHeader(snapshot.path, members));
    assert.deepEqual([code, left], [3, []], stderr);
    assert.match(stderr, /expected the database of a snapshot whose /);
  }
});

test('what claims to need more room than there is, is refused before it is unpacked', async () => {
  const { code, stderr, left } = await verify(withHeader(snapshot.path, { bytes: 2 ** 49 }));
  assert.deepEqual([code, left], [4, []]);
  assert.match(stderr, /bytes free in .* to unpack a snapshot/);
});

test('a file that is not there, and a place without room to make a directory, are named', async () => {
  const { code, stderr } = await verify(join(makeDirectory(), 'none.qsnap'));
  assert.equal(code, 1);
  assert.match(stderr, /expected a snapshot at .*none\.qsnap, got no file/);
  const nowhere = await runCli(['snapshot', 'verify', snapshot.path, '--scratch', '/dev/null/x']);
  assert.match(nowhere.stderr, /a place for the database in \/dev\/null\/x, got ENOTDIR/);
});
