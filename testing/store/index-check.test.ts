/** What no hash vouches for is answered only after the index was found to agree with itself. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { IndexCheck } from '../../src/store/index-check.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { openReadOnly, openWriter } from '../../src/store/sqlite-open.ts';
import { type Cell, cellsOf } from '../support/store-cells.ts';
import { collect, makeApproval, makeEntry, makeProposal, put } from '../support/store-entries.ts';
import { changesAt } from '../support/store-log.ts';
import { makePath } from '../support/store-sqlite.ts';

const SIZE = 12;

function makeClosed(): string {
  const path = makePath();
  const lane = new CommitLane(path);
  const entries = Array.from({ length: SIZE }, (_, version) =>
    makeEntry(version, { changes: [...changesAt(version), put('zoo', '1', 'host')] }),
  );
  lane.run([
    { type: 'append', expected: -1, entries },
    { type: 'put_checkpoint', note: 'a checkpoint\n' },
    { type: 'put_proposal', proposal: makeProposal('p', [makeApproval('alice')]) },
  ]);
  lane.close();
  return path;
}

/** Changes the last bit of a part of one row. */
function damage(path: string, isWanted: (cell: Cell) => boolean): void {
  const cell = cellsOf(path).findLast(isWanted);
  const offset = cell?.offsets.at(-1);
  assert.ok(offset !== undefined, 'there is nothing to damage');
  const file = readFileSync(path);
  file[offset] = file[offset]! ^ 1;
  writeFileSync(path, file);
}

function isAt(tree: string, part: string): (cell: Cell) => boolean {
  return (cell) => cell.tree === tree && cell.part === part;
}

function openCheck(t: TestContext, path: string, inlineBytes: number): IndexCheck {
  const db = openReadOnly(path);
  const check = new IndexCheck(db, { path, inlineBytes });
  t.after(async () => {
    await check.stop();
    db.close();
  });
  return check;
}

for (const [where, inlineBytes] of [
  ['here', Number.MAX_SAFE_INTEGER],
  ['in a thread of its own', 0],
] as const) {
  test(`an index that is whole passes a check ${where}, and stays passed`, async (t) => {
    const check = openCheck(t, makeClosed(), inlineBytes);
    assert.equal(check.passed(), check.passed());
    assert.equal(await check.passed(), undefined);
    assert.equal(await check.passed(), undefined);
  });

  for (const [tree, part] of [
    ['spans', 'set_version'],
    ['spans', 'end_version'],
    ['spans_end', 'end_version'],
    ['descriptors', 'id'],
    ['sqlite_autoindex_descriptors_1', 'id'],
  ] as const)
    test(`a changed bit in ${tree}.${part} fails a check ${where}`, async (t) => {
      const path = makeClosed();
      damage(path, isAt(tree, part));
      const check = openCheck(t, path, inlineBytes);
      const first = check.passed();
      await assert.rejects(first, { code: 'storage_damaged' });
      assert.equal(check.passed(), first, 'what is damaged is checked again and again');
    });
}

test('who waits for a check in a thread is refused when it is stopped, and may ask again', async (t) => {
  const check = openCheck(t, makeClosed(), 0);
  const refused = assert.rejects(check.passed(), { code: 'storage_failed' });
  await check.stop();
  await refused;
  assert.equal(await check.passed(), undefined);
});

test('reads that no hash vouches for are refused while the index disagrees with itself', async () => {
  const path = makeClosed();
  damage(path, isAt('spans_end', 'end_version'));
  await using reader = openSqliteReader({ path });
  const refusal = { code: 'storage_damaged' };
  const key = { kind: 'host', id: 'zoo' };
  await assert.rejects(reader.descriptor({ ...key, version: 3 }), refusal);
  await assert.rejects(reader.history({ ...key, limit: 9 }), refusal);
  await assert.rejects(collect(reader.diff({ from: 0, to: 3 })), refusal);
  assert.equal((await collect(reader.set(SIZE - 1))).length, 7);
  assert.equal((await reader.head())?.version, SIZE - 1);
});

test('a set whose index names a key twice is refused', async () => {
  const path = makeClosed();
  // key-2 becomes key-3, which is there already.
  const cells = cellsOf(path).filter(isAt('sqlite_autoindex_descriptors_1', 'id'));
  const file = readFileSync(path);
  const twice = cells.find(({ offsets }) => textAt(file, offsets) === 'key-2');
  damage(path, (cell) => cell.tree === twice?.tree && cell.row === twice.row && cell.part === 'id');
  await using reader = openSqliteReader({ path });
  await assert.rejects(collect(reader.set(SIZE - 1)), { code: 'storage_damaged' });
});

function textAt(file: Buffer, offsets: readonly number[]): string {
  return Buffer.from(offsets.map((offset) => file[offset]!)).toString();
}

for (const [tree, part] of [
  ['approvals', 'sig'],
  ['approvals', 'algo'],
  ['approvals', 'signed_at'],
  ['approvals_twice', 'sig'],
  ['sqlite_autoindex_approvals_1', 'signer_id'],
  ['sqlite_autoindex_proposals_1', 'payload_b3'],
  ['checkpoint', 'note'],
  ['checkpoint', 'rowid'],
  ['checkpoint_twice', 'note'],
] as const)
  test(`a changed bit in ${tree}.${part} refuses the start`, () => {
    const path = makeClosed();
    damage(path, isAt(tree, part));
    assert.throws(() => openWriter(path), { code: 'storage_damaged' });
  });

test('an approval whose algorithm other hands have changed is refused', async () => {
  const path = makeClosed();
  const db = new Database(path);
  db.exec("UPDATE approvals SET algo = 'none'");
  db.close();
  await using reader = openSqliteReader({ path });
  await assert.rejects(reader.proposals(), { code: 'storage_damaged' });
});

test('a page of entries that does not go on from where it was asked to is refused', async () => {
  const path = makeClosed();
  // Version 7 becomes 6.
  damage(path, (cell) => isAt('entries', 'rowid')(cell) && cell.row === 7);
  await using reader = openSqliteReader({ path });
  await assert.rejects(reader.entries({ from: 7, limit: 2 }), { code: 'storage_damaged' });
  assert.equal((await reader.entries({ from: 8, limit: 2 })).length, 2);
});

test('a payload that leads to an entry of another payload is refused', async () => {
  const path = makeClosed();
  damage(path, isAt('sqlite_autoindex_entries_1', 'rowid'));
  await using reader = openSqliteReader({ path });
  let refused = 0;
  for (let version = 0; version < SIZE; version++) {
    const answer = reader.committedVersion(makeEntry(version).payloadB3);
    await answer.then(
      (found) => assert.equal(found, version),
      () => refused++,
    );
  }
  assert.equal(refused, 1);
});
