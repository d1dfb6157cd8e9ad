/**
 * A database that is in use, copied as its files stand: page by page through SQLite it takes several times as long.
 *
 * A read transaction is held all the while. What its reader would read from the main file nobody writes over, and
 * what others fold into it meanwhile the reader would take from the log. So both files together are the database
 * of the moment at which the log was copied, and SQLite makes one file of them.
 *
 * For a process of its own: closing a file lets go of all locks that a process has on it, those of other
 * connections too.
 */
import { chmod, constants, copyFile, type FileHandle, open, rm, stat } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { openReadOnly } from './sqlite-open.ts';
import { Remains } from './sqlite-remains.ts';

type OnProgress = (doneBytes: number, totalBytes: number) => void;

/** A file to read from. */
interface Source {
  read(
    into: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  stat(): Promise<{ readonly size: number }>;
}

const PRIVATE = 0o600;
const TOLD_MS = 100;
const MAX_LOG_COPIES = 3;
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Of a log. It has other salts when the log begins anew. */
const LOG_HEADER_BYTES = 32;

/** `to`: a file that is not there yet. It is one file when it resolves, and not synced. Throws what SQLite and the file system throw. */
export async function copyDatabase(
  from: string,
  to: string,
  onProgress: OnProgress,
): Promise<void> {
  // Before anything is written beside it.
  await create(to).then((file) => file.close());
  const db = openReadOnly(from);
  try {
    beginReading(db);
    await using log = await open(`${from}-wal`, 'r');
    await copyLog(log, `${to}-wal`);
    await copyMain(from, to, onProgress);
  } finally {
    db.close();
  }
  fold(to);
}

/** A transaction holds nothing before its first statement. */
function beginReading(db: Database.Database): void {
  db.exec('BEGIN');
  db.prepare('SELECT count(*) FROM sqlite_schema').get();
}

/**
 * While a read transaction is held, and before the main file, so that the moment is an early one. A log that began anew
 * meanwhile is copied again: it did because all that it held is in the main file, and a part of the old one
 * would undo some of it. Once it may do so; then it waits for the reader. Throws `storage_failed` when it does not.
 */
export async function copyLog(log: Source, to: string): Promise<void> {
  for (let copies = 0; copies < MAX_LOG_COPIES; copies++) {
    const header = await headerOf(log);
    await rm(to, { force: true });
    await using copy = await create(to);
    await copyBytes(log, copy);
    if (header.equals(await headerOf(log))) return;
  }
  throw new RegistryError(
    'storage_failed',
    `expected a log that does not begin anew while it is read, got one that did ${MAX_LOG_COPIES} times: the locks of this file system do not work`,
  );
}

/** Shorter where the log is empty. */
async function headerOf(log: Source): Promise<Buffer> {
  const header = Buffer.alloc(LOG_HEADER_BYTES);
  const { bytesRead } = await log.read(header, 0, LOG_HEADER_BYTES, 0);
  return header.subarray(0, bytesRead);
}

/** As long as it is at the beginning: what is appended meanwhile is younger than the reader. */
async function copyBytes(from: Source, to: FileHandle): Promise<void> {
  const { size } = await from.stat();
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await from.read(chunk, 0, Math.min(CHUNK_BYTES, size - at), at);
    if (bytesRead === 0) return;
    await to.writeFile(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** By the system, which has both files in memory; where the file system can, both share what is on disk. */
async function copyMain(from: string, to: string, onProgress: OnProgress): Promise<void> {
  const { size: total } = await stat(from);
  const tell = () => stat(to).then(({ size }) => onProgress(Math.min(size, total), total));
  await tell();
  const timer = setInterval(() => tell().catch(() => undefined), TOLD_MS);
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  } finally {
    clearInterval(timer);
  }
  // The mode was copied too.
  await chmod(to, PRIVATE);
}

function create(path: string): Promise<FileHandle> {
  return open(path, 'wx', PRIVATE);
}

/** Makes one file of the copies of main file and log, with nothing left of what was erased. */
export function fold(path: string): void {
  const db = new Database(path, { fileMustExist: true });
  let remains: Remains | undefined;
  try {
    db.pragma('mmap_size = 0');
    db.pragma('trusted_schema = OFF');
    db.pragma('synchronous = OFF');
    if (db.pragma('wal_checkpoint(TRUNCATE)', { simple: true }) !== 0)
      throw new RegistryError(
        'storage_locked',
        `expected to be alone with ${path}, got another that reads it`,
      );
    remains = new Remains(db, path);
    while (remains.isDemanded) remains.step();
  } finally {
    db.close();
    remains?.close();
  }
}
