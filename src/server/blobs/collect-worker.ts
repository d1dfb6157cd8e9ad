/**
 * The thread that finds the blobs that nothing names: a walk over all values, at the lowest priority. Nobody asks
 * how far it is; it says so because that is where it may be given up.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Hash } from '../../core/hash.ts';
import { walkTexts } from '../../store/sqlite-texts.ts';
import { reportOutcome, yieldToOthers } from '../reporting-thread.ts';
import { blobAddress, blobPaths } from './blob-paths.ts';
import type { CollectData } from './collector.ts';
import { namedBlobs } from './named-blobs.ts';

reportOutcome(
  async (
    { dataDir, databasePath, beforeMs }: CollectData,
    onProgress,
  ): Promise<readonly Hash[]> => {
    yieldToOthers();
    const goOn = () => onProgress({ done: 0, total: 1 });
    const unnamed = await olderBlobs(dataDir, beforeMs, goOn);
    for (const page of walkTexts(databasePath)) {
      goOn();
      if (unnamed.size === 0) break;
      for (const text of page) for (const address of namedBlobs(text)) unnamed.delete(address);
      await nextTurn();
    }
    return [...unnamed];
  },
);

async function olderBlobs(dataDir: string, beforeMs: number, goOn: () => void): Promise<Set<Hash>> {
  const older = new Set<Hash>();
  for (const shelf of blobPaths(dataDir).shelves) {
    goOn();
    for (const name of await readdir(shelf)) {
      const address = blobAddress(name);
      const found = await stat(join(shelf, name)).catch(() => undefined);
      if (address !== undefined && found !== undefined && found.mtimeMs < beforeMs)
        older.add(address);
    }
  }
  return older;
}
