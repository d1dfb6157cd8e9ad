/**
 * A process that appends to a SQLite store and says what it was told, one line each: `opened`,
 * `ack V`, `read_only V`, `unknown V`, `fatal CODE`, `closed`, or `refused CODE` when it cannot open.
 * `node store-child.ts PATH COUNT`; it ends itself by SIGKILL after an unknown outcome, as a server must.
 */
import { writeSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { RegistryError } from '../../src/core/error.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { makeEntry } from './store-entries.ts';
import { changesAt } from './store-log.ts';

const [path = '', count = '0'] = process.argv.slice(2);

function say(line: string): void {
  // Synchronous: what was said is out before anything can kill the process.
  writeSync(1, `${line}\n`);
}

function codeOf(error: unknown): string {
  return error instanceof RegistryError ? error.code : String(error);
}

async function open(): Promise<Store> {
  try {
    const metrics = { fsync: () => undefined, checkpointed: () => undefined };
    return await openSqliteStore({ path, metrics, onFatal: (e) => say(`fatal ${e.code}`) });
  } catch (error) {
    say(`refused ${codeOf(error)}`);
    process.exit(1);
  }
}

/** Answers whether to go on. */
async function append(store: Store, version: number): Promise<boolean> {
  const entry = makeEntry(version, { changes: changesAt(version) });
  try {
    const answer = await store.append({ expected: version - 1, entries: [entry] });
    if (!isDeepStrictEqual(answer, { outcome: 'appended', head: version })) say('wrong answer');
    say(`ack ${version}`);
    return true;
  } catch (error) {
    const code = codeOf(error);
    say(code === 'read_only' ? `read_only ${version}` : `unknown ${version}`);
    return code === 'read_only';
  }
}

const store = await open();
say('opened');
for (let done = 0; done < Number(count); done++) {
  const version = ((await store.head())?.version ?? -1) + 1;
  if (await append(store, version)) continue;
  // Nothing may be acknowledged any more, whatever the disk says now.
  await append(store, version);
  await append(store, version + 1);
  process.kill(process.pid, 'SIGKILL');
}
try {
  await store[Symbol.asyncDispose]();
  say('closed');
} catch {
  process.kill(process.pid, 'SIGKILL');
}
