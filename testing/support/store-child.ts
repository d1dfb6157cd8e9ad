/**
 * A process that appends to a SQLite store, keeps a checkpoint after each append, and says what it was
 * told, one line each: `opened`, `ack V`, `kept V`, `read_only V`, `unknown V` (of a checkpoint:
 * `unknown checkpoint V`), `fatal CODE`, `closed`, or `refused CODE` when it cannot open.
 * `node store-child.ts PATH COUNT`; it ends itself by SIGKILL after an unknown outcome, as a server must.
 * With `catch-up` as a third argument the main file is brought up to the log after each, and `caught up` said.
 */
import { writeSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { RegistryError } from '../../src/core/error.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { EMPTY_VERSION, type Store } from '../../src/store/store.ts';
import { makeEntry } from './store-entries.ts';
import { changesAt, checkpointAt } from './store-log.ts';

const [path = '', count = '0', mode] = process.argv.slice(2);
const isCatchingUp = mode === 'catch-up';
const SLEEP = new Int32Array(new SharedArrayBuffer(4));
let caughtUp = Promise.withResolvers<void>();

/** Synchronous: what was said is out before anything can kill the process. */
function say(line: string): void {
  for (let left = Buffer.from(`${line}\n`); left.length > 0; )
    try {
      left = left.subarray(writeSync(1, left));
    } catch (error) {
      // Whoever listens is behind.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(SLEEP, 0, 0, 1);
    }
}

function codeOf(error: unknown): string {
  return error instanceof RegistryError ? error.code : String(error);
}

async function open(): Promise<Store> {
  try {
    const metrics = { fsync: () => undefined, checkpointed: () => caughtUp.resolve() };
    const onFatal = (error: RegistryError) => {
      say(`fatal ${error.code}`);
      if (isCatchingUp) process.kill(process.pid, 'SIGKILL');
    };
    return await openSqliteStore({ path, metrics, onFatal, ...(isCatchingUp && { catchUpMs: 5 }) });
  } catch (error) {
    say(`refused ${codeOf(error)}`);
    process.exit(1);
  }
}

/** Answers whether to go on. */
async function attempt(
  write: () => Promise<void>,
  { done, what }: { readonly done: string; readonly what: string },
): Promise<boolean> {
  try {
    await write();
    say(done);
    return true;
  } catch (error) {
    const code = codeOf(error);
    say(code === 'read_only' ? `read_only ${what}` : `unknown ${what}`);
    return code === 'read_only';
  }
}

async function headOf(store: Store): Promise<number> {
  return (await store.head())?.version ?? EMPTY_VERSION;
}

function append(store: Store, version: number): Promise<boolean> {
  const entry = makeEntry(version, { changes: changesAt(version) });
  const write = async () => {
    const answer = await store.append({ expected: version - 1, entries: [entry] });
    if (!isDeepStrictEqual(answer, { outcome: 'appended', head: version })) say('wrong answer');
  };
  return attempt(write, { done: `ack ${version}`, what: `${version}` });
}

/** Keeps a checkpoint of what is in the log. */
async function keep(store: Store): Promise<boolean> {
  const version = await headOf(store);
  const write = () => store.putCheckpoint(checkpointAt(version));
  return attempt(write, { done: `kept ${version}`, what: `checkpoint ${version}` });
}

async function catchUp(): Promise<boolean> {
  if (!isCatchingUp) return true;
  caughtUp = Promise.withResolvers();
  await caughtUp.promise;
  say('caught up');
  return true;
}

const store = await open();
say('opened');
for (let done = 0; done < Number(count); done++) {
  const version = (await headOf(store)) + 1;
  if ((await append(store, version)) && (await keep(store)) && (await catchUp())) continue;
  // Nothing may be acknowledged any more, whatever the disk says now.
  await append(store, version);
  await keep(store);
  await append(store, version + 1);
  process.kill(process.pid, 'SIGKILL');
}
try {
  await store[Symbol.asyncDispose]();
  say('closed');
} catch {
  process.kill(process.pid, 'SIGKILL');
}
