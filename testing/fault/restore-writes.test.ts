/** kill -9 and failing calls while a restore writes to the database itself: brought up to date, and caught up. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, test } from 'node:test';
import Database from 'better-sqlite3';
import { openSqliteReader, openSqliteStore } from '../../src/store/sqlite.ts';
import { SCHEMA_VERSION } from '../../src/store/sqlite-schema.ts';
import { checkLog } from '../support/check-log.ts';
import { programOf, type Run, run } from '../support/child.ts';
import { keepCheckpoint, openTestRegistry, put } from '../support/registry.ts';
import { packTest, withHeader } from '../support/snapshot.ts';
import { toVersion2 } from '../support/store-older.ts';
import { makeDirectory } from '../support/store-sqlite.ts';
import { failEachCall, isStraceMissing } from '../support/strace.ts';

const CHILD = programOf('restore-child');
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const [OLD, NEW] = [3, 6];

/** What the child is told, and how far the log goes then. */
interface Work {
  readonly snapshot: string;
  readonly newer?: string;
  readonly version: number;
}

const works = new Map<string, Work>();

before(async () => {
  const newer = join(makeDirectory(), 'registry.db');
  const database = join(makeDirectory(), 'registry.db');
  const store = await openSqliteStore({ ...IDLE, path: newer });
  const real = await openTestRegistry({ store });
  const growTo = async (size: number): Promise<void> => {
    while ((real.registry.head()?.version ?? 0) < size)
      await real.change(put(`d${real.registry.head()?.version}`, {}));
    await keepCheckpoint(real);
  };
  await growTo(OLD);
  await store.snapshot({ path: database });
  await growTo(NEW);
  await real.registry[Symbol.asyncDispose]();
  const { path, header } = await packTest(database);
  works.set('caught up', { snapshot: path, newer, version: NEW });
  const db = new Database(database);
  toVersion2(db);
  db.close();
  const older = await packTest(database, undefined, header);
  const snapshot = withHeader(older.path, { schema_version: 2 });
  works.set('brought up to date', { snapshot, version: OLD });
});

function workOf(name: string): Work {
  const work = works.get(name);
  assert.ok(work);
  return work;
}

function program({ snapshot, newer }: Work, data: string): readonly string[] {
  return [process.execPath, CHILD, snapshot, data, ...(newer === undefined ? [] : [newer])];
}

/** The next restore goes through: every entry is there, and in today's tables. */
async function assertRestorable(data: string, work: Work): Promise<void> {
  const [command = '', ...argv] = program(work, data);
  const again = await run(command, argv);
  assert.deepEqual(again.lines, ['done'], again.lines.join('; '));
  assert.deepEqual(readdirSync(data), ['registry.db']);
  const path = join(data, 'registry.db');
  await using store = openSqliteReader({ path });
  assert.equal((await checkLog(store))?.version, work.version);
  const db = new Database(path, { readonly: true });
  assert.equal(db.pragma('user_version', { simple: true }), SCHEMA_VERSION);
  db.close();
}

/** The database while it is unpacked, and what SQLite writes beside it. */
const PATHS = ['registry.db', 'registry.db-wal', 'registry.db-journal'];

interface Campaign {
  readonly call: string;
  readonly effect: string;
  readonly step: number;
  readonly work: Work;
  readonly check: (run: Run, data: string, failed: string) => Promise<void>;
}

async function fail({ work, check, ...fault }: Campaign): Promise<number> {
  const dataOf = (directory: string) => join(directory, 'data');
  return failEachCall({
    ...fault,
    makeDirectory,
    program: ({ directory }) => [
      ...['-E', 'UV_THREADPOOL_SIZE=1'],
      ...PATHS.flatMap((name) => ['-P', join(dataOf(directory), '.unfinished', name)]),
      ...program(work, dataOf(directory)),
    ],
    check: (ran, { directory, failed }) => check(ran, dataOf(directory), failed),
  });
}

// Of some eighty and ten calls every push sees a few, the nightly run each.
for (const name of ['caught up', 'brought up to date'])
  for (const [call, step] of [
    ['pwrite64', 60],
    ['fsync', 6],
  ] as const) {
    const fault = { call, step: IS_LONG ? 1 : step };

    test(`a restore that is killed at a ${call} while the database is ${name} left no registry`, async (t) => {
      if (isStraceMissing(t)) return;
      const work = workOf(name);
      const count = await fail({
        ...fault,
        effect: 'signal=SIGKILL',
        work,
        check: async (ran, data) => {
          assert.deepEqual([ran.signal, ran.lines], ['SIGKILL', []]);
          assert.deepEqual(readdirSync(data), ['.unfinished']);
          await assertRestorable(data, work);
        },
      });
      t.diagnostic(`${count} times killed`);
    });

    test(`a restore of which a ${call} fails while the database is ${name} is refused, and leaves nothing`, async (t) => {
      if (isStraceMissing(t)) return;
      const work = workOf(name);
      const files = new Set<string>();
      const count = await fail({
        ...fault,
        effect: 'error=EIO',
        work,
        check: async (ran, data, failed) => {
          assert.match(ran.lines.join(), /^refused (storage_failed|outcome_unknown)$/, failed);
          assert.equal(existsSync(data), false);
          files.add(basename(/<([^>]*)>/.exec(failed)?.[1] ?? ''));
          if (IS_LONG) await assertRestorable(data, work);
        },
      });
      t.diagnostic(`${count} calls failed, of ${[...files].join(' and ')}`);
      if (IS_LONG) assert.deepEqual([...files].sort(), ['registry.db', 'registry.db-wal']);
    });
  }
