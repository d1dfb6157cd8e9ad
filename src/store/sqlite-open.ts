/**
 * Opening a database: whose it is, whether it is whole, and the settings that every promise of
 * durability rests on. Nothing of a database that is not ours is changed.
 */
import Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { isFull, storageError } from './sqlite-errors.ts';
import { assertIndexesAgree, SMALL_TABLES } from './sqlite-integrity.ts';
import { migrate, wipeFreeSpace } from './sqlite-migrate.ts';
import { APPLICATION_ID, SCHEMA, SCHEMA_VERSION, SCHEMAS } from './sqlite-schema.ts';

/** Above this the write-ahead log is folded into the main file. */
export const WAL_LIMIT_BYTES = 4 * 1024 * 1024;
/** How long a statement waits for another process's lock. */
export const BUSY_MS = 1_000;
const FULL_SYNCHRONOUS = 2;
/** Of pages: those that lead to rows. The rows themselves are in the machine's own cache, where all connections share them. */
export const SMALL_CACHE_BYTES: number = 4 * 1024 * 1024;

/** In `sqlite_schema`, what is held against our statements. Other names may be anything, SQL too. */
export const IS_OURS = `name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`;

/** A schema version; `null` for an empty file. */
type Identity = number | null;

/**
 * The connection that writes; at most one, in the commit lane. Makes the tables in an empty file, and
 * brings a database of an older program up to this one's schema version. Throws `storage_foreign`, `storage_newer`, `storage_damaged` or `storage_failed`.
 */
export function openWriter(path: string): Database.Database {
  return open(path, { timeout: BUSY_MS }, (db) => {
    const identity = readIdentity(db, path);
    setDurable(db);
    // Older programs left what they deleted in free space, from where an erasure must find it gone.
    if (identity !== null && identity < SCHEMA_VERSION) wipeFreeSpace(db);
    firstWrite(db, identity);
    assertSynchronous(db);
    assertIndexesAgree(db, SMALL_TABLES);
  });
}

export interface ReadOnlyOptions {
  /** Of pages. Default: 16 MB, for who reads all of a database in any order. */
  readonly cacheBytes?: number;
}

/** A connection that cannot write, and so leaves an older database as it is. Throws like `openWriter`. */
export function openReadOnly(
  path: string,
  { cacheBytes }: ReadOnlyOptions = {},
): Database.Database {
  return open(path, { timeout: BUSY_MS, readonly: true, fileMustExist: true }, (db) => {
    const identity = readIdentity(db, path);
    if (identity === null) throw foreign(path, 'an empty one');
    if (identity < SCHEMA_VERSION) throw older(path, identity);
    db.pragma('query_only = ON');
    if (cacheBytes !== undefined) db.pragma(`cache_size = -${Math.floor(cacheBytes / 1024)}`);
    setSafe(db);
  });
}

/** As `openReadOnly`, but of an older program too. For who looks at it before anything of it is changed. */
export function openAnyVersion(path: string): Database.Database {
  return open(path, { timeout: BUSY_MS, readonly: true, fileMustExist: true }, (db) => {
    if (readIdentity(db, path) === null) throw foreign(path, 'an empty one');
    db.pragma('query_only = ON');
    setSafe(db);
  });
}

/**
 * Throws unless a commit on this connection waits for the disk. To be asked after a write: this build
 * of SQLite lowers a connection that was not told otherwise to NORMAL at its first write in WAL mode,
 * and until then still answers FULL.
 */
export function assertSynchronous(db: Database.Database): void {
  const level = db.pragma('synchronous', { simple: true });
  if (level !== FULL_SYNCHRONOUS)
    throw new RegistryError('storage_failed', `expected synchronous=2 (full), got ${level}`);
}

function open(
  path: string,
  options: Database.Options,
  prepare: (db: Database.Database) => void,
): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, options);
    prepare(db);
    return db;
  } catch (cause) {
    // Nothing was acknowledged through this connection: closing it, which may checkpoint, loses nothing.
    db?.close();
    throw storageError(
      cause,
      `a${options.readonly ? '' : ' writable'} registry database at ${path}`,
    );
  }
}

/** Reads only: a database that is not ours must stay as it is. */
function readIdentity(db: Database.Database, path: string): Identity {
  const application = db.pragma('application_id', { simple: true });
  const version = Number(db.pragma('user_version', { simple: true }));
  const statements = db
    .prepare<[], string>(`SELECT sql FROM sqlite_schema WHERE ${IS_OURS}`)
    .pluck()
    .all();
  if (application === 0 && version === 0 && statements.length === 0) return null;
  if (application !== APPLICATION_ID) throw foreign(path, `application id ${application}`);
  if (version > SCHEMA_VERSION)
    throw new RegistryError(
      'storage_newer',
      `expected a database of schema version ${SCHEMA_VERSION} at ${path}, got ${version}: a newer program wrote it`,
    );
  const schema = SCHEMAS.get(version);
  const difference = schema === undefined ? 'no such version' : differenceOf(statements, schema);
  if (difference !== undefined)
    throw new RegistryError(
      'storage_damaged',
      `expected the tables and triggers of schema version ${version} at ${path}, got ${difference}`,
    );
  return version;
}

function differenceOf(
  statements: readonly string[],
  expected: readonly string[],
): string | undefined {
  if (statements.length !== expected.length) return 'other tables';
  const found = new Set(statements);
  const lost = expected.find((statement) => !found.has(statement));
  return lost === undefined ? undefined : `none that says ${lost.split('\n', 1)[0]}`;
}

function older(path: string, version: number): RegistryError {
  return new RegistryError(
    'storage_failed',
    `expected a database of schema version ${SCHEMA_VERSION} at ${path}, got version ${version} of an older program: start this server on it once, which brings it up to date`,
  );
}

function foreign(path: string, got: string): RegistryError {
  return new RegistryError(
    'storage_foreign',
    `expected a registry database at ${path}, got ${got}`,
  );
}

function setDurable(db: Database.Database): void {
  const mode = db.pragma('journal_mode = WAL', { simple: true });
  if (mode !== 'wal')
    throw new RegistryError(
      'storage_failed',
      `expected a file system that can hold a write-ahead log, got journal mode ${mode}`,
    );
  db.pragma('synchronous = FULL');
  // On macOS a plain fsync leaves the data in the drive's cache.
  db.pragma('fullfsync = ON');
  db.pragma('checkpoint_fullfsync = ON');
  // An automatic checkpoint swallows I/O errors: the lane makes its own.
  db.pragma('wal_autocheckpoint = 0');
  db.pragma(`journal_size_limit = ${WAL_LIMIT_BYTES}`);
  db.pragma('foreign_keys = ON');
  // What is deleted is overwritten: an erased payload stands in no free page.
  db.pragma('secure_delete = ON');
  setSafe(db);
}

function setSafe(db: Database.Database): void {
  // Mapped, an I/O error would be a signal that kills the process.
  db.pragma('mmap_size = 0');
  db.pragma('trusted_schema = OFF');
}

/**
 * Makes the tables, or adds what an older program did not make, or touches the header, so that a file
 * that cannot be written is found now. One transaction: what a crash leaves is whole.
 */
function firstWrite(db: Database.Database, identity: Identity): void {
  try {
    db.transaction(() => {
      db.pragma(`user_version = ${SCHEMA_VERSION}`);
      if (identity !== null) return migrate(db, identity);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      for (const statement of SCHEMA) db.exec(statement);
    }).immediate();
  } catch (error) {
    // Without space what is there can still be read.
    if (identity !== SCHEMA_VERSION || !isFull(error)) throw error;
  }
}
