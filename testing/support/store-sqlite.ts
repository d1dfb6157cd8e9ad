/** SQLite stores in directories that end with the process. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import type { RegistryError } from '../../src/core/error.ts';
import { openSqliteStore, type SqliteOptions } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';

// Removed when the process ends: hooks of a test run in the order they were registered, so that one
// which removes a directory would run before the one that closes the store in it.
const root = mkdtempSync(join(tmpdir(), 'quorate-store-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

export function makeDirectory(): string {
  return mkdtempSync(join(root, 'test-'));
}

export function makePath(): string {
  return join(makeDirectory(), 'quorate.db');
}

/** Of the write-ahead log, that are not in the main file. */
export function unfoldedBytes(path: string): number {
  const db = new Database(path);
  try {
    const [state] = db.pragma('wal_checkpoint(NOOP)') as { log: number; checkpointed: number }[];
    assert.ok(state !== undefined && state.log >= 0);
    return (state.log - state.checkpointed) * 4_096;
  } finally {
    db.close();
  }
}

export interface Observed {
  readonly store: Store;
  /** One for each transaction that changed something. */
  readonly fsyncs: readonly number[];
  readonly checkpoints: () => number;
  readonly fatals: readonly RegistryError[];
  /** The first fatal error. */
  readonly fatal: Promise<RegistryError>;
}

/** Closed when the test ends. */
export async function openObserved(
  t: TestContext,
  options: Pick<SqliteOptions, 'path' | 'watchMs'>,
): Promise<Observed> {
  const fsyncs: number[] = [];
  const fatals: RegistryError[] = [];
  const fatal = Promise.withResolvers<RegistryError>();
  let checkpoints = 0;
  const store = await openSqliteStore({
    ...options,
    metrics: { fsync: (seconds) => fsyncs.push(seconds), checkpointed: () => checkpoints++ },
    onFatal: (error) => {
      fatals.push(error);
      fatal.resolve(error);
    },
  });
  t.after(() => store[Symbol.asyncDispose]());
  return { store, fsyncs, checkpoints: () => checkpoints, fatals, fatal: fatal.promise };
}

export async function openStore(t: TestContext, path: string): Promise<Store> {
  return (await openObserved(t, { path })).store;
}
