/**
 * One process at a time: a lock on a small database beside the main one, held by the operating system
 * for as long as the process lives. kill -9 frees it, so there is no stale lock to clean up.
 */
import Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { isBusy, storageError } from './sqlite-errors.ts';

export interface InstanceLock {
  release(): void;
}

/** Throws `storage_locked` or `storage_failed`. The file stays behind: deleting it would be a race. */
export function lockInstance(databasePath: string): InstanceLock {
  const path = `${databasePath}-lock`;
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: 0 });
    // The lock is all there is: nothing is ever written.
    db.pragma('journal_mode = MEMORY');
    db.exec('BEGIN EXCLUSIVE');
    const held = db;
    return { release: () => held.close() };
  } catch (cause) {
    db?.close();
    if (!isBusy(cause)) throw storageError(cause, `a lock file at ${path}`);
    throw new RegistryError(
      'storage_locked',
      `expected to be the only process on ${databasePath}, got another that holds ${path}`,
      { cause },
    );
  }
}
