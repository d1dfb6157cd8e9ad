/**
 * Folds a long write-ahead log beside the commit lane, in a thread and on a connection of its own, while commits go on:
 * until little of it is left, which waits for whoever reads it.
 */
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { RegistryError } from '../core/error.ts';
import type { LaneError } from './lane-messages.ts';
import { storageError } from './sqlite-errors.ts';

/** What the thread says before it ends. `over`: there may be more to fold. Plain data: it is cloned on its way. */
export type LogFoldReport = 'over' | LaneError;

export interface LogFoldData {
  readonly path: string;
  /** A descriptor of the main file. */
  readonly file: number;
}

export class LogFold {
  readonly #path: string;
  readonly #onEnd: (error: RegistryError | undefined) => void;
  #worker: Worker | undefined;
  #isStopped = false;

  /** `onEnd` hears of the end of each fold, when its connection is closed: an error is as fatal as one in the lane. */
  constructor(path: string, onEnd: (error: RegistryError | undefined) => void) {
    this.#path = path;
    this.#onEnd = onEnd;
  }

  /** `file`: as in `LogFoldData`. Does nothing while one is under way, and after `stop`. */
  start(file: number): void {
    if (this.#worker !== undefined || this.#isStopped) return;
    // In src this file ends in .ts, in dist in .js, and so does the worker's.
    const program = `./log-fold-worker${extname(import.meta.url)}`;
    const workerData: LogFoldData = { path: this.#path, file };
    const worker = new Worker(new URL(program, import.meta.url), { name: 'log-fold', workerData });
    this.#worker = worker;
    let error: RegistryError | undefined = new RegistryError(
      'storage_failed',
      'expected a living thread that folds the log, got its end',
    );
    worker.once('message', (report: LogFoldReport) => {
      error = report === 'over' ? undefined : new RegistryError(report.code, report.message);
    });
    worker.once('error', (cause) => {
      error = storageError(cause, 'a living thread that folds the log');
    });
    worker.once('exit', () => {
      this.#worker = undefined;
      this.#onEnd(error);
    });
  }

  /** Resolves when nothing is folded any more, after `onEnd`: what is being copied is copied first. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#worker === undefined) return;
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage('stop');
    await ended;
  }
}
