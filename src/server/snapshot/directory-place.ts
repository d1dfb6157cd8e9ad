/** Snapshots in a directory: what is being written has another name, and is removed when it does not end. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cleanedUp, RegistryError } from '../../core/error.ts';
import { makeDirectories, syncDirectory } from '../sync-directory.ts';
import { isSnapshotName } from './header.ts';
import type { CheckWritten, PlacedFile, SnapshotPlace } from './place.ts';
import { storageFailure } from './storage-failure.ts';
import type { Chunks } from './unpack.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Made, for this user alone, when something is first written. */
export function createDirectoryPlace(directory: string): SnapshotPlace {
  return {
    description: directory,
    list: () => list(directory),
    read: async (name, { offset }) => readFrom(pathOf(directory, name), offset),
    write: async (name, chunks, check) => {
      const path = pathOf(directory, name);
      try {
        await makeDirectories(directory);
        return await writeWhole(path, chunks, check);
      } catch (cause) {
        throw storageFailure(cause, `to write a snapshot in ${directory}`);
      }
    },
    remove: async (name) => {
      const path = pathOf(directory, name);
      try {
        await rm(path, { force: true });
        await syncDirectory(directory);
      } catch (cause) {
        throw storageFailure(cause, `to remove a snapshot from ${directory}`);
      }
    },
  };
}

/** A name leads nowhere but into the directory. Throws `invalid_request`. */
function pathOf(directory: string, name: string): string {
  if (!isSnapshotName(name))
    throw new RegistryError(
      'invalid_request',
      `expected the name of a snapshot, VERSION-ID.qsnap, got ${name.length} characters`,
    );
  return join(directory, name);
}

async function list(directory: string): Promise<readonly PlacedFile[]> {
  try {
    const names = (await readdir(directory)).filter(isSnapshotName);
    const found = await Promise.all(names.map((name) => placedFile(directory, name)));
    return found.filter((file) => file !== undefined);
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw storageFailure(cause, `to list the snapshots in ${directory}`);
  }
}

/** `undefined`: it is no file, or was removed since it was seen. */
async function placedFile(directory: string, name: string): Promise<PlacedFile | undefined> {
  try {
    const found = await stat(join(directory, name));
    return found.isFile() ? { name, bytes: found.size } : undefined;
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw cause;
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

/** Throws `not_found`, or `storage_failed`, when it is read. */
export async function* readFrom(path: string, offset: number): AsyncGenerator<Uint8Array> {
  try {
    // From the beginning without a place: a pipe has none.
    const start = offset === 0 ? {} : { start: offset };
    const stream = createReadStream(path, { ...start, highWaterMark: CHUNK_BYTES });
    for await (const chunk of stream as AsyncIterable<Uint8Array>) yield chunk;
  } catch (cause) {
    if (isMissing(cause))
      throw new RegistryError('not_found', `expected a snapshot at ${path}, got no file`, {
        cause,
      });
    throw storageFailure(cause, `to read a snapshot at ${path}`);
  }
}

/** What somebody else put into a directory, made durable as what `write` puts there is. Throws what the file system throws. */
export async function syncPlaced(directory: string, name: string): Promise<void> {
  await using file = await open(pathOf(directory, name), 'r');
  await file.sync();
  await syncDirectory(directory);
  await syncDirectory(dirname(directory));
}

/** Not yet, or never, a snapshot. */
const UNFINISHED = '.unfinished-';
/** Of ours: a directory that is written to may have names of others in it. */
const UNFINISHED_NAME = /^\.unfinished-[0-9a-f]{12}$/;
const FORGOTTEN_MS = 86_400_000;

/** As a place's `write`, for any path in a directory that is there. Throws what the file system throws, in its words. */
export async function writeFileAt(
  path: string,
  chunks: Chunks,
  check?: CheckWritten,
): Promise<number> {
  try {
    return await writeWhole(path, chunks, check);
  } catch (cause) {
    throw storageFailure(cause, `to write a snapshot at ${path}`);
  }
}

async function writeWhole(path: string, chunks: Chunks, check?: CheckWritten): Promise<number> {
  const directory = dirname(path);
  await removeForgotten(directory);
  const unfinished = join(directory, `${UNFINISHED}${randomBytes(6).toString('hex')}`);
  try {
    await using file = await open(unfinished, 'wx', 0o600);
    let bytes = 0;
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    // What stands under the name may be the only copy there is.
    await check?.(readFrom(unfinished, 0));
    await rename(unfinished, path);
    await syncDirectory(directory);
    return bytes;
  } catch (error) {
    throw await cleanedUp(error, () => rm(unfinished, { force: true }));
  }
}

/** What a crash left. Another process may be writing another one: that is younger. */
async function removeForgotten(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!UNFINISHED_NAME.test(name)) continue;
    const path = join(directory, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < Date.now() - FORGOTTEN_MS)
      await rm(path, { force: true });
  }
}
