/** The directory of an audit log: which segments are there, and how they are made and removed for good. */
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RegistryError } from '../../core/error.ts';

export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
}

const NAME = /^(\d{8})\.ndjson$/;

export function auditDirectory(dataDir: string): string {
  return join(dataDir, 'audit');
}

export function segmentPath(directory: string, number: number): string {
  return join(directory, `${String(number).padStart(8, '0')}.ndjson`);
}

/** For this user alone; a link in its place would lead the log somewhere else. */
export async function makeAuditDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    await syncDirectory(dirname(path));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  if (!(await lstat(path)).isDirectory())
    throw new RegistryError('storage_damaged', `expected a directory at ${path}, got none`);
}

/** Ascending. Other names are none of the log. Throws `storage_damaged` where one is missing between two. */
export async function listSegments(directory: string): Promise<Segment[]> {
  const numbers = (await readdir(directory))
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  const segments: Segment[] = [];
  for (const number of numbers) {
    const path = segmentPath(directory, number);
    const before = segments.at(-1);
    if (before !== undefined && number !== before.number + 1)
      throw new RegistryError(
        'storage_damaged',
        `expected ${segmentPath(directory, before.number + 1)} between its neighbours, got no such file`,
      );
    const found = await lstat(path);
    if (!found.isFile())
      throw new RegistryError('storage_damaged', `expected a file at ${path}, got something else`);
    segments.push({ number, path, bytes: found.size });
  }
  return segments;
}

export async function removeSegment(directory: string, { path }: Segment): Promise<void> {
  await unlink(path);
  await syncDirectory(directory);
}

/** Names are kept by the directory: without this a power failure may undo what was made or removed. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await directory.sync();
}
