/** Walks the log of the database named on its command line in a thread, as a server does, and prints what came of it. */
import { loadTree } from '../../src/registry/log-nodes.ts';
import { walkInThread } from '../../src/server/log-walk.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';

const [path = ''] = process.argv.slice(2);
const store = openSqliteReader({ path });
const head = await store.head();
if (head === undefined) throw new Error('expected a log, got none');
const { version, entryHash } = head;
const { root } = await loadTree(store, version + 1);
await store[Symbol.asyncDispose]();
// A walk that nobody waits for holds up no end of the process; a server does.
const running = setInterval(() => undefined, 1_000);
await walkInThread(path)({
  end: { version, entryHash, root },
  isAwaited: false,
  signal: new AbortController().signal,
  onProgress: (checked) => console.log(`${checked} checked`),
});
clearInterval(running);
console.log('whole');
