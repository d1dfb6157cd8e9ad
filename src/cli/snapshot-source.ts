/** The snapshot that a command's argument means: a file, standard input, or a name or id in a place. */
import { join } from 'node:path';
import { isHash } from '../core/hash.ts';
import { findSnapshot } from '../server/snapshot/catalogue.ts';
import { createDirectoryPlace, readFrom } from '../server/snapshot/directory-place.ts';
import type { SnapshotPlace } from '../server/snapshot/place.ts';
import { isS3Address } from '../server/snapshot/s3/address.ts';
import type { Chunks } from '../server/snapshot/unpack.ts';
import type { Context } from './context.ts';

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

/** `place`: where an id is looked for. Throws `not_found`, or the stream does. */
export async function openSource(
  world: World,
  which: string,
  place: string = DEFAULT_PLACE,
): Promise<Chunks> {
  if (which === '-') return world.io.stdin;
  if (isS3Address(which)) return openNamed(world, which);
  if (!isHash(which)) return readFrom(which, 0);
  const opened = await openPlace(world, place);
  return opened.read(await findSnapshot(opened, which), { offset: 0 });
}

async function openNamed(world: World, address: string): Promise<Chunks> {
  const end = address.lastIndexOf('/');
  const place = await openPlace(world, address.slice(0, end));
  return place.read(address.slice(end + 1), { offset: 0 });
}
