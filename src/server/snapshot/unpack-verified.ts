/**
 * A snapshot from anywhere unpacked into a directory of its own and verified there, whole, before anybody
 * opens it as a registry: its bytes, its entries, its rows, and what no log key has vouched for.
 */
import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { RegistryError } from '../../core/error.ts';
import type { Hash } from '../../core/hash.ts';
import { formatTime, SKEW_MS } from '../../core/time.ts';
import { openSqliteStore } from '../../store/sqlite.ts';
import { SCHEMA_VERSION } from '../../store/sqlite-schema.ts';
import { runBoth } from '../reporting-thread.ts';
import { assertFacts, type SnapshotHeader } from './header.ts';
import { storageFailure } from './storage-failure.ts';
import { type Chunks, openSnapshot, unpackSnapshot } from './unpack.ts';
import { assertBoundedInThread, verifyInThreads } from './verify-threads.ts';

export interface UnpackPhase {
  readonly phase: 'unpacking' | 'verifying';
  /** Bytes of the database, then entries. */
  readonly done: number;
  readonly total: number;
}

export interface UnpackVerified {
  /** There, empty, and this user's alone. */
  readonly directory: string;
  /** The id or name of the one that was chosen; `undefined`: whichever comes. */
  readonly wanted?: string | undefined;
  /** The pin; `undefined`: whichever registry it is. */
  readonly registry: Hash | undefined;
  /** Done with the unpacked database while it is verified; must change nothing. */
  readonly meanwhile?: (path: string) => Promise<void>;
  /** In milliseconds; default: by this machine's clock. */
  readonly now?: () => number;
  readonly onProgress: (phase: UnpackPhase) => void;
  readonly signal: AbortSignal;
}

export interface UnpackedSnapshot {
  readonly id: Hash;
  readonly header: SnapshotHeader;
  /** Of the database, in the directory. */
  readonly path: string;
}

/** Beside what is unpacked: for what SQLite keeps beside a database that is read. */
const RESERVE_BYTES = 16 * 1024 * 1024;

/** Throws `storage_foreign` (another registry), `storage_newer`, `storage_damaged`, `read_only` (no room), what approvals lack, or what `meanwhile` throws. */
export async function unpackVerified(
  source: Chunks,
  options: UnpackVerified,
): Promise<UnpackedSnapshot> {
  const { directory, wanted, registry, meanwhile = async () => undefined } = options;
  const { now = Date.now, onProgress, signal } = options;
  const { id, header, body } = await openSnapshot(source, wanted);
  try {
    assertRegistry(header, registry);
    await assertRoom(directory, header.bytes);
  } catch (error) {
    await body.return();
    throw error;
  }
  const path = join(directory, 'registry.db');
  await unpackSnapshot(
    { header, body },
    {
      to: path,
      onProgress: (done, total) => onProgress({ phase: 'unpacking', done, total }),
      signal,
    },
  );
  try {
    const [facts] = await runBoth(
      signal,
      async (either) => {
        await assertBoundedInThread(path, either);
        await assertSaid(path, header, now());
        if (header.schemaVersion < SCHEMA_VERSION) await bringUpToDate(path);
        return verifyInThreads(path, {
          foreign: { now: now() },
          onProgress: (progress) => onProgress({ phase: 'verifying', ...progress }),
          signal: either,
        });
      },
      () => meanwhile(path),
    );
    assertFacts(header, facts);
  } catch (cause) {
    throw inSnapshot(cause);
  }
  await removeBeside(path);
  return { id, header, path };
}

/** Damage that came with it: no registry here is hurt. */
function inSnapshot(cause: unknown): unknown {
  if (!(cause instanceof RegistryError) || cause.code !== 'storage_damaged') return cause;
  const { code, message, details } = cause;
  return new RegistryError(
    code,
    `in the snapshot: ${message}; take another copy of it, or another snapshot`,
    { cause, details },
  );
}

function assertRegistry({ origin, registry }: SnapshotHeader, pin: Hash | undefined): void {
  if (pin === undefined || pin === registry) return;
  throw new RegistryError(
    'storage_foreign',
    `expected a snapshot of registry ${pin}, got one of ${registry}, ${origin}`,
    { details: { registry } },
  );
}

async function assertRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const needed = bytes + RESERVE_BYTES;
  if (bavail * bsize < needed)
    throw new RegistryError(
      'read_only',
      `expected ${needed} bytes free in ${directory} to unpack a snapshot, got ${bavail * bsize}: make room, or choose another directory`,
    );
}

/** What no entry says: a header that lies about it is found no other way. */
async function assertSaid(path: string, header: SnapshotHeader, now: number): Promise<void> {
  const { schemaVersion, createdAt } = header;
  const got = await userVersion(path);
  if (got !== schemaVersion)
    throw new RegistryError(
      'storage_damaged',
      `expected a database of schema version ${schemaVersion} by its header, got one of ${got}`,
    );
  if (Date.parse(createdAt) > now + SKEW_MS)
    throw new RegistryError(
      'storage_damaged',
      `expected one that was made by ${formatTime(now)}, got ${createdAt} by its header: set the clock of this machine, if that is what is wrong`,
    );
}

/** A number of 4 bytes in the first page of every SQLite file. */
const USER_VERSION_AT = 60;

async function userVersion(path: string): Promise<number> {
  await using file = await open(path, 'r');
  const bytes = new Uint8Array(4);
  await file.read(bytes, 0, bytes.length, USER_VERSION_AT);
  return new DataView(bytes.buffer).getUint32(0);
}

/** As a server would at its start; what it throws is told as of a database. */
async function bringUpToDate(path: string): Promise<void> {
  const metrics = { fsync: () => undefined, checkpointed: () => undefined };
  let fatal: RegistryError | undefined;
  const onFatal = (error: RegistryError): void => {
    fatal = error;
  };
  const store = await openSqliteStore({ path, metrics, onFatal });
  await store[Symbol.asyncDispose]();
  if (fatal !== undefined) throw fatal;
}

/** What readers leave beside a database. They wrote nothing: the database is one file. */
export async function removeBeside(path: string): Promise<void> {
  try {
    const log = await stat(`${path}-wal`).catch(() => ({ size: 0 }));
    if (log.size > 0)
      throw new RegistryError('internal', `expected nothing written beside ${path}, got a log`);
    for (const ending of ['-wal', '-shm', '-lock']) await rm(`${path}${ending}`, { force: true });
  } catch (cause) {
    throw storageFailure(cause, `to tidy up beside ${path}`);
  }
}
