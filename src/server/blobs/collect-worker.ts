/** The thread that finds the blobs that nothing names: a walk over all values, at the lowest priority. */
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
  async ({ dataDir, databasePath, beforeMs }: CollectData): Promise<readonly Hash[]> => {
    yieldToOthers();
    const unnamed = await olderBlobs(dataDir, beforeMs);
    for (const page of walkTexts(databasePath)) {
      if (unnamed.size === 0) break;
      for (const text of page) for (const address of namedBlobs(text)) unnamed.delete(address);
      await nextTurn();
    }
    return [...unnamed];
  },
);

async function olderBlobs(dataDir: string, beforeMs: number): Promise<Set<Hash>> {
  const older = new Set<Hash>();
  for (const shelf of blobPaths(dataDir).shelves)
    for (const name of await readdir(shelf)) {
      const address = blobAddress(name);
      const found = await stat(join(shelf, name)).catch(() => undefined);
      if (address !== undefined && found !== undefined && found.mtimeMs < beforeMs)
        older.add(address);
    }
  return older;
}
