/**
 * Whether the descriptor index agrees with itself, found out once, before anything is answered from it
 * that no hash vouches for: which version set a value, what lies between two versions, what was before.
 */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import type { LaneError } from './lane-messages.ts';
import { storageError } from './sqlite-errors.ts';
import { assertIndexesAgree, DESCRIPTOR_TABLES } from './sqlite-integrity.ts';

/** A larger file is checked in a thread of its own: below, it takes a few milliseconds. */
const INLINE_BYTES = 4 * 1024 * 1024;

export interface IndexCheckOptions {
  readonly path: string;
  /** Default 4 MiB. */
  readonly inlineBytes?: number;
}

export class IndexCheck {
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #inlineBytes: number;
  #checking: Promise<void> | undefined;
  #worker: Worker | undefined;
  #refuse: ((error: RegistryError) => void) | undefined;

  constructor(db: Database.Database, { path, inlineBytes = INLINE_BYTES }: IndexCheckOptions) {
    this.#db = db;
    this.#path = path;
    this.#inlineBytes = inlineBytes;
  }

  /** Rejects `storage_damaged` for good, and what kept it from being found out until it is. */
  passed(): Promise<void> {
    this.#checking ??= this.#check().catch((cause: unknown) => {
      const error = storageError(cause, `a readable database at ${this.#path}`);
      if (error.code !== 'storage_damaged') this.#checking = undefined;
      throw error;
    });
    return this.#checking;
  }

  /**
   * Resolves when nothing is read any more: after a check that is under way, some seconds at most, for a thread that
   * is ended within a call of SQLite would take the process with it. Who waits for the check is refused at once.
   */
  async stop(): Promise<void> {
    if (this.#worker === undefined) return;
    const ended = once(this.#worker, 'exit');
    this.#refuse?.(noAnswer());
    await ended;
  }

  async #check(): Promise<void> {
    if (statSync(this.#path).size <= this.#inlineBytes)
      return assertIndexesAgree(this.#db, DESCRIPTOR_TABLES);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // In src this file ends in .ts, in dist in .js, and so does the worker's.
    const file = `./index-check-worker${extname(import.meta.url)}`;
    const workerData = this.#path;
    const worker = new Worker(new URL(file, import.meta.url), { name: 'index-check', workerData });
    this.#worker = worker;
    this.#refuse = reject;
    worker.once('message', (error: LaneError | null) =>
      error === null ? resolve() : reject(new RegistryError(error.code, error.message)),
    );
    worker.once('error', reject);
    worker.once('exit', () => {
      this.#worker = undefined;
      reject(noAnswer());
    });
    await promise;
  }
}

function noAnswer(): RegistryError {
  return new RegistryError('storage_failed', 'expected a checked index, got no answer');
}
