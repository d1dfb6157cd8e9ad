/** What somebody can do who can write the file of a database. */
import type Database from 'better-sqlite3';

/** The triggers are away for a moment. */
export function withoutTriggers(db: Database.Database, change: () => void): void {
  db.pragma('foreign_keys = OFF');
  const triggers = db
    .prepare<[], { name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'",
    )
    .all();
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  change();
  for (const { sql } of triggers) db.exec(sql);
}
