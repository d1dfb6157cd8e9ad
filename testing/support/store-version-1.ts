/** Databases as programs of schema version 1 left them. */
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { makeEntry } from './store-entries.ts';
import { changesAt } from './store-log.ts';

/** A closed one with a log of this many entries. */
export function makeVersion1(path: string, size: number): void {
  const lane = new CommitLane(path);
  const entries = Array.from({ length: size }, (_, version) =>
    makeEntry(version, { changes: changesAt(version) }),
  );
  lane.run([{ type: 'append', expected: -1, entries }]);
  lane.close();
  const db = new Database(path);
  // What version 2 added, and nothing else: the statements of version 1 stay as they were run.
  db.exec(
    'DROP TABLE nodes; DROP TABLE checkpoint; DROP INDEX approvals_twice; DROP INDEX entries_payload_twice; PRAGMA user_version = 1; VACUUM',
  );
  db.close();
}

export interface Identity {
  readonly version: unknown;
  /** The text of every table, index and trigger, sorted. */
  readonly statements: readonly string[];
}

export function identityOf(path: string): Identity {
  const db = new Database(path, { readonly: true });
  const statements = db
    .prepare<[], string>("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY sql")
    .pluck()
    .all();
  const version = db.pragma('user_version', { simple: true });
  db.close();
  return { version, statements };
}
