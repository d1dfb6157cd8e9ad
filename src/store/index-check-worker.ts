/** The thread that checks the index of a large database: says `null`, or what is wrong, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import type { LaneError } from './lane-messages.ts';
import { storageError } from './sqlite-errors.ts';
import { assertIndexesAgree, DESCRIPTOR_TABLES } from './sqlite-integrity.ts';
import { openReadOnly } from './sqlite-open.ts';

function check(path: string): LaneError | null {
  try {
    const db = openReadOnly(path);
    try {
      assertIndexesAgree(db, DESCRIPTOR_TABLES);
      return null;
    } finally {
      db.close();
    }
  } catch (cause) {
    const { code, message } = storageError(cause, `a readable database at ${path}`);
    return { code, message };
  }
}

parentPort?.postMessage(check(workerData as string));
