/**
 * Loaded into a measured server before all else (`--import`): prints when each transaction was durable, by the
 * clock that all processes of a machine share. In the thread that committed, so that the way from there to
 * whoever waits for it is part of what is measured, and so is this line.
 */
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { formatDurable } from './durable.ts';

// The main thread only reads.
if (!isMainThread) {
  const exec = Database.prototype.exec;
  Database.prototype.exec = function (this: Database.Database, sql: string) {
    const answer = exec.call(this, sql);
    if (sql === 'COMMIT') writeSync(1, `${formatDurable(process.hrtime.bigint())}\n`);
    return answer;
  };
}
