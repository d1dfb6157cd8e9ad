/** The snapshot that a command's argument means: a file, standard input, or a name or id in a place. */
import { basename, join } from 'node:path';
import { isHash } from '../core/hash.ts';
import { findSnapshot, type SoundSnapshot } from '../server/snapshot/catalogue.ts';
import { createDirectoryPlace, readFrom } from '../server/snapshot/directory-place.ts';
import { isSnapshotName } from '../server/snapshot/header.ts';
import type { SnapshotPlace } from '../server/snapshot/place.ts';
import { isS3Address } from '../server/snapshot/s3/address.ts';
import type { Chunks } from '../server/snapshot/unpack.ts';
import type { Context } from './context.ts';
import { usageError } from './failure.ts';

export const DEFAULT_PLACE = join('data', 'snapshots');
/** What an argument that means a snapshot may be. */
export const WHICH = 'a file, - for stdin, s3://bucket/prefix/NAME.qsnap, or an id (b3:...)';
/** What an option or argument that means a place may be. */
export const PLACE = 'a directory, or s3://bucket/prefix';

type World = Pick<Context, 'io'>;

/** Throws `invalid_request` for a place in S3 that is not written as one, or cannot be asked from here. */
export async function openPlace({ io }: World, text: string): Promise<SnapshotPlace> {
  if (!isS3Address(text)) return createDirectoryPlace(text);
  // What speaks S3 is optional, and slow to load.
  const { openS3Place } = await import('../server/snapshot/s3/place.ts');
  return openS3Place(text, { env: io.env, signal: io.interrupt, now: io.now });
}

export interface SnapshotSource {
  readonly chunks: Chunks;
  /** The id or name that was asked for, which what comes must have; `undefined`: a file of any name, or standard input. */
  readonly wanted: string | undefined;
}

export interface SourceFlags {
  /** Where an id is looked for. */
  readonly in: string;
  /** That it must have. */
  readonly id?: string;
}

/** Throws `not_found`, or the stream does. */
export async function openSource(
  world: World,
  which: string,
  { in: place, id }: SourceFlags = { in: DEFAULT_PLACE },
): Promise<SnapshotSource> {
  if (id === undefined) return openWhich(world, which, place);
  if (!isHash(id)) throw usageError(`expected --id with an id (b3:...), got ${id}`);
  if (isHash(which) && which !== id) throw usageError(`expected one id, got ${which} and ${id}`);
  return { ...(await openWhich(world, which, place)), wanted: id };
}

async function openWhich(world: World, which: string, place: string): Promise<SnapshotSource> {
  if (which === '-') return { chunks: world.io.stdin, wanted: undefined };
  if (isS3Address(which)) return openNamed(world, which);
  if (isHash(which)) {
    const opened = await openPlace(world, place);
    return openListed(opened, await findSnapshot(opened, which));
  }
  const name = basename(which);
  return { chunks: readFrom(which, 0), wanted: isSnapshotName(name) ? name : undefined };
}

/** Between the list and this another one may have taken the name. */
export async function openListed(
  place: SnapshotPlace,
  { name, id }: SoundSnapshot,
): Promise<SnapshotSource> {
  return { chunks: await place.read(name, { offset: 0 }), wanted: id };
}

async function openNamed(world: World, address: string): Promise<SnapshotSource> {
  const end = address.lastIndexOf('/');
  const [place, name] = [await openPlace(world, address.slice(0, end)), address.slice(end + 1)];
  return { chunks: await place.read(name, { offset: 0 }), wanted: name };
}
