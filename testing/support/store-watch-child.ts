/**
 * A process that appends one entry to a new SQLite store and reads the head all the while:
 * `node store-watch-child.ts PATH` prints how often it read, and the milliseconds until it saw the entry.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { makeEntry } from './store-entries.ts';

const store = await openSqliteStore({
  path: process.argv[2] ?? '',
  metrics: { fsync: () => undefined, checkpointed: () => undefined },
  onFatal: (error) => {
    throw error;
  },
});
const start = performance.now();
const append = store.append({ expected: -1, entries: [makeEntry(0)] });
let reads = 0;
while ((await store.head()) === undefined) {
  reads++;
  await nextTurn();
}
process.stdout.write(`${reads} ${performance.now() - start}\n`);
await append;
await store[Symbol.asyncDispose]();
