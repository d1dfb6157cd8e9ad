/**
 * What the snapshots in the data directory cover: of each the history is held against the registry's own, all of it
 * is read, and verified unless that was done here, before anything rests on it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isEqualBytes } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { readSignedCheckpoint } from '../../core/tlog/note-signatures.ts';
import { loadTree } from '../../registry/log-nodes.ts';
import type { Store } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';
import { isSound, listSnapshots, type SoundSnapshot } from '../snapshot/catalogue.ts';
import { createDirectoryPlace, syncPlaced } from '../snapshot/directory-place.ts';
import type { SnapshotPlace } from '../snapshot/place.ts';
import type { Snapshots } from '../snapshot/snapshots.ts';
import { type Chunks, openSnapshot, unpackSnapshot } from '../snapshot/unpack.ts';
import { unpackVerified } from '../snapshot/unpack-verified.ts';
import type { Coverage } from './retention.ts';

export interface CoverageParts {
  /** Of snapshots, which need not be there yet. */
  readonly directory: string;
  readonly snapshots: Pick<Snapshots, 'make' | 'hasMade' | 'assertRoom'>;
  /** The genesis payload's hash; `undefined` before genesis. */
  readonly registry: () => Hash | undefined;
  /** Of the registry. */
  readonly store: Pick<Store, 'entry' | 'nodes'>;
  readonly log: Pick<Log, 'warn'>;
}

export function snapshotCoverage(parts: CoverageParts): Coverage {
  const { directory, snapshots } = parts;
  const place = createDirectoryPlace(directory);
  const verified = new Set<Hash>();
  // Of a process that was killed while it verified.
  const cleaned = clean(directory);
  return {
    find: async ({ oldest, horizon }, signal) => {
      await cleaned;
      const registry = parts.registry();
      for (const listed of await listSnapshots(place)) {
        if (!isSound(listed) || listed.header.registry !== registry) continue;
        if (listed.header.oldest > oldest) continue;
        if ((await coveredIn(listed, parts)) < horizon) continue;
        const isVerified = verified.has(listed.id) || snapshots.hasMade(listed.id);
        if (!(await isWhole(place, listed, { ...parts, isVerified, signal }))) continue;
        verified.add(listed.id);
        return listed.name;
      }
      return undefined;
    },
    make: (signal) => snapshots.make(signal),
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

interface Wholeness extends Pick<CoverageParts, 'directory' | 'snapshots' | 'log'> {
  /** What has its id: the id names every byte, so that it is enough to hash them. */
  readonly isVerified: boolean;
  readonly signal: AbortSignal;
}

/** Whether it is what its header says, and durable. */
async function isWhole(
  place: SnapshotPlace,
  listed: SoundSnapshot,
  { isVerified, ...parts }: Wholeness,
): Promise<boolean> {
  const { name, id } = listed;
  const { directory, log, signal } = parts;
  try {
    const chunks = await place.read(name, { offset: 0 });
    if (isVerified) await assertContent(chunks, id, signal);
    else await assertVerified(chunks, listed, parts);
    // It may have been copied here a moment ago.
    await syncPlaced(directory, name);
    return true;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    log.warn('a snapshot could not be verified, and nothing is pruned because of it', {
      name,
      cause,
    });
    return false;
  }
}

async function assertContent(chunks: Chunks, id: Hash, signal: AbortSignal): Promise<void> {
  const opened = await openSnapshot(chunks, id);
  await unpackSnapshot(opened, { to: null, onProgress: () => undefined, signal });
}

/** Of one that anybody may have put there. */
async function assertVerified(
  chunks: Chunks,
  { id, header: { registry, bytes } }: SoundSnapshot,
  { directory, snapshots, signal }: Omit<Wholeness, 'isVerified'>,
): Promise<void> {
  await snapshots.assertRoom(directory, bytes);
  const scratch = join(directory, SCRATCH);
  await mkdir(scratch, { mode: 0o700 });
  try {
    const onProgress = () => undefined;
    await unpackVerified(chunks, {
      directory: scratch,
      wanted: id,
      registry,
      onProgress,
      signal,
    });
  } finally {
    await clean(directory);
  }
}

const SCRATCH = '.verifying';

/** Never rejects: where it cannot be removed the next one cannot be made, which is said. */
async function clean(directory: string): Promise<void> {
  await rm(join(directory, SCRATCH), { recursive: true, force: true }).catch(() => undefined);
}
