/**
 * What the snapshots in the data directory cover: of each the history is held against the registry's own, and all
 * of it is read, before anything rests on it.
 */
import { isEqualBytes } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import { loadTree } from '../../registry/log-nodes.ts';
import type { Store } from '../../store/store.ts';
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
  /** Of the registry. */
  readonly store: Pick<Store, 'entry' | 'nodes'>;
  readonly log: Pick<Log, 'warn'>;
}

export function snapshotCoverage(parts: CoverageParts): Coverage {
  const place = createDirectoryPlace(parts.directory);
  return {
    find: async ({ oldest, horizon }, signal) => {
      const registry = parts.registry();
      for (const listed of await listSnapshots(place)) {
        if (!isSound(listed) || listed.header.registry !== registry) continue;
        if (listed.header.oldest > oldest) continue;
        if ((await coveredIn(listed, parts)) < horizon) continue;
        if (await isWhole(place, listed, { ...parts, signal })) return listed.name;
      }
      return undefined;
    },
    make: (signal) => parts.snapshots.make(signal),
  };
}

/**
 * How many entries of the registry the checkpoint in it covers. None of another history, which begins with the
 * same genesis where a registry went on from an older snapshot.
 */
async function coveredIn(
  { name, header: { checkpoint: note, version, entryHash } }: SoundSnapshot,
  { store, log }: Pick<CoverageParts, 'store' | 'log'>,
): Promise<number> {
  const checkpoint = note === null ? null : readCheckpoint(note);
  if (checkpoint === null) return 0;
  const { size, root } = checkpoint;
  const entry = await store.entry(version);
  if (entry?.entryHash === entryHash && size <= version + 1) {
    const tree = await loadTree(store, size);
    if (isEqualBytes(tree.root, root)) return size;
  }
  log.warn('a snapshot is of another history, and nothing is pruned because of it', { name });
  return 0;
}

/** `null`: it is none. */
function readCheckpoint(note: string) {
  try {
    return readSignedCheckpoint(note);
  } catch (error) {
    if (error instanceof RegistryError) return null;
    throw error;
  }
}

/** Verified it was before it got its name; what a disk did to it since then shows when all of it is read. */
async function isWhole(
  place: SnapshotPlace,
  { name, id }: SoundSnapshot,
  { log, signal }: Pick<CoverageParts, 'log'> & { readonly signal: AbortSignal },
): Promise<boolean> {
  try {
    const opened = await openSnapshot(await place.read(name, { offset: 0 }), id);
    await unpackSnapshot(opened, { to: null, onProgress: () => undefined, signal });
    return true;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    log.warn('a snapshot is damaged, and nothing is pruned because of it', { name, cause });
    return false;
  }
}
