/**
 * A process that restores a snapshot into a data directory and says how it went: `done`, or `refused CODE`.
 * `node restore-child.ts SNAPSHOT DIRECTORY`.
 */
import { writeSync } from 'node:fs';
import { RegistryError } from '../../src/core/error.ts';
import { readFrom } from '../../src/server/snapshot/directory-place.ts';
import { restoreSnapshot } from '../../src/server/snapshot/restore.ts';

const [snapshot = '', dataDir = ''] = process.argv.slice(2);

function say(line: string): void {
  // Synchronous: what was said is out before anything can kill the process.
  writeSync(1, `${line}\n`);
}

try {
  await restoreSnapshot(readFrom(snapshot, 0), {
    dataDir,
    registry: undefined,
    onProgress: () => undefined,
    judge: async () => undefined,
    signal: new AbortController().signal,
  });
  say('done');
} catch (error) {
  say(`refused ${error instanceof RegistryError ? error.code : error}`);
}
