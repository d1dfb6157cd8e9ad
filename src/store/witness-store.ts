/**
 * What a witness must never forget: for each log the newest checkpoint it cosigned, and proof of forks
 * it was shown. SQLite in one file, one process at a time; a change is durable before it is answered for.
 */
import Database from 'better-sqlite3';
import { RegistryError } from '../core/error.ts';
import { isFull, storageError } from './sqlite-errors.ts';
import { type InstanceLock, lockInstance } from './sqlite-lock.ts';
import { assertSynchronous } from './sqlite-open.ts';

export interface WitnessedCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** POSIX seconds of the newest cosignature. */
  readonly time: number;
  /** With the log's signatures and the witness's. */
  readonly note: string;
}

/** Two notes of one log that cannot both be true, both signed by it. */
export interface KeptFork {
  readonly origin: string;
  /** RFC 3339. */
  readonly seenAt: string;
  /** What was cosigned, and what was offered. */
  readonly kept: string;
  readonly offered: string;
}

export interface WitnessStore extends Disposable {
  latest(origin: string): WitnessedCheckpoint | undefined;
  /**
   * Compare and swap: `next` becomes the latest if the one before still has the size and root of
   * `expected`. Durable when it returns; `conflict`: certainly nothing was written. Throws `read_only` (no
   * space: certainly nothing was written); after anything else what is on the disk is unknown: sign nothing more.
   */
  replace(
    next: WitnessedCheckpoint,
    expected: WitnessedCheckpoint | undefined,
  ): 'replaced' | 'conflict';
  /** Each once, and for one log so many; throws as `replace`. */
  keepFork(fork: KeptFork): void;
  forks(): readonly KeptFork[];
}

/** `Quow`: a database of a registry is not one of a witness. */
const APPLICATION_ID = 0x51756f77;
const SCHEMA_VERSION = 1;
const CHECKPOINT_EVERY = 256;
/** Only the log's own key can make more of them. */
const MAX_FORKS = 64;

const SCHEMA = [
  `CREATE TABLE witnessed (
  origin TEXT PRIMARY KEY,
  size INTEGER NOT NULL CHECK (size >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  time INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT`,
  `CREATE TRIGGER witnessed_update BEFORE UPDATE ON witnessed
WHEN NEW.origin <> OLD.origin OR NEW.size < OLD.size OR NEW.time < OLD.time OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
BEGIN SELECT RAISE(ABORT, 'a witness never goes back'); END`,
  `CREATE TRIGGER witnessed_delete BEFORE DELETE ON witnessed
BEGIN SELECT RAISE(ABORT, 'a witness never forgets'); END`,
  `CREATE TABLE forks (
  fork INTEGER PRIMARY KEY,
  origin TEXT NOT NULL,
  seen_at TEXT NOT NULL,
  kept TEXT NOT NULL,
  offered TEXT NOT NULL,
  UNIQUE (origin, offered)
) STRICT`,
];

/** Throws `storage_locked`, `storage_foreign`, `storage_newer`, `storage_damaged` or `storage_failed`. */
export function openWitnessStore(path: string): WitnessStore {
  const lock = lockInstance(path);
  let db: Database.Database | undefined;
  try {
    db = new Database(path);
    prepare(db, path);
    return new SqliteWitnessStore(db, lock);
  } catch (cause) {
    db?.close();
    lock.release();
    throw storageError(cause, `a database of a witness at ${path}`);
  }
}

class SqliteWitnessStore implements WitnessStore {
  readonly #db: Database.Database;
  readonly #lock: InstanceLock;
  #writes = 0;
  #failure: RegistryError | undefined;

  constructor(db: Database.Database, lock: InstanceLock) {
    this.#db = db;
    this.#lock = lock;
  }

  latest(origin: string): WitnessedCheckpoint | undefined {
    const row = this.#db
      .prepare<[string], WitnessedCheckpoint>(
        'SELECT origin, size, root, time, note FROM witnessed WHERE origin = ?',
      )
      .get(origin);
    // A view of SQLite's own memory otherwise.
    return row === undefined ? undefined : { ...row, root: Uint8Array.from(row.root) };
  }

  replace(
    next: WitnessedCheckpoint,
    expected: WitnessedCheckpoint | undefined,
  ): 'replaced' | 'conflict' {
    return this.#write(() => {
      const { origin, size, root, time, note } = next;
      const { changes } =
        expected === undefined
          ? this.#db
              .prepare(
                'INSERT INTO witnessed (origin, size, root, time, note) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
              )
              .run(origin, size, root, time, note)
          : this.#db
              .prepare(
                'UPDATE witnessed SET size = ?, root = ?, time = ?, note = ? WHERE origin = ? AND size = ? AND root = ?',
              )
              .run(size, root, time, note, origin, expected.size, expected.root);
      return changes === 1 ? 'replaced' : 'conflict';
    });
  }

  keepFork({ origin, seenAt, kept, offered }: KeptFork): void {
    this.#write(() =>
      this.#db
        .prepare(
          `INSERT INTO forks (origin, seen_at, kept, offered)
SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM forks WHERE origin = ?) < ${MAX_FORKS}
ON CONFLICT DO NOTHING`,
        )
        .run(origin, seenAt, kept, offered, origin),
    );
  }

  forks(): readonly KeptFork[] {
    return this.#db
      .prepare<[], KeptFork>(
        'SELECT origin, seen_at AS seenAt, kept, offered FROM forks ORDER BY fork',
      )
      .all();
  }

  [Symbol.dispose](): void {
    // After a failure closing would write more, of what nobody knows.
    if (this.#failure !== undefined) return;
    this.#db.close();
    this.#lock.release();
  }

  #write<T>(change: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const changed = this.#db.transaction(change).immediate();
      if (++this.#writes % CHECKPOINT_EVERY === 0) this.#db.pragma('wal_checkpoint(TRUNCATE)');
      return changed;
    } catch (cause) {
      const error = storageError(cause, 'to keep what was cosigned');
      if (isFull(cause))
        throw new RegistryError('read_only', `${error.message}; nothing was cosigned`, { cause });
      this.#failure = error;
      throw error;
    }
  }
}

function prepare(db: Database.Database, path: string): void {
  const application = db.pragma('application_id', { simple: true });
  const version = Number(db.pragma('user_version', { simple: true }));
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
  const isNew = application === 0 && version === 0 && tables === 0;
  if (!isNew && application !== APPLICATION_ID)
    throw new RegistryError(
      'storage_foreign',
      `expected a database of a witness at ${path}, got another`,
    );
  if (version > SCHEMA_VERSION)
    throw new RegistryError(
      'storage_newer',
      `expected a database of schema version ${SCHEMA_VERSION} at ${path}, got ${version}: a newer program wrote it`,
    );
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('fullfsync = ON');
  // An automatic checkpoint swallows I/O errors.
  db.pragma('wal_autocheckpoint = 0');
  db.pragma('trusted_schema = OFF');
  db.transaction(() => {
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
    if (!isNew) return;
    db.pragma(`application_id = ${APPLICATION_ID}`);
    for (const statement of SCHEMA) db.exec(statement);
  }).immediate();
  assertSynchronous(db);
  assertSchema(db, path);
  db.pragma('wal_checkpoint(TRUNCATE)');
}

function assertSchema(db: Database.Database, path: string): void {
  const found = db
    .prepare<[], string>(`SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid`)
    .pluck()
    .all();
  if (found.length !== SCHEMA.length || SCHEMA.some((statement) => !found.includes(statement)))
    throw new RegistryError(
      'storage_damaged',
      `expected the tables and triggers of a witness at ${path}, got others`,
    );
}
