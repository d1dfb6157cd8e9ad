/**
 * Loaded into a measured server before all else (`--import`): prints when each transaction with new entries was
 * durable, by the clock that all processes of a machine share. In the thread that committed, so that the way
 * from there to whoever waits for it is part of what is measured, and so is this line.
 */
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import Database from 'better-sqlite3';
import type { Write } from '../../src/store/lane-messages.ts';
import { SqliteWriter } from '../../src/store/sqlite-write.ts';
import { formatDurable } from './durable.ts';

// The main thread only reads.
if (!isMainThread) tellDurable();

function tellDurable(): void {
  const { apply } = SqliteWriter.prototype;
  const { exec } = Database.prototype;
  let hasEntries = false;
  SqliteWriter.prototype.apply = function (this: SqliteWriter, write: Write) {
    // Proposals, approvals and checkpoints are transactions too.
    if (write.type === 'append') hasEntries = true;
    return apply.call(this, write);
  };
  Database.prototype.exec = function (this: Database.Database, sql: string) {
    const answer = exec.call(this, sql);
    if (sql === 'COMMIT' && hasEntries) {
      writeSync(1, `${formatDurable(process.hrtime.bigint())}\n`);
      hasEntries = false;
    }
    return answer;
  };
}
