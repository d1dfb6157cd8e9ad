/**
 * Opening a database: whose it is, whether it is whole, and the settings that every promise of
 * durability rests on. Nothing of a database that is not ours is changed.
 */
import Database from 'better-sqlite3';
import { excerpt, RegistryError } from '../core/error.ts';
import { isFull, storageError } from './sqlite-errors.ts';
import { assertIndexesAgree, SMALL_TABLES } from './sqlite-integrity.ts';
import { migrate, wipeFreeSpace } from './sqlite-migrate.ts';
import { APPLICATION_ID, SCHEMA, SCHEMA_VERSION, SCHEMAS } from './sqlite-schema.ts';

/** Above this what the write-ahead log has, and the main file has not, is folded into it. */
export const WAL_LIMIT_BYTES = 4 * 1024 * 1024;
/** Down to it the file of a folded log is cut off. More than the limit, so that what is folded in time is not cut. */
export const LOG_ROOM_BYTES: number = 6 * 1024 * 1024;
/** How long a statement waits for another process's lock. */
export const BUSY_MS = 1_000;
const FULL_SYNCHRONOUS = 2;
/** Of pages: those that lead to rows. The rows themselves are in the machine's own cache, where all connections share them. */
export const SMALL_CACHE_BYTES: number = 4 * 1024 * 1024;

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

/** A second connection that can write, beside the one of the commit lane, for who folds its log. Throws like `openWriter`. */
export function openBesideWriter(path: string): Database.Database {
  return open(path, { timeout: BUSY_MS, fileMustExist: true }, (db) => {
    const identity = readIdentity(db, path);
    if (identity === null) throw foreign(path, 'an empty one');
    if (identity < SCHEMA_VERSION) throw older(path, identity);
    setDurable(db);
    assertSynchronous(db);
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
  const found = schemaRows(db);
  if (application === 0 && version === 0 && found.length === 0) return null;
  if (application !== APPLICATION_ID) throw foreign(path, `application id ${application}`);
  if (version > SCHEMA_VERSION)
    throw new RegistryError(
      'storage_newer',
      `expected a database of schema version ${SCHEMA_VERSION} at ${path}, got ${version}: a newer program wrote it`,
    );
  const schema = SCHEMAS.get(version);
  const difference = schema === undefined ? 'no such version' : differenceOf(found, schema);
  if (difference !== undefined)
    throw new RegistryError(
      'storage_damaged',
      `expected the tables and triggers of schema version ${version} at ${path}, got ${difference}`,
    );
  return version;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  /** `null`: an index that SQLite made by itself. */
  readonly sql: string | null;
}

/** Also those whose names nobody but SQLite may give: who writes the file gives them all the same. */
function schemaRows(db: Database.Database): readonly SchemaRow[] {
  return db.prepare<[], SchemaRow>('SELECT type, name, tbl_name, sql FROM sqlite_schema').all();
}

function differenceOf(
  found: readonly SchemaRow[],
  statements: readonly string[],
): string | undefined {
  const { made, mayBe } = modelOf(statements);
  const rows = found.map((row) => JSON.stringify(row));
  const lost = made.find((row) => !rows.includes(JSON.stringify(row)));
  if (lost !== undefined) return `none that says ${(lost.sql ?? lost.name).split('\n', 1)[0]}`;
  const allowed = new Set([...made, ...mayBe].map((row) => JSON.stringify(row)));
  const other = rows.findIndex((row, i) => !allowed.has(row) || rows.indexOf(row) < i);
  return found[other] && `also one called ${excerpt(found[other].name)}`;
}

/** What SQLite itself makes of the statements, and what it adds when an operator has it gather statistics. */
function modelOf(statements: readonly string[]): {
  readonly made: readonly SchemaRow[];
  readonly mayBe: readonly SchemaRow[];
} {
  const db = new Database(':memory:');
  try {
    for (const statement of statements) db.exec(statement);
    const made = schemaRows(db);
    db.exec('ANALYZE');
    return { made, mayBe: schemaRows(db).slice(made.length) };
  } finally {
    db.close();
  }
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
  db.pragma(`journal_size_limit = ${LOG_ROOM_BYTES}`);
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
