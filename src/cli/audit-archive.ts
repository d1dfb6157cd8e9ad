/**
 * What a database has pruned, out of a snapshot from before: verified for itself, and believed only entry by entry,
 * where it has the same leaf.
 */
import { statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isEqualBytes } from '../core/bytes.ts';
import { cleanedUp, RegistryError } from '../core/error.ts';
import { hashOf } from '../core/hash.ts';
import { type AuditedDatabase, type AuditedEntry, openAudit } from '../server/audit.ts';
import { isSound, listSnapshots } from '../server/snapshot/catalogue.ts';
import { createDirectoryPlace } from '../server/snapshot/directory-place.ts';
import { unpackVerified } from '../server/snapshot/unpack-verified.ts';
import type { AuditedBytes } from './audit-entry.ts';
import type { Context } from './context.ts';
import { openListed, openSource, type SnapshotSource } from './snapshot-source.ts';
import { makeScratch, showUnpacking } from './unpacking.ts';

export interface Archive extends AsyncDisposable {
  /** The same entry with what was pruned of it; `undefined`: it is not here either. Throws `fork` for another one. */
  find(pruned: Pick<AuditedEntry, 'version' | 'leaf'>): Promise<AuditedBytes | undefined>;
  /** The rows of the set at a version, as far as they are here. */
  descriptors: AuditedDatabase['descriptors'];
}

/**
 * `which`: as for `snapshot verify`, or a directory, of which the snapshot is taken that reaches back the furthest.
 * Throws what unpacking and verifying it throws: `storage_foreign` for another registry.
 */
export async function openArchive(
  context: Context,
  which: string,
  audited: Pick<AuditedDatabase, 'entry'>,
): Promise<Archive> {
  const stack = new AsyncDisposableStack();
  try {
    const directory = await makeScratch(tmpdir());
    stack.defer(() => rm(directory, { recursive: true, force: true }));
    const registry = hashOf((await audited.entry(0)).payload);
    const { chunks, wanted } = await sourceOf(context, which);
    const { interrupt: signal, now } = context.io;
    const { path } = await showUnpacking(context, (onProgress) =>
      unpackVerified(chunks, { directory, wanted, registry, now, onProgress, signal }),
    );
    const database = stack.use(await openAudit(path));
    return {
      find: (pruned) => findIn(database, pruned),
      descriptors: (at) => database.descriptors(at),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    throw await cleanedUp(error, () => stack.disposeAsync());
  }
}

async function findIn(
  database: AuditedDatabase,
  { version, leaf }: Pick<AuditedEntry, 'version' | 'leaf'>,
): Promise<AuditedBytes | undefined> {
  if (version > database.version) return undefined;
  const entry = await database.entry(version);
  if (!isEqualBytes(entry.leaf, leaf))
    throw new RegistryError(
      'fork',
      `expected version ${version} of the snapshot to be that of the database, got another history`,
      { details: { version } },
    );
  const { payload, approvals } = entry;
  if (payload.length > 0) return { leaf, payload, approvals };
  return approvals.length > 0 ? { leaf, payload: null, approvals } : undefined;
}

async function sourceOf(context: Context, which: string): Promise<SnapshotSource> {
  if (statSync(which, { throwIfNoEntry: false })?.isDirectory() !== true)
    return await openSource(context, which);
  const place = createDirectoryPlace(which);
  // The newest comes first, and stays so among those that reach back as far.
  const [furthest] = (await listSnapshots(place))
    .filter(isSound)
    .sort((a, b) => a.header.oldest - b.header.oldest);
  if (furthest === undefined)
    throw new RegistryError('not_found', `expected a snapshot in ${which}, got none that is sound`);
  return await openListed(place, furthest);
}
