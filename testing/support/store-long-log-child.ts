/**
 * A process that writes to a SQLite store behind a reader of its own until the write-ahead log is long; when its standard
 * input ends it lets the reader go, and waits until the log is short again. It says what it was told, one line each:
 * `ack V`, `long`, `short`, `closed`, `read_only`, `unknown`, `fatal CODE`. `node store-long-log-child.ts PATH`; it ends
 * itself by SIGKILL after an unknown outcome, as a server must.
 */
import { statSync, writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { RegistryError } from '../../src/core/error.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { makeEntry, makeProposal } from './store-entries.ts';
import { changesAt } from './store-log.ts';

const MIB = 1024 * 1024;
const LONG_BYTES = 20 * MIB;
/** What the lane folds by itself. */
const SHORT_BYTES = 8 * MIB;
const PROPOSAL_BYTES = 4 * MIB;
const PAUSE_MS = 5;

const [path = ''] = process.argv.slice(2);

function say(line: string): void {
  // Synchronous: what was said is out before anything can kill the process.
  writeSync(1, `${line}\n`);
}

function end(line: string): never {
  say(line);
  process.kill(process.pid, 'SIGKILL');
  throw new Error('expected to be dead');
}

function logBytes(): number {
  return statSync(`${path}-wal`).size;
}

const store = await openSqliteStore({
  path,
  metrics: { fsync: () => undefined, checkpointed: () => undefined },
  onFatal: ({ code }) => end(`fatal ${code}`),
});

/** `read_only` is an answer; whatever else is refused is unknown. */
async function attempt(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'read_only') say('read_only');
    else end('unknown');
    return false;
  }
}

async function append(): Promise<void> {
  const version = ((await store.head())?.version ?? -1) + 1;
  const entry = makeEntry(version, { changes: changesAt(version) });
  if (await attempt(() => store.append({ expected: version - 1, entries: [entry] })))
    say(`ack ${version}`);
}

const reader = new Database(path, { readonly: true });
reader.exec('BEGIN');
reader.prepare('SELECT count(*) FROM entries').get();
for (let n = 0; logBytes() < LONG_BYTES; n++) {
  const payload = new Uint8Array(PROPOSAL_BYTES).fill(n);
  await attempt(() => store.putProposal({ ...makeProposal(`large ${n}`), payload }));
}
await append();
say('long');
await text(process.stdin);
reader.close();
while (logBytes() > SHORT_BYTES) await delay(PAUSE_MS);
say('short');
await append();
await store[Symbol.asyncDispose]();
say('closed');
