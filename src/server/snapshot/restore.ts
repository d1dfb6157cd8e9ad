/**
 * A snapshot made the database of a new data directory. All is unpacked, verified and judged in
 * `.unfinished`; one link then gives it the name that a server opens, so that a crash leaves a whole registry or none.
 */
import { link, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { cleanedUp, RegistryError } from '../../core/error.ts';
import { databasePath } from '../open-store.ts';
import { syncDirectory } from '../sync-directory.ts';
import { storageFailure } from './storage-failure.ts';
import type { Chunks } from './unpack.ts';
import {
  removeBeside,
  type UnpackedSnapshot,
  type UnpackVerified,
  unpackVerified,
} from './unpack-verified.ts';

export interface RestoreOptions extends Omit<UnpackVerified, 'directory'> {
  /** Missing or empty. */
  readonly dataDir: string;
  /** Asked when all was verified and nobody can open it yet: throws to refuse it, and may append to it. */
  readonly judge: (snapshot: UnpackedSnapshot) => Promise<void>;
}

const UNFINISHED = '.unfinished';
/** What an empty directory may hold: a file system's own, and what a restore that was killed left. */
const NOTHING = [UNFINISHED, 'lost+found'];

/** Durable when it resolves. Throws `invalid_request` (not empty), and what `unpackVerified` and `judge` throw; then nothing is left. */
export async function restoreSnapshot(
  source: Chunks,
  { dataDir, judge, ...unpack }: RestoreOptions,
): Promise<UnpackedSnapshot> {
  const target = resolve(dataDir);
  const isMade = await makeEmpty(target);
  const directory = join(target, UNFINISHED);
  try {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { mode: 0o700 });
    const snapshot = await unpackVerified(source, { ...unpack, directory });
    await judge(snapshot);
    await removeBeside(snapshot.path);
    await giveName(snapshot.path, databasePath(target));
    await rm(directory, { recursive: true, force: true });
    return snapshot;
  } catch (cause) {
    const error = await cleanedUp(cause, () => rm(directory, { recursive: true, force: true }));
    if (isMade) await rmdir(target).catch(() => undefined);
    throw storageFailure(error, `to restore a snapshot to ${target}`);
  }
}

/** Answers whether it was made now. */
async function makeEmpty(path: string): Promise<boolean> {
  try {
    const made = await mkdir(path, { recursive: true, mode: 0o700 });
    if (made !== undefined) await syncDirectory(dirname(made));
    const found = (await readdir(path)).filter((name) => !NOTHING.includes(name));
    if (found.length === 0) return made !== undefined;
    throw new RegistryError(
      'invalid_request',
      `expected an empty directory or none at ${path}, got one with ${found.length} names in it: a registry is restored to a new place, and never over another one`,
    );
  } catch (cause) {
    throw storageFailure(cause, `an empty directory at ${path}`);
  }
}

/** A link, not a new name: should a server have begun a registry here meanwhile, that one stays. */
async function giveName(path: string, name: string): Promise<void> {
  await syncFile(path);
  try {
    await link(path, name);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause) || !NO_LINKS.includes(String(cause.code)))
      throw cause;
    await rename(path, name);
  }
  try {
    await syncDirectory(dirname(name));
  } catch (error) {
    // Not known to be durable: then it is not there.
    throw await cleanedUp(error, () => rm(name, { force: true }));
  }
}

/** Of a file system without links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}
