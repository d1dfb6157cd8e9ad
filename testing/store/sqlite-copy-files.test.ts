/** Files of a database copied while others write to them and fold the log, at the moments that matter; and what comes of it without care. */
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { foldPassively } from '../../src/store/sqlite-checkpoint.ts';
import { copyDatabase, copyLog, fold } from '../../src/store/sqlite-copy-files.ts';
import { makeEntry, makeProposal } from '../support/store-entries.ts';
import { assertWholeLog, changesAt } from '../support/store-log.ts';
import { makeDirectory, makePath } from '../support/store-sqlite.ts';

const MEBIBYTE = 1024 * 1024;
const LOG_HEADER_BYTES = 32;

/** A database that is written to, one entry and some other things at a time. */
class Written {
  readonly path: string = makePath();
  readonly lane = new CommitLane(this.path);
  readonly #beside = new Database(this.path);
  head = -1;

  write(times: number, otherBytes: number): void {
    for (let i = 0; i < times; i++) {
      const version = this.head + 1;
      const entry = makeEntry(version, { changes: changesAt(version) });
      const proposal = makeProposal(`${version}${'x'.repeat(otherBytes)}`);
      this.lane.run([
        { type: 'append', expected: this.head, entries: [entry] },
        { type: 'put_proposal', proposal },
      ]);
      this.head = version;
    }
  }

  /** The log keeps its length; answers whether the main file holds all of it. */
  fold(): boolean {
    return foldPassively(this.#beside) === 0;
  }

  header(): Promise<Buffer> {
    return readFile(`${this.path}-wal`).then((log) => log.subarray(0, LOG_HEADER_BYTES));
  }
}

/** Keeps what it sees from being written over until it is closed. */
function beginReading(path: string): Database.Database {
  const db = new Database(path, { readonly: true });
  db.exec('BEGIN');
  db.prepare('SELECT count(*) FROM entries').get();
  return db;
}

/** The newest version of a copy; -1: it is none that is whole. */
async function headOf(path: string): Promise<number> {
  try {
    fold(path);
    await using copy = openSqliteReader({ path });
    return (await assertWholeLog(copy)).head;
  } catch {
    return -1;
  }
}

/** A file in which something is done between two reads. */
function readBetween(file: FileHandle, between: (read: Buffer, count: number) => void) {
  let count = 0;
  return {
    stat: () => file.stat(),
    read: async (into: Buffer, offset: number, length: number, position: number) => {
      const { bytesRead } = await file.read(into, offset, length, position);
      between(into.subarray(offset, offset + bytesRead), ++count);
      return { bytesRead };
    },
  };
}

test('a log that begins anew while it is copied is copied again: half of the old one would undo what is in the main file', async () => {
  const written = new Written();
  const pin = beginReading(written.path);
  written.write(12, MEBIBYTE);
  pin.close();
  assert.ok(written.fold());
  const reader = beginReading(written.path);
  const before = { head: written.head, header: await written.header() };
  await using log = await open(`${written.path}-wal`, 'r');
  const parts: Buffer[] = [];
  const source = readBetween(log, (read, count) => {
    // The first is the header, the second not yet all of the log.
    if (count !== 2) return;
    parts.push(Buffer.from(read));
    written.write(8, MEBIBYTE);
  });
  const to = join(makeDirectory(), 'copy.db');
  await copyLog(source, `${to}-wal`);
  assert.notDeepEqual(await written.header(), before.header, 'the log did not begin anew');
  copyFileSync(written.path, to);
  assert.equal(await headOf(to), written.head);

  const careless = join(makeDirectory(), 'careless.db');
  const [begin = Buffer.alloc(0)] = parts;
  assert.ok(begin.length < (await log.stat()).size);
  const rest = (await readFile(`${written.path}-wal`)).subarray(begin.length);
  writeFileSync(`${careless}-wal`, Buffer.concat([begin, rest]));
  copyFileSync(written.path, careless);
  assert.ok((await headOf(careless)) < before.head, 'nothing was undone');
  reader.close();
  written.lane.close();
});

test('a log that begins anew again and again is not copied: nobody heeds the reader', async () => {
  const written = new Written();
  written.write(1, MEBIBYTE);
  await using log = await open(`${written.path}-wal`, 'r');
  const source = readBetween(log, () => {
    assert.ok(written.fold());
    written.write(1, 10);
  });
  await assert.rejects(copyLog(source, join(makeDirectory(), 'copy.db-wal')), {
    code: 'storage_failed',
    message: /got one that did 3 times/,
  });
  written.lane.close();
});

for (const isHeld of [true, false])
  test(`a main file into which others fold while it is copied is ${isHeld ? '' : 'not '}whole with its log ${isHeld ? 'while' : 'when no'} transaction is held`, async () => {
    const written = new Written();
    // What belongs together is all over the file.
    written.write(60, MEBIBYTE / 4);
    assert.ok(written.fold());
    // The reader takes these from the log, and they are what is folded first.
    written.write(2, MEBIBYTE);
    const before = written.head;
    const reader = isHeld ? beginReading(written.path) : undefined;
    const to = join(makeDirectory(), 'copy.db');
    await using log = await open(`${written.path}-wal`, 'r');
    await copyLog(log, `${to}-wal`);
    await using main = await open(written.path, 'r');
    const source = readBetween(main, () => {
      written.write(20, 10);
      written.fold();
    });
    const { size } = await main.stat();
    const pages = Buffer.alloc(size);
    for (let at = 0; at < size; at += 4 * MEBIBYTE)
      await source.read(pages, at, Math.min(4 * MEBIBYTE, size - at), at);
    assert.notDeepEqual(pages, await readFile(written.path), 'nothing was folded');
    writeFileSync(to, pages);
    assert.equal(await headOf(to), isHeld ? before : -1);
    reader?.close();
    written.lane.close();
  });

test('a database copied again and again while others fold into it is whole', async () => {
  const written = new Written();
  written.write(100, MEBIBYTE / 2);
  for (let copies = 0; copies < 5; copies++) {
    const to = join(makeDirectory(), 'copy.db');
    const before = written.head;
    let isDone = false;
    let kept = 0;
    const copied = copyDatabase(written.path, to, () => undefined).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      written.write(5, 10);
      if (!written.fold()) kept++;
      await setImmediate();
    }
    await copied;
    assert.ok(kept > 0, 'nothing was kept in the log for the copy');
    assert.ok((await headOf(to)) >= before);
  }
  written.lane.close();
});

test('a copy waits for nobody who reads the database, and leaves its log as it was', async () => {
  const written = new Written();
  written.write(2, MEBIBYTE);
  const reader = beginReading(written.path);
  const log = await readFile(`${written.path}-wal`);
  const to = join(makeDirectory(), 'copy.db');
  await copyDatabase(written.path, to, async () => undefined);
  assert.equal(await headOf(to), written.head);
  assert.deepEqual(await readFile(`${written.path}-wal`), log);
  reader.close();
  written.lane.close();
});
