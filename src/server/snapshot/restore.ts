/**
 * A snapshot made the database of a new data directory. All is unpacked, verified and judged in
 * `.unfinished`; one link then gives it the name that a server opens, so that a crash leaves a whole registry or none.
 */
import { existsSync } from 'node:fs';
import { link, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { cleanedUp, RegistryError } from '../../core/error.ts';
import { type InstanceLock, lockInstance } from '../../store/sqlite-lock.ts';
import { databasePath } from '../open-store.ts';
import { makeDirectories, makeMissing, removeEmpty, syncDirectory } from '../sync-directory.ts';
import { storageFailure } from './storage-failure.ts';
import type { Chunks } from './unpack.ts';
import {
  removeBeside,
  type UnpackedSnapshot,
  type UnpackVerified,
  unpackVerified,
} from './unpack-verified.ts';

export interface RestoreOptions extends Omit<UnpackVerified, 'directory' | 'meanwhile'> {
  /** Missing or empty. */
  readonly dataDir: string;
  /** Asked when all was verified and nobody can open it yet: throws to refuse it, and may append to it. */
  readonly judge: (snapshot: UnpackedSnapshot) => Promise<void>;
}

const UNFINISHED = '.unfinished';
/** What an empty directory may hold: a file system's own, and what a restore that was killed left. */
const NOTHING = [UNFINISHED, 'lost+found'];
/** Held while it goes on: one that was killed holds none, so what it left is nobody's. */
const LOCK = 'restore';

/**
 * Durable when it resolves. Throws `invalid_request` (not empty), `storage_locked` (somebody else is at it), and
 * what `unpackVerified` and `judge` throw; then nothing is left.
 */
export async function restoreSnapshot(
  source: Chunks,
  { dataDir, judge, ...unpack }: RestoreOptions,
): Promise<UnpackedSnapshot> {
  const target = resolve(dataDir);
  const made = await makeEmpty(target);
  const directory = join(target, UNFINISHED);
  let lock: InstanceLock | undefined;
  try {
    await makeDirectory(directory);
    lock = lockRestore(target);
    await removeLeft(directory);
    // Somebody else's may have ended between the look and the lock.
    await assertEmpty(target);
    // The disk is given its bytes early; a database that is refused after all cost a few writes.
    const snapshot = await unpackVerified(source, { ...unpack, directory, meanwhile: syncFile });
    await judge(snapshot);
    await removeBeside(snapshot.path);
    await giveName(snapshot.path, databasePath(target));
    await rm(directory, { recursive: true, force: true });
    return snapshot;
  } catch (cause) {
    // What is in it is ours only under the lock.
    const error =
      lock === undefined
        ? cause
        : await cleanedUp(cause, () => rm(directory, { recursive: true, force: true }));
    await removeEmpty(made);
    throw storageFailure(error, `to restore a snapshot to ${target}`);
  } finally {
    lock?.release();
  }
}

/** A link of that name would lead elsewhere. */
async function makeDirectory(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  await rm(path, { force: true });
  await makeMissing(path);
}

function lockRestore(target: string): InstanceLock {
  try {
    return lockInstance(join(target, UNFINISHED, LOCK));
  } catch (cause) {
    if (!(cause instanceof RegistryError) || cause.code !== 'storage_locked') throw cause;
    throw new RegistryError(
      'storage_locked',
      `expected nobody else to restore to ${target}, got another process that does: wait for it, or restore to another directory`,
      { cause },
    );
  }
}

/** Of a restore that was killed. */
async function removeLeft(directory: string): Promise<void> {
  for (const name of await readdir(directory))
    if (!name.startsWith(LOCK)) await rm(join(directory, name), { recursive: true, force: true });
}

/** Answers which directories were made now. */
async function makeEmpty(path: string): Promise<readonly string[]> {
  try {
    const made = await makeDirectories(path);
    await assertEmpty(path);
    return made;
  } catch (cause) {
    throw storageFailure(
      cause,
      `an empty directory at ${path}, or leave to make one`,
      'a file, a link that leads nowhere or a directory of others may stand there or on the way: choose another --data, or make it first',
    );
  }
}

async function assertEmpty(path: string): Promise<void> {
  const found = (await readdir(path)).filter((name) => !NOTHING.includes(name));
  if (found.length === 0) return;
  throw new RegistryError(
    'invalid_request',
    `expected an empty directory or none at ${path}, got one with ${found.length} ${found.length === 1 ? 'name' : 'names'} in it: a registry is restored to a new place, and never over another one`,
  );
}

/** A link, not a new name: should a server have begun a registry here meanwhile, that one stays. */
async function giveName(path: string, name: string): Promise<void> {
  await syncFile(path);
  try {
    await link(path, name);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const isLinkless = NO_LINKS.includes(code);
    if (code === 'EEXIST' || (isLinkless && existsSync(name))) throw begun(name, cause);
    if (!isLinkless) throw cause;
    await rename(path, name);
  }
  try {
    await syncDirectory(dirname(name));
  } catch (error) {
    // Not known to be durable: then it is not there.
    throw await cleanedUp(error, () => rm(name, { force: true }));
  }
}

function begun(name: string, cause: unknown): RegistryError {
  return new RegistryError(
    'invalid_request',
    `expected no ${name}, got one that somebody began meanwhile: it stays, and the snapshot is restored to another directory`,
    { cause },
  );
}

/** Of a file system without links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}
