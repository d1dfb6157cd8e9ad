/** The process that copies a database: says how far it is, then that it is done, or what is wrong, and ends. */
import { stat } from 'node:fs/promises';
import type { CopyReport } from './sqlite-copy.ts';
import { copyDatabase } from './sqlite-copy-files.ts';
import { storageError } from './sqlite-errors.ts';

const FULL = /^(SQLITE_FULL|ENOSPC|EDQUOT)/;

async function serve(from: string, to: string): Promise<void> {
  try {
    await copyDatabase(from, to, tell);
    const { size } = await stat(to);
    tell(size, size);
    await report({ type: 'done' });
  } catch (cause) {
    const { code, message, details } = storageError(cause, `a whole copy of ${from} at ${to}`);
    const isFull = FULL.test(String(details.reason));
    await report({ type: 'failed', error: { code: isFull ? 'read_only' : code, message } });
  }
}

function tell(doneBytes: number, totalBytes: number): void {
  void report({ type: 'progress', progress: { doneBytes, totalBytes } });
}

/** Resolves when it is on its way, or nobody is there to hear it. */
function report(message: CopyReport): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}

/** Whoever asked is gone. An exit would wait for the system to end its copying, and keep the log from being folded. */
function giveUp(): void {
  process.kill(process.pid, 'SIGKILL');
}

const [from, to] = process.argv.slice(2);
if (process.send !== undefined && from !== undefined && to !== undefined) {
  process.once('disconnect', giveUp);
  void serve(from, to).finally(() => {
    process.off('disconnect', giveUp);
    process.disconnect();
  });
}
