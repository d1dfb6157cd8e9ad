/** The thread that folds a long log beside the commit lane: says that it is over, or what is wrong, and ends. */
import { fsyncSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { LogFoldData, LogFoldReport } from './log-fold.ts';
import { foldPassively } from './sqlite-checkpoint.ts';
import { isFull, storageError } from './sqlite-errors.ts';
import { openBesideWriter, WAL_LIMIT_BYTES } from './sqlite-open.ts';

/** While somebody reads what is left. */
const AGAIN_MS = 100;

async function fold({ path, file }: LogFoldData, stop: AbortSignal): Promise<LogFoldReport> {
  try {
    const db = openBesideWriter(path);
    try {
      while (!stop.aborted && foldPassively(db) > WAL_LIMIT_BYTES)
        await sleep(AGAIN_MS, undefined, { signal: stop }).catch(() => undefined);
      // Where something was written meanwhile nobody did, and the lane would wait for the disk to take all of it.
      fsyncSync(file);
      return 'over';
    } finally {
      db.close();
    }
  } catch (cause) {
    const { code, message } = storageError(cause, `to fold the log of ${path}`);
    // Nothing was lost by it: the lane asks again, and a write that finds no room is refused.
    return isFull(cause) || code === 'storage_locked' ? 'over' : { code, message };
  }
}

async function serve(port: MessagePort, data: LogFoldData): Promise<void> {
  const stop = new AbortController();
  port.once('message', () => stop.abort());
  port.postMessage(await fold(data, stop.signal));
  port.close();
}

if (parentPort !== null) void serve(parentPort, workerData as LogFoldData);
