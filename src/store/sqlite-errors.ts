/** SQLite's and the file system's failures, as the registry's codes and in words that help. */
import Database from 'better-sqlite3';
import { type ErrorCode, firstError, RegistryError } from '../core/error.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly hint: string;
}

const DAMAGED: Meaning = {
  code: 'storage_damaged',
  hint: 'the file is damaged or no database: restore it from a backup or a replica',
};
const READ_ONLY: Meaning = {
  code: 'storage_failed',
  hint: 'the file, its directory or its file system is read-only for this user',
};
const FULL: Meaning = { code: 'storage_failed', hint: 'no space is left: free some' };
const CANNOT_OPEN: Meaning = {
  code: 'storage_failed',
  hint: 'the file or its directory is missing, or this user may not write to it',
};

/** By the beginning of the code, so that extended codes share the meaning of their family. */
const MEANINGS: readonly (readonly [string, Meaning])[] = [
  ['SQLITE_CORRUPT', DAMAGED],
  ['SQLITE_NOTADB', DAMAGED],
  ['SQLITE_READONLY', READ_ONLY],
  ['EROFS', READ_ONLY],
  ['SQLITE_FULL', FULL],
  ['ENOSPC', FULL],
  ['SQLITE_CANTOPEN', CANNOT_OPEN],
  ['EACCES', CANNOT_OPEN],
  ['EPERM', CANNOT_OPEN],
  ['ENOENT', CANNOT_OPEN],
  ['ENOTDIR', CANNOT_OPEN],
  ['SQLITE_BUSY', { code: 'storage_locked', hint: 'another process holds its lock' }],
  ['SQLITE_IOERR', { code: 'storage_failed', hint: 'the disk or the file system failed' }],
];

/** SQLite's code, e.g. `SQLITE_IOERR_FSYNC`; `undefined` for an error that is not SQLite's. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code : undefined;
}

/** SQLite undid the statement: certainly nothing was written. */
export function isFull(error: unknown): boolean {
  return sqliteCode(error)?.startsWith('SQLITE_FULL') ?? false;
}

/** Of the file system, not SQLite's. */
export function hasNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(error));
}

export function isBusy(error: unknown): boolean {
  return sqliteCode(error)?.startsWith('SQLITE_BUSY') ?? false;
}

/** `expected`: what was tried, e.g. `a writable database at /data/quorate.db`. */
export function storageError(cause: unknown, expected: string): RegistryError {
  const first = firstError(cause);
  if (first instanceof RegistryError) return first;
  const code = codeOf(first);
  const meaning = MEANINGS.find(([beginning]) => code.startsWith(beginning))?.[1];
  const message = first instanceof Error ? first.message : String(first);
  return new RegistryError(
    meaning?.code ?? 'storage_failed',
    `expected ${expected}, got ${code} (${message})${meaning === undefined ? '' : `: ${meaning.hint}`}`,
    { cause, details: { reason: code } },
  );
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return error.code;
  return error instanceof Error ? error.name : 'an unknown error';
}
