/** The snapshot that a command's argument means: a file, standard input, or a name or id in a place. */
import { join } from 'node:path';
import { isHash } from '../core/hash.ts';
import { findSnapshot } from '../server/snapshot/catalogue.ts';
import { createDirectoryPlace, readFrom } from '../server/snapshot/directory-place.ts';
import type { SnapshotPlace } from '../server/snapshot/place.ts';
import type { Chunks } from '../server/snapshot/unpack.ts';
import type { Context } from './context.ts';

export const DEFAULT_PLACE = join('data', 'snapshots');
/** What an argument that means a snapshot may be. */
export const WHICH = 'a file, - for stdin, or an id (b3:...)';

export function openPlace(text: string): SnapshotPlace {
  return createDirectoryPlace(text);
}

/** `place`: where an id is looked for. Throws `not_found`, or the stream does. */
export async function openSource(
  { io }: Pick<Context, 'io'>,
  which: string,
  place: string = DEFAULT_PLACE,
): Promise<Chunks> {
  if (which === '-') return io.stdin;
  if (!isHash(which)) return readFrom(which, 0);
  const opened = openPlace(place);
  return opened.read(await findSnapshot(opened, which), { offset: 0 });
}
