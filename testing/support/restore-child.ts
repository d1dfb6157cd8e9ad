/**
 * A process that restores a snapshot into a data directory and says how it went: `done`, or `refused CODE`.
 * `node restore-child.ts SNAPSHOT DIRECTORY [DATABASE]`: with a database, what that has more is appended.
 */
import { writeSync } from 'node:fs';
import { RegistryError } from '../../src/core/error.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { openMissing } from '../../src/server/snapshot/append-missing.ts';
import { readFrom } from '../../src/server/snapshot/directory-place.ts';
import { restoreSnapshot } from '../../src/server/snapshot/restore.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';

const [snapshot = '', dataDir = '', newer] = process.argv.slice(2);

function say(line: string): void {
  // Synchronous: what was said is out before anything can kill the process.
  writeSync(1, `${line}\n`);
}

/** One by one, as from pages of a service, then the checkpoint. */
async function catchUp(path: string, from: string): Promise<void> {
  await using there = openSqliteReader({ path: from });
  await using missing = await openMissing(path, createNativeVerifier());
  for (;;) {
    const next = missing.chain?.tree.size ?? 0;
    const entries = await there.entries({ from: next, limit: 1 });
    if (entries.length === 0) break;
    await missing.append(entries);
  }
  const note = await there.checkpoint();
  if (note !== undefined) await missing.keepCheckpoint(note);
}

try {
  await restoreSnapshot(readFrom(snapshot, 0), {
    dataDir,
    registry: undefined,
    onProgress: () => undefined,
    judge: async ({ path }) => {
      if (newer !== undefined) await catchUp(path, newer);
    },
    signal: new AbortController().signal,
  });
  say('done');
} catch (error) {
  say(`refused ${error instanceof RegistryError ? error.code : error}`);
}
