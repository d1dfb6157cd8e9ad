/** The thread that copies a database: says how far it is, then that it is done, or what is wrong, and ends. */
import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import type { CopyData, CopyReport } from './sqlite-copy.ts';
import { storageError } from './sqlite-errors.ts';
import { assertSound } from './sqlite-integrity.ts';
import { openReadOnly } from './sqlite-open.ts';
import type { SnapshotProgress } from './store.ts';

/** Of one step: 4 MiB, after which the other side is told. */
const STEP_PAGES = 1024;
const FULL = /^(SQLITE_FULL|ENOSPC|EDQUOT)/;

async function serve(port: MessagePort, { from, to, stop }: CopyData): Promise<void> {
  const report = (message: CopyReport): void => port.postMessage(message);
  const assertWanted = (): void => {
    if (Atomics.load(stop, 0) === 0) return;
    throw new RegistryError('unavailable', 'expected to go on, got a request to stop');
  };
  try {
    // Made here, so that no other user can ever open it.
    closeSync(openSync(to, 'wx', 0o600));
    await copy(from, to, (progress) => {
      assertWanted();
      report({ type: 'progress', progress });
    });
    sync(to);
    assertWanted();
    check(to);
    assertWanted();
    report({ type: 'done' });
  } catch (cause) {
    const { code, message, details } = storageError(cause, `a whole copy of ${from} at ${to}`);
    const isFull = FULL.test(String(details.reason));
    report({ type: 'failed', error: { code: isFull ? 'read_only' : code, message } });
  }
}

async function copy(
  from: string,
  to: string,
  onProgress: (progress: SnapshotProgress) => void,
): Promise<void> {
  const db = openReadOnly(from);
  try {
    const pageBytes = Number(db.pragma('page_size', { simple: true }));
    beginReading(db);
    const tell = ({ totalPages, remainingPages }: Database.BackupMetadata): number => {
      const doneBytes = (totalPages - remainingPages) * pageBytes;
      onProgress({ doneBytes, totalBytes: totalPages * pageBytes });
      return STEP_PAGES;
    };
    tell(await db.backup(to, { progress: tell }));
  } finally {
    db.close();
  }
}

/** One read transaction around all steps: without it SQLite would begin again after every commit. */
function beginReading(db: Database.Database): void {
  db.exec('BEGIN');
  db.prepare('SELECT count(*) FROM sqlite_schema').get();
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function check(path: string): void {
  const db = openReadOnly(path);
  try {
    assertSound(db);
  } finally {
    db.close();
    // Made for the reader, who wrote nothing: the copy is one file.
    for (const ending of ['-wal', '-shm']) rmSync(`${path}${ending}`, { force: true });
  }
}

if (parentPort !== null) void serve(parentPort, workerData as CopyData);
