/**
 * The tables. Log tables only grow: triggers refuse to change or delete what an entry wrote, whoever
 * asks, save bytes that retention or an erasure names. A database whose statements differ from these was
 * changed by other hands, so a statement that databases in the field hold is never edited: a new schema
 * version adds its own, or drops one.
 */

/** `Quor`, in the file's header: tells our files from everybody else's. */
export const APPLICATION_ID = 0x51756f72;
/** `PRAGMA user_version`; a higher one was written by a newer program. */
export const SCHEMA_VERSION = 3;

const LOG_TABLES = [
  `CREATE TABLE entries (
  version INTEGER PRIMARY KEY,
  entry_hash BLOB NOT NULL CHECK (length(entry_hash) = 32),
  payload_b3 BLOB NOT NULL UNIQUE CHECK (length(payload_b3) = 32),
  type TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  leaf BLOB NOT NULL,
  approvals BLOB NOT NULL,
  payload BLOB NOT NULL
) STRICT`,
  `CREATE INDEX entries_governance ON entries (version) WHERE type IN ('genesis', 'governance')`,
  // One row for each key there ever was: a set is read by walking the keys, not all their spans.
  `CREATE TABLE descriptors (
  descriptor INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  UNIQUE (kind, id)
) STRICT`,
  // One value through time: current from set_version up to, not including, end_version.
  `CREATE TABLE spans (
  span INTEGER PRIMARY KEY,
  descriptor INTEGER NOT NULL REFERENCES descriptors (descriptor),
  set_version INTEGER NOT NULL REFERENCES entries (version),
  end_version INTEGER REFERENCES entries (version) CHECK (end_version > set_version),
  value_hash BLOB NOT NULL CHECK (length(value_hash) = 32),
  bytes BLOB NOT NULL,
  UNIQUE (descriptor, set_version)
) STRICT`,
  'CREATE UNIQUE INDEX spans_current ON spans (descriptor) WHERE end_version IS NULL',
  'CREATE INDEX spans_set ON spans (set_version, descriptor)',
  'CREATE INDEX spans_end ON spans (end_version, descriptor) WHERE end_version IS NOT NULL',
];

const TRIGGERS = [
  `CREATE TRIGGER entries_insert BEFORE INSERT ON entries
WHEN NEW.version IS NOT (SELECT coalesce(max(version), -1) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'an entry follows the one before'); END`,
  refuse('entries_update', 'UPDATE ON entries'),
  refuse('entries_delete', 'DELETE ON entries'),
  refuse('descriptors_update', 'UPDATE ON descriptors'),
  refuse('descriptors_delete', 'DELETE ON descriptors'),
  refuse('spans_update', 'UPDATE OF span, descriptor, set_version, value_hash, bytes ON spans'),
  refuse('spans_close', 'UPDATE OF end_version ON spans WHEN OLD.end_version IS NOT NULL'),
  refuse('spans_delete', 'DELETE ON spans'),
];

const PROPOSAL_TABLES = [
  `CREATE TABLE proposals (
  arrival INTEGER PRIMARY KEY,
  payload_b3 BLOB NOT NULL UNIQUE CHECK (length(payload_b3) = 32),
  received_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  payload BLOB NOT NULL
) STRICT`,
  `CREATE TABLE approvals (
  arrival INTEGER PRIMARY KEY,
  proposal INTEGER NOT NULL REFERENCES proposals (arrival) ON DELETE CASCADE,
  signer_id TEXT NOT NULL,
  algo TEXT NOT NULL,
  sig TEXT NOT NULL,
  signed_at TEXT NOT NULL,
  UNIQUE (proposal, signer_id)
) STRICT`,
];

/** Complete subtrees of the tree over the leaves: a proof is a few seeks, a tile one range. */
const TREE_TABLES = [
  `CREATE TABLE nodes (
  level INTEGER NOT NULL,
  place INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID`,
  // Also against INSERT OR REPLACE, which would delete without asking a trigger.
  `CREATE TRIGGER nodes_insert BEFORE INSERT ON nodes
WHEN NEW.place IS NOT (SELECT coalesce(max(place), -1) + 1 FROM nodes WHERE level = NEW.level)
BEGIN SELECT RAISE(ABORT, 'a node follows the one before on its level'); END`,
  refuse('nodes_update', 'UPDATE ON nodes'),
  refuse('nodes_delete', 'DELETE ON nodes'),
];

/** One row at most: the newest says all that the ones before did. */
const CHECKPOINT_TABLE = `CREATE TABLE checkpoint (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  note TEXT NOT NULL
) STRICT`;

export const SCHEMA_OF_VERSION_1: readonly string[] = [
  ...LOG_TABLES,
  ...TRIGGERS,
  ...PROPOSAL_TABLES,
];

/** What stands twice shows when a disk has changed it. */
const TWICE = [
  'CREATE INDEX entries_payload_twice ON entries (payload_b3)',
  'CREATE INDEX approvals_twice ON approvals (proposal, signer_id, algo, sig, signed_at)',
  'CREATE INDEX checkpoint_twice ON checkpoint (note)',
];

export const ADDED_BY_VERSION_2: readonly string[] = [...TREE_TABLES, CHECKPOINT_TABLE, ...TWICE];

export const SCHEMA_OF_VERSION_2: readonly string[] = [
  ...SCHEMA_OF_VERSION_1,
  ...ADDED_BY_VERSION_2,
];

/** What of the log is let go of. No row: nothing is. */
const RETENTION_TABLES = [
  // Versions below `oldest` are let go of; those below `reached` have been.
  `CREATE TABLE retention (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  oldest INTEGER NOT NULL,
  reached INTEGER NOT NULL CHECK (reached BETWEEN 0 AND oldest)
) STRICT`,
  'CREATE INDEX retention_twice ON retention (oldest, reached)',
  `CREATE TRIGGER retention_update BEFORE UPDATE ON retention
WHEN NEW.oldest < OLD.oldest OR NEW.reached < OLD.reached
BEGIN SELECT RAISE(ABORT, 'what is gone stays gone'); END`,
  refuse('retention_delete', 'DELETE ON retention'),
  `CREATE TABLE erasures (
  version INTEGER PRIMARY KEY REFERENCES entries (version),
  erased_by INTEGER NOT NULL REFERENCES entries (version) CHECK (erased_by > version)
) STRICT`,
  'CREATE INDEX erasures_twice ON erasures (erased_by, version)',
  `CREATE TRIGGER erasures_insert BEFORE INSERT ON erasures
WHEN (SELECT type FROM entries WHERE version = NEW.erased_by) IS NOT 'erase'
  OR EXISTS (SELECT 1 FROM erasures WHERE version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'an entry is erased once, by an entry that says so'); END`,
  refuse('erasures_update', 'UPDATE ON erasures'),
  refuse('erasures_delete', 'DELETE ON erasures'),
];

/** Refused by name until version 3, which lets bytes go where a row says so, and nothing else. */
export const DROPPED_BY_VERSION_3: readonly string[] = [
  'entries_update',
  'descriptors_delete',
  'spans_update',
  'spans_delete',
];

const LETTING_GO = [
  `CREATE TRIGGER entries_let_go BEFORE UPDATE ON entries
WHEN (NEW.version = OLD.version AND NEW.entry_hash = OLD.entry_hash
  AND NEW.payload_b3 = OLD.payload_b3 AND NEW.type = OLD.type AND NEW.expires_at = OLD.expires_at
  AND NEW.leaf = OLD.leaf AND OLD.type NOT IN ('genesis', 'governance', 'erase')
  AND length(NEW.payload) = 0
  AND (NEW.approvals = OLD.approvals AND EXISTS (SELECT 1 FROM erasures WHERE version = OLD.version)
    OR length(NEW.approvals) = 0 AND OLD.version < (SELECT max(oldest) FROM retention))) IS NOT TRUE
BEGIN SELECT RAISE(ABORT, 'the log only grows'); END`,
  refuse('spans_keep', 'UPDATE OF span, descriptor, set_version, value_hash ON spans'),
  `CREATE TRIGGER spans_let_go BEFORE UPDATE OF bytes ON spans
WHEN length(NEW.bytes) > 0 OR OLD.end_version IS NULL
  OR NOT EXISTS (SELECT 1 FROM erasures WHERE version = OLD.set_version)
BEGIN SELECT RAISE(ABORT, 'the log only grows'); END`,
  `CREATE TRIGGER spans_pruned BEFORE DELETE ON spans
WHEN OLD.end_version IS NULL
  OR OLD.end_version > (SELECT coalesce(max(oldest), 0) FROM retention)
BEGIN SELECT RAISE(ABORT, 'the log only grows'); END`,
  `CREATE TRIGGER descriptors_pruned BEFORE DELETE ON descriptors
WHEN EXISTS (SELECT 1 FROM spans WHERE descriptor = OLD.descriptor)
BEGIN SELECT RAISE(ABORT, 'the log only grows'); END`,
];

export const ADDED_BY_VERSION_3: readonly string[] = [...RETENTION_TABLES, ...LETTING_GO];

/** In the order they are run; SQLite keeps the text of each. */
export const SCHEMA: readonly string[] = [
  ...SCHEMA_OF_VERSION_2.filter((statement) => !isDropped(statement)),
  ...ADDED_BY_VERSION_3,
];

/** By schema version. */
export const SCHEMAS: ReadonlyMap<number, readonly string[]> = new Map([
  [1, SCHEMA_OF_VERSION_1],
  [2, SCHEMA_OF_VERSION_2],
  [3, SCHEMA],
]);

function isDropped(statement: string): boolean {
  return DROPPED_BY_VERSION_3.some((name) => statement.startsWith(`CREATE TRIGGER ${name} `));
}

function refuse(name: string, act: string): string {
  return `CREATE TRIGGER ${name} BEFORE ${act}
BEGIN SELECT RAISE(ABORT, 'the log only grows'); END`;
}
