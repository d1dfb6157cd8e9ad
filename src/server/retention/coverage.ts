/** What the snapshots in the data directory cover: each is read from end to end before anything rests on it. */
import type { Hash } from '../../core/hash.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import type { Log } from '../../telemetry/log.ts';
import { isSound, listSnapshots, type SoundSnapshot } from '../snapshot/catalogue.ts';
import { createDirectoryPlace } from '../snapshot/directory-place.ts';
import type { SnapshotPlace } from '../snapshot/place.ts';
import type { Snapshots } from '../snapshot/snapshots.ts';
import { openSnapshot, unpackSnapshot } from '../snapshot/unpack.ts';
import type { Coverage } from './retention.ts';

export interface CoverageParts {
  /** Of snapshots, which need not be there yet. */
  readonly directory: string;
  readonly snapshots: Pick<Snapshots, 'make'>;
  /** The genesis payload's hash; `undefined` before genesis. */
  readonly registry: () => Hash | undefined;
  readonly log: Pick<Log, 'warn'>;
}

export function snapshotCoverage(parts: CoverageParts): Coverage {
  const place = createDirectoryPlace(parts.directory);
  return {
    find: async ({ oldest, horizon }, signal) => {
      const registry = parts.registry();
      for (const listed of await listSnapshots(place)) {
        if (!isSound(listed) || listed.header.registry !== registry) continue;
        if (listed.header.oldest > oldest || sizeOf(listed) < horizon) continue;
        if (await isWhole(place, listed, { ...parts, signal })) return listed.name;
      }
      return undefined;
    },
    make: (signal) => parts.snapshots.make(signal),
  };
}

/** How many entries the checkpoint in it covers. */
function sizeOf({ header: { checkpoint } }: SoundSnapshot): number {
  return checkpoint === null ? 0 : readSignedCheckpoint(checkpoint).size;
}

/** Verified it was before it got its name; what a disk did to it since then shows when all of it is read. */
async function isWhole(
  place: SnapshotPlace,
  { name, id }: SoundSnapshot,
  { log, signal }: Pick<CoverageParts, 'log'> & { readonly signal: AbortSignal },
): Promise<boolean> {
  try {
    const opened = await openSnapshot(await place.read(name, { offset: 0 }));
    await unpackSnapshot(opened, { to: null, onProgress: () => undefined, signal });
    return opened.id === id;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    log.warn('a snapshot is damaged, and nothing is pruned because of it', { name, cause });
    return false;
  }
}
