/** Snapshots of a database that no server of this process has open: what `Snapshots` needs of a store. */
import { stat } from 'node:fs/promises';
import { DatabaseCopy } from '../../store/sqlite-copy.ts';
import type { SnapshotParts } from './snapshots.ts';

/** Reads only, also while another process writes. */
export function copiedDatabase(path: string): SnapshotParts['store'] {
  const copy = new DatabaseCopy(path);
  return {
    snapshot: (target) => copy.run(target),
    storageBytes: async () => {
      const log = await stat(`${path}-wal`).catch(() => ({ size: 0 }));
      return (await stat(path)).size + log.size;
    },
  };
}
