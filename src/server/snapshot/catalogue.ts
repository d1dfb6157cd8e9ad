/** What snapshots a place has, by their headers and sizes alone: whether one is whole only reading all of it shows. */
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { type SnapshotHeader, snapshotName } from './header.ts';
import type { PlacedFile, SnapshotPlace } from './place.ts';
import { openSnapshot } from './unpack.ts';

export interface SoundSnapshot extends PlacedFile {
  readonly id: Hash;
  readonly header: SnapshotHeader;
}

export interface BrokenSnapshot extends PlacedFile {
  readonly damage: RegistryError;
}

export type ListedSnapshot = SoundSnapshot | BrokenSnapshot;

/**
 * The newest version first, and of one version the newest snapshot. What is removed while it is listed is left
 * out. Rejects as the place's `list` does.
 */
export async function listSnapshots(place: SnapshotPlace): Promise<readonly ListedSnapshot[]> {
  const listed: ListedSnapshot[] = [];
  for (const file of await place.list()) {
    const one = await look(place, file);
    if (one !== undefined) listed.push(one);
  }
  return listed.sort(newestFirst);
}

export function isSound(listed: ListedSnapshot): listed is SoundSnapshot {
  return 'header' in listed;
}

/** Throws `not_found`. */
export async function findSnapshot(place: SnapshotPlace, id: Hash): Promise<SoundSnapshot> {
  const found = (await listSnapshots(place)).filter(isSound).find((one) => one.id === id);
  if (found !== undefined) return found;
  throw new RegistryError(
    'not_found',
    `expected the snapshot ${id} in ${place.description}, got none of that id`,
  );
}

/** `undefined`: it is gone. */
async function look(place: SnapshotPlace, file: PlacedFile): Promise<ListedSnapshot | undefined> {
  try {
    const opened = await openSnapshot(await place.read(file.name, { offset: 0 }));
    await opened.body.return();
    const { id, header, headerBytes } = opened;
    assertSize(file, headerBytes + header.packedBytes);
    assertName(file, snapshotName({ version: header.version, id }));
    return { ...file, id, header };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    if (error.code === 'not_found') return undefined;
    // One that a place elsewhere cannot give is no reason to list no other.
    if (error.code.startsWith('storage_') || error.code === 'unexpected_answer')
      return { ...file, damage: error };
    throw error;
  }
}

function assertSize({ bytes }: PlacedFile, expected: number): void {
  if (bytes !== expected) throw damaged(`${expected} bytes by its header`, `${bytes}`);
}

function assertName({ name }: PlacedFile, expected: string): void {
  if (name !== expected) throw damaged(`the name ${expected} by its header`, name);
}

function damaged(expected: string, got: string): RegistryError {
  return new RegistryError('storage_damaged', `expected a snapshot of ${expected}, got ${got}`);
}

function newestFirst(a: ListedSnapshot, b: ListedSnapshot): number {
  const [left, right] = [keyOf(a), keyOf(b)];
  return right.version - left.version || (left.createdAt < right.createdAt ? 1 : -1);
}

function keyOf(listed: ListedSnapshot): { readonly version: number; readonly createdAt: string } {
  return isSound(listed)
    ? listed.header
    : { version: Number(listed.name.split('-', 1)[0]), createdAt: '' };
}
