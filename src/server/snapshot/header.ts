/**
 * The first line of a snapshot file: what is in the database that follows it, as canonical JSON. Whoever
 * reads one believes nothing of it before the database has been verified.
 */
import { encodeBase64, encodeUtf8, parseBase64 } from '../../core/bytes.ts';
import { canonicalText, type JsonObject, parseCanonical } from '../../core/canonical.ts';
import { Check, ORIGIN, type TextRule } from '../../core/check.ts';
import { excerpt, RegistryError } from '../../core/error.ts';
import { type Hash, hashOf } from '../../core/hash.ts';
import { SCHEMA_VERSION } from '../../store/sqlite-schema.ts';

export const SNAPSHOT_FORMAT = 'quorate/snapshot/v1';
/** Of the line, its end included: the longest note there may be is half of it. */
export const MAX_HEADER_BYTES = 1024 * 1024;

/** What a database says of itself. */
export interface SnapshotFacts {
  readonly origin: string;
  /** The genesis payload's hash. */
  readonly registry: Hash;
  readonly version: number;
  readonly entryHash: Hash;
  readonly setRoot: Hash;
  readonly setSize: number;
  /** The lowest version whose payload is there. */
  readonly oldest: number;
  readonly governanceVersion: number;
  /** The newest signed checkpoint that was kept, the whole note; `null`: none was. */
  readonly checkpoint: string | null;
  /** 32 bytes: of the tree over all entries, also those after the checkpoint. */
  readonly treeRoot: Uint8Array;
  /** In flight. */
  readonly proposals: number;
}

export interface SnapshotHeader extends SnapshotFacts {
  readonly createdAt: string;
  /** Version of the program that wrote it. */
  readonly program: string;
  /** Of the database's tables. */
  readonly schemaVersion: number;
  /** Of the database. */
  readonly bytes: number;
  /** Of the database's bytes. */
  readonly content: Hash;
  /** What follows the line: the database, compressed. */
  readonly packedBytes: number;
}

const MEMBERS = [
  'bytes',
  'checkpoint',
  'content',
  'created_at',
  'entry_hash',
  'format',
  'governance_version',
  'oldest',
  'origin',
  'packed_bytes',
  'program',
  'proposals',
  'registry',
  'schema_version',
  'set_root',
  'set_size',
  'tree_root',
  'tree_size',
  'version',
] as const;

const NEWLINE = 0x0a;
const PACKED_DIGITS = 16;
/** What an end user's disk can hold, and a number can count. */
const MAX_BYTES = 2 ** 50;
const HASH_BYTES = 32;

/** As people and programs are told it, and as it stands in the line. */
export function headerJson(header: SnapshotHeader): JsonObject {
  return {
    bytes: header.bytes,
    checkpoint: header.checkpoint,
    content: header.content,
    created_at: header.createdAt,
    entry_hash: header.entryHash,
    format: SNAPSHOT_FORMAT,
    governance_version: header.governanceVersion,
    oldest: header.oldest,
    origin: header.origin,
    packed_bytes: String(header.packedBytes).padStart(PACKED_DIGITS, '0'),
    program: header.program,
    proposals: header.proposals,
    registry: header.registry,
    schema_version: header.schemaVersion,
    set_root: header.setRoot,
    set_size: header.setSize,
    tree_root: encodeBase64(header.treeRoot),
    tree_size: header.version + 1,
    version: header.version,
  };
}

/**
 * The line with its end. As long for any `content` and `packedBytes`: those are known only when what
 * follows it has been written.
 */
export function encodeHeader(header: SnapshotHeader): Uint8Array {
  return encodeUtf8(`${canonicalText(headerJson(header))}\n`);
}

/** The id of the snapshot with this line: with `content` in it, it names every byte of the database. */
export function snapshotId(line: Uint8Array): Hash {
  return hashOf(line.at(-1) === NEWLINE ? line.subarray(0, -1) : line);
}

/** `line`: without its end. Throws `storage_damaged`, or `storage_newer` for one that a newer program wrote. */
export function decodeHeader(line: Uint8Array): SnapshotHeader {
  const object = parseLine(line);
  try {
    return readHeader(object);
  } catch (cause) {
    if (!(cause instanceof RegistryError) || cause.code !== 'storage_damaged') throw cause;
    const { code, message, details } = cause;
    throw new RegistryError(
      code,
      `in the header of the snapshot: ${message}: take another copy of it, or another snapshot`,
      { cause, details },
    );
  }
}

function readHeader(object: JsonObject): SnapshotHeader {
  assertFormat(object);
  const check = new Check('storage_damaged');
  check.members(object, '', MEMBERS);
  const schemaVersion = check.integer(object.schema_version, '/schema_version', { min: 1 });
  if (schemaVersion > SCHEMA_VERSION)
    throw newer(`schema version ${SCHEMA_VERSION}`, String(schemaVersion));
  const version = check.integer(object.version, '/version', { min: 0 });
  const treeSize = version + 1;
  check.integer(object.tree_size, '/tree_size', { min: treeSize, max: treeSize });
  return {
    origin: check.text(object.origin, '/origin', ORIGIN),
    registry: check.hash(object.registry, '/registry'),
    version,
    entryHash: check.hash(object.entry_hash, '/entry_hash'),
    setRoot: check.hash(object.set_root, '/set_root'),
    setSize: check.integer(object.set_size, '/set_size', { min: 0 }),
    oldest: check.integer(object.oldest, '/oldest', { min: 0, max: version }),
    governanceVersion: check.integer(object.governance_version, '/governance_version', {
      min: 1,
    }),
    checkpoint:
      object.checkpoint === null ? null : check.text(object.checkpoint, '/checkpoint', TEXT),
    treeRoot: parseBase64(check.base64(object.tree_root, '/tree_root', HASH_BYTES)),
    proposals: check.integer(object.proposals, '/proposals', { min: 0 }),
    createdAt: check.time(object.created_at, '/created_at'),
    program: check.text(object.program, '/program', TEXT),
    schemaVersion,
    bytes: check.integer(object.bytes, '/bytes', { min: 1, max: MAX_BYTES }),
    content: check.hash(object.content, '/content'),
    packedBytes: Number(check.text(object.packed_bytes, '/packed_bytes', DIGITS)),
  };
}

const TEXT: TextRule = { expected: 'text', test: () => true };
const DIGITS: TextRule = {
  expected: `${PACKED_DIGITS} decimal digits`,
  test: (text) => new RegExp(`^\\d{${PACKED_DIGITS}}$`).test(text) && Number(text) <= MAX_BYTES,
};

function parseLine(line: Uint8Array): JsonObject {
  try {
    return new Check('storage_damaged').object(parseCanonical(line), '');
  } catch (cause) {
    // What is no header may be anything: it is not quoted.
    throw new RegistryError(
      'storage_damaged',
      `expected a snapshot that begins with a header line, got ${line.length} bytes that are none: is it a snapshot at all? take another copy of it, or another snapshot`,
      { cause },
    );
  }
}

function assertFormat({ format }: JsonObject): void {
  if (format === SNAPSHOT_FORMAT) return;
  if (typeof format === 'string' && /^quorate\/snapshot\/v[0-9]{1,9}$/.test(format))
    throw newer(SNAPSHOT_FORMAT, format);
  throw new RegistryError(
    'storage_damaged',
    `expected a snapshot of format ${SNAPSHOT_FORMAT}, got ${excerpt(format)}`,
  );
}

function newer(expected: string, got: string): RegistryError {
  return new RegistryError(
    'storage_newer',
    `expected a snapshot of ${expected}, got ${got}: a newer program wrote it, and a program as new can read it`,
  );
}

const NAME = /^(0|[1-9][0-9]{0,15})-[0-9a-f]{16}\.qsnap$/;

/** Of the file: told from the header, and never taken from it. */
export function snapshotName({ version, id }: { version: number; id: Hash }): string {
  return `${version}-${id.slice('b3:'.length, 'b3:'.length + 16)}.qsnap`;
}

export function isSnapshotName(name: string): boolean {
  return NAME.test(name);
}

/** `wanted`: an id, or a name. Throws `storage_damaged` for any other: who keeps snapshots does not choose among them. */
export function assertWanted(
  wanted: string,
  { id, header: { version } }: { readonly id: Hash; readonly header: SnapshotHeader },
): void {
  const got = isSnapshotName(wanted) ? snapshotName({ version, id }) : id;
  if (got === wanted) return;
  throw new RegistryError(
    'storage_damaged',
    `expected the snapshot ${wanted}, got ${got}: another one stands in its place; take another copy of it, or another snapshot`,
  );
}

/** Throws `storage_damaged` where a database is another than its header says. */
export function assertFacts(header: SnapshotFacts, found: SnapshotFacts): void {
  for (const name of Object.keys(found) as (keyof SnapshotFacts)[]) {
    const [expected, got] = [textOf(header[name]), textOf(found[name])];
    if (expected !== got)
      throw new RegistryError(
        'storage_damaged',
        `expected the database of a snapshot whose ${name} is ${excerpt(expected)}, got one of ${excerpt(got)}`,
      );
  }
}

function textOf(value: SnapshotFacts[keyof SnapshotFacts]): string {
  return value instanceof Uint8Array ? encodeBase64(value) : String(value);
}
