/** Writes a whole set into a file, as it would be streamed. What it wrote is the set only if it says so at its end. */
import { closeSync, openSync, rmSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { WholeSet } from '../../http/prepared-sets.ts';
import { setParts } from '../../http/set-body.ts';
import { isDamage } from '../../registry/stored.ts';
import { readWholeSet } from '../../registry/whole-set.ts';
import type { Retention, Store } from '../../store/store.ts';
import { ChunkWriter, type WrittenFile } from './chunks.ts';

export interface SetOrder {
  readonly set: WholeSet;
  /** Of a file that is not there yet. */
  readonly path: string;
  readonly maxBytes: number;
  /** On the disk of the file: what others need is left to them. */
  readonly minFreeBytes: number;
}

/** Plain data: a thread tells it. `too_large`: than `maxBytes`. `no_room`: on the disk. `let_go`: pruned or erased meanwhile. */
export type SetOutcome =
  | { readonly outcome: 'written'; readonly file: WrittenFile }
  | { readonly outcome: 'too_large' }
  | { readonly outcome: 'no_room' }
  | { readonly outcome: 'let_go' };

/** How often the disk is asked for its room. */
const LOOK_EVERY_BYTES = 16 * 1024 * 1024;

/** Throws `storage_damaged` where the rows do not give the set root. The file is there only if it was written whole. */
export async function writeSet(
  store: Pick<Store, 'set' | 'retention'>,
  order: SetOrder,
): Promise<SetOutcome> {
  const fd = openSync(order.path, 'wx', 0o600);
  let outcome: SetOutcome | undefined;
  try {
    outcome = await fill(store, order, new ChunkWriter(fd));
    return outcome;
  } catch (error) {
    if (isFull(error)) return { outcome: 'no_room' };
    // What was let go of is told in the same transaction as its rows go, or before: asked after, it is seen.
    if (isDamage(error) && isLetGo(await store.retention(), order.set))
      return { outcome: 'let_go' };
    throw error;
  } finally {
    closeSync(fd);
    if (outcome?.outcome !== 'written') rmSync(order.path, { force: true });
  }
}

async function fill(
  store: Pick<Store, 'set'>,
  { set, path, maxBytes, minFreeBytes }: SetOrder,
  writer: ChunkWriter,
): Promise<SetOutcome> {
  let lookAt = 0;
  for await (const part of setParts({ ...set, pages: readWholeSet(store, set) }, set.origin)) {
    if (writer.bytes + part.length > maxBytes) return { outcome: 'too_large' };
    if (writer.bytes >= lookAt) {
      if (freeBytes(dirname(path)) < minFreeBytes + LOOK_EVERY_BYTES) return { outcome: 'no_room' };
      lookAt = writer.bytes + LOOK_EVERY_BYTES;
    }
    writer.write(part);
  }
  return { outcome: 'written', file: writer.end() };
}

/** Whether rows of a set may be missing, or without their bytes. */
function isLetGo({ oldest, erasures }: Retention, { version }: WholeSet): boolean {
  return version < oldest || erasures.some((one) => one.version <= version && version < one.until);
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

function isFull(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return error.code === 'ENOSPC' || error.code === 'EDQUOT';
}
