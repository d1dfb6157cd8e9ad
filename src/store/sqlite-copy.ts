/**
 * A copy of a database that is in use, made by a process of its own under one read transaction, so that it
 * is of one moment whatever is committed meanwhile.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RegistryError } from '../core/error.ts';
import type { LaneError } from './lane-messages.ts';
import { storageError } from './sqlite-errors.ts';
import type { SnapshotProgress, SnapshotTarget } from './store.ts';

/** What the process says. Plain data: it is cloned on its way. */
export type CopyReport =
  | { readonly type: 'progress'; readonly progress: SnapshotProgress }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: LaneError };

export class DatabaseCopy {
  readonly #path: string;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** As `Store.snapshot`. */
  async run(target: SnapshotTarget): Promise<void> {
    if (this.#running !== undefined)
      throw new RegistryError('overloaded', 'expected one copy at a time, got one more');
    this.#running = this.#copy(target);
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Resolves when nothing is read any more; who waits for a copy is refused. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running?.catch(() => undefined);
  }

  async #copy({ path, onProgress, signal }: SnapshotTarget): Promise<void> {
    const stop = AbortSignal.any([this.#stopped.signal, ...(signal ? [signal] : [])]);
    if (stop.aborted) throw givenUp();
    // In src this file ends in .ts, in dist in .js, and so does the program.
    const file = new URL(`./sqlite-copy-process${extname(import.meta.url)}`, import.meta.url);
    try {
      const copying = fork(fileURLToPath(file), [this.#path, path], {
        execArgv: [],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      // It writes to the copy alone, so it may be ended anywhere.
      stop.addEventListener('abort', () => copying.kill('SIGKILL'), { once: true });
      await ended(copying, onProgress);
      if (stop.aborted) throw givenUp();
    } catch (cause) {
      throw stop.aborted ? givenUp() : storageError(cause, 'a process that copies the database');
    }
  }
}

/** Settles when the process is gone, so that nothing is written after it, and all that it said was heard. */
async function ended(
  copying: ChildProcess,
  onProgress: SnapshotTarget['onProgress'],
): Promise<void> {
  let outcome = givenUp() as RegistryError | 'done';
  copying.on('message', (report: CopyReport) => {
    if (report.type === 'progress') onProgress?.(report.progress);
    else if (report.type === 'done') outcome = 'done';
    else outcome = new RegistryError(report.error.code, report.error.message);
  });
  await Promise.all([once(copying, 'exit'), once(copying, 'disconnect')]);
  if (outcome !== 'done') throw outcome;
}

function givenUp(): RegistryError {
  return new RegistryError('unavailable', 'expected a whole copy, got its end: it was given up');
}
