/**
 * SQLite's own check of tables against their indexes. Every column of an index is stored twice, so a
 * byte that a disk changed in a key, a version or a row's place shows as two that disagree. Contents are
 * not checked here: those are re-hashed when they are read.
 */
import type Database from 'better-sqlite3';
import { excerpt, RegistryError } from '../core/error.ts';

/** What finds descriptors by key and version. About 1.5 microseconds a row. */
export const DESCRIPTOR_TABLES = ['descriptors', 'spans'] as const;
/** As few rows as there are proposals in flight and erasures, and the checkpoint. */
export const SMALL_TABLES = [
  'proposals',
  'approvals',
  'checkpoint',
  'retention',
  'erasures',
] as const;

/** Throws `storage_damaged`. */
export function assertIndexesAgree(
  db: Database.Database,
  tables: readonly (typeof DESCRIPTOR_TABLES | typeof SMALL_TABLES)[number][],
): void {
  for (const table of tables) {
    const found = db.pragma(`integrity_check(${table})`, { simple: true });
    if (found !== 'ok')
      throw new RegistryError(
        'storage_damaged',
        `expected the table ${table} and its indexes to agree, got ${excerpt(found)}: restore the database from a backup or a replica`,
      );
  }
}

/** The same of a whole file, that each of its pages is in its place, and each approval one of a proposal. Throws `storage_damaged`. */
export function assertSound(db: Database.Database): void {
  const found = db.pragma('integrity_check(1)', { simple: true });
  if (found !== 'ok')
    throw new RegistryError(
      'storage_damaged',
      `expected a database that passes its own check, got ${excerpt(found)}: restore it from a backup or a replica`,
    );
  // What other rows refer to, entries say.
  const strays = db.prepare("SELECT 1 FROM pragma_foreign_key_check('approvals') LIMIT 1").all();
  if (strays.length > 0)
    throw new RegistryError(
      'storage_damaged',
      'expected each approval in flight to be of a proposal, got one of none: restore the database from a backup or a replica',
    );
}
