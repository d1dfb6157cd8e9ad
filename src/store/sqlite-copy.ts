/**
 * A copy of a database that is in use, made in a thread of its own over one read transaction, so that it
 * is of one moment whatever is committed meanwhile. Whether it is sound is for others to find out.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { RegistryError } from '../core/error.ts';
import type { LaneError } from './lane-messages.ts';
import { storageError } from './sqlite-errors.ts';
import type { SnapshotProgress, SnapshotTarget } from './store.ts';

export interface CopyData {
  readonly from: string;
  readonly to: string;
  /** Not 0: the copy is given up. */
  readonly stop: Int32Array;
}

export type CopyReport =
  | { readonly type: 'progress'; readonly progress: SnapshotProgress }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: LaneError };

export interface DatabaseCopyOptions {
  readonly path: string;
  /** Told before the first page is read and after the last. */
  readonly onCopying: (isCopying: boolean) => void;
}

export class DatabaseCopy {
  readonly #options: DatabaseCopyOptions;
  readonly #stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #running: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: DatabaseCopyOptions) {
    this.#options = options;
  }

  /** As `Store.snapshot`. */
  async run(target: SnapshotTarget): Promise<void> {
    if (this.#running !== undefined)
      throw new RegistryError('overloaded', 'expected one copy at a time, got one more');
    if (this.#isStopped || target.signal?.aborted === true) throw givenUp();
    this.#running = this.#copy(target);
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Resolves when nothing is read any more; who waits for a copy is refused. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    Atomics.store(this.#stop, 0, 1);
    await this.#running?.catch(() => undefined);
  }

  /** Asked to stop, and not ended in the middle of a call of SQLite: that would take the process with it. */
  async #copy({ path, onProgress, signal }: SnapshotTarget): Promise<void> {
    // In src this file ends in .ts, in dist in .js, and so does the worker's.
    const file = `./sqlite-copy-worker${extname(import.meta.url)}`;
    Atomics.store(this.#stop, 0, 0);
    const workerData: CopyData = { from: this.#options.path, to: path, stop: this.#stop };
    const worker = new Worker(new URL(file, import.meta.url), { name: 'snapshot', workerData });
    this.#options.onCopying(true);
    const stop = () => void Atomics.store(this.#stop, 0, 1);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await ended(worker, onProgress);
    } catch (error) {
      throw Atomics.load(this.#stop, 0) === 0 ? error : givenUp();
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#options.onCopying(false);
    }
  }
}

/** Settles when the thread is gone, so that nothing is written after it. */
function ended(worker: Worker, onProgress: SnapshotTarget['onProgress']): Promise<void> {
  return new Promise((resolve, reject) => {
    let outcome: RegistryError | 'done' = givenUp();
    worker.on('message', (report: CopyReport) => {
      if (report.type === 'progress') onProgress?.(report.progress);
      else if (report.type === 'done') outcome = 'done';
      else outcome = new RegistryError(report.error.code, report.error.message);
    });
    worker.once('error', (cause) => {
      outcome = storageError(cause, 'a living thread for the copy');
    });
    worker.once('exit', () => (outcome === 'done' ? resolve() : reject(outcome)));
  });
}

function givenUp(): RegistryError {
  return new RegistryError('unavailable', 'expected a whole copy, got its end: it was given up');
}
