/** The thread that copies a database: says how far it is, then that it is done, or what is wrong, and ends. */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { CopyData, CopyReport } from './sqlite-copy.ts';
import { isFull, storageError } from './sqlite-errors.ts';
import { openReadOnly } from './sqlite-open.ts';

/** Of one step: 4 MiB, after which the other side is told. */
const STEP_PAGES = 1024;

async function copy(port: MessagePort, { from, to }: CopyData): Promise<void> {
  const report = (message: CopyReport): void => port.postMessage(message);
  try {
    // Made here, so that no other user can ever open it.
    closeSync(openSync(to, 'wx', 0o600));
    const db = openReadOnly(from);
    const pageBytes = Number(db.pragma('page_size', { simple: true }));
    // A read transaction around all steps: without it SQLite would begin again after every commit.
    db.exec('BEGIN');
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    await db.backup(to, {
      progress: ({ totalPages, remainingPages }) => {
        const doneBytes = (totalPages - remainingPages) * pageBytes;
        report({ type: 'progress', doneBytes, totalBytes: totalPages * pageBytes });
        return STEP_PAGES;
      },
    });
    syncFile(to);
    report({ type: 'done' });
  } catch (cause) {
    const { code, message } = storageError(cause, `a copy of ${from} at ${to}`);
    report({ type: 'failed', error: { code: isFull(cause) ? 'read_only' : code, message } });
  }
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

if (parentPort !== null) void copy(parentPort, workerData as CopyData);
