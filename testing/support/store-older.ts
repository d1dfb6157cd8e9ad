/** Databases as programs of older schema versions left them. */
import Database from 'better-sqlite3';
import { CommitLane } from '../../src/store/commit-lane.ts';
import { DROPPED_BY_VERSION_3, SCHEMA_OF_VERSION_2 } from '../../src/store/sqlite-schema.ts';
import { makeEntry } from './store-entries.ts';
import { changesAt } from './store-log.ts';

export type OlderVersion = 1 | 2;

/** What version 3 added goes, and what it dropped comes back, as it was. */
const TO_VERSION_2 = [
  'DROP TABLE retention',
  'DROP TABLE erasures',
  ...['entries_let_go', 'spans_keep', 'spans_let_go', 'spans_pruned', 'descriptors_pruned'].map(
    (name) => `DROP TRIGGER ${name}`,
  ),
  ...SCHEMA_OF_VERSION_2.filter((statement) =>
    DROPPED_BY_VERSION_3.some((name) => statement.startsWith(`CREATE TRIGGER ${name} `)),
  ),
];
const TO_VERSION_1 = [
  'DROP TABLE nodes',
  'DROP TABLE checkpoint',
  'DROP INDEX approvals_twice',
  'DROP INDEX entries_payload_twice',
];

/** A closed one with a log of this many entries. */
export function makeOlder(path: string, version: OlderVersion, size: number): void {
  const lane = new CommitLane(path);
  const entries = Array.from({ length: size }, (_, version) =>
    makeEntry(version, { changes: changesAt(version) }),
  );
  lane.run([{ type: 'append', expected: -1, entries }]);
  lane.close();
  const db = new Database(path);
  toVersion2(db);
  if (version === 1) {
    for (const statement of TO_VERSION_1) db.exec(statement);
    db.exec('PRAGMA user_version = 1; VACUUM');
  }
  db.close();
}

export function toVersion2(db: Database.Database): void {
  for (const statement of TO_VERSION_2) db.exec(statement);
  db.exec('PRAGMA user_version = 2; VACUUM');
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
