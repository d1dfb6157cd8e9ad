/**
 * A process that lets go of what a store holds, and says what it was told, one line each: `opened`, `oldest`,
 * `pruned`, `erased`, `closed`, or `refused CODE`. `node store-letting-go-child.ts PATH`; it ends itself by SIGKILL
 * after an unknown outcome, as a server must.
 */
import { writeSync } from 'node:fs';
import { RegistryError } from '../../src/core/error.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { makeEntry } from './store-entries.ts';
import { ERASED, LETTING_GO_SIZE, OLDEST } from './store-letting-go.ts';

const [path = ''] = process.argv.slice(2);

function say(line: string): void {
  // Synchronous: what was said is out before anything can kill the process.
  writeSync(1, `${line}\n`);
}

try {
  const store = await openSqliteStore({
    path,
    metrics: { fsync: () => undefined, checkpointed: () => undefined },
    onFatal: () => process.kill(process.pid, 'SIGKILL'),
  });
  say('opened');
  const { oldest, erasures } = await store.retention();
  if (oldest < OLDEST) await store.setOldest(OLDEST);
  say('oldest');
  await store.prune();
  say('pruned');
  const entry = makeEntry(LETTING_GO_SIZE, { type: 'erase', erases: ERASED });
  if (erasures.length === 0)
    await store.append({ expected: LETTING_GO_SIZE - 1, entries: [entry] });
  say('erased');
  await store[Symbol.asyncDispose]();
  say('closed');
} catch (error) {
  const code = error instanceof RegistryError ? error.code : String(error);
  say(`refused ${code}`);
  if (code !== 'read_only') process.kill(process.pid, 'SIGKILL');
  process.exit(1);
}
