/** The compact record of an entry that is hashed and chained, and the entry's stored bytes. */
import { canonicalBytes, parseCanonical } from './canonical.ts';
import { Check, ORIGIN } from './check.ts';
import { type Hash, hashOf } from './hash.ts';
import { PAYLOAD_TYPES, type PayloadType, SCHEMA_VERSION } from './payload.ts';

export interface Leaf {
  /** BLAKE3 of the stored approvals array. */
  readonly approvals_b3: Hash;
  /** Never before the entry before. */
  readonly committed_at: string;
  /** In force for this entry: a governance entry carries the old one. */
  readonly governance_version: number;
  readonly origin: string;
  readonly payload_b3: Hash;
  readonly payload_bytes: number;
  /** The entry hash before; `null` at genesis. */
  readonly prev_hash: Hash | null;
  readonly schema_version: typeof SCHEMA_VERSION;
  readonly set_root: Hash;
  readonly set_size: number;
  readonly type: PayloadType;
  readonly version: number;
}

/** A committed entry as stored and served: canonical bytes, each hashed into the next. */
export interface EntryBytes {
  readonly leaf: Uint8Array;
  readonly payload: Uint8Array;
  readonly approvals: Uint8Array;
}

/** An entry whose payload was erased. Its hash stays in the leaf, and the approvals are of that hash. */
export interface ErasedBytes {
  readonly leaf: Uint8Array;
  readonly payload: null;
  readonly approvals: Uint8Array;
}

const MEMBERS = [
  'approvals_b3',
  'committed_at',
  'governance_version',
  'origin',
  'payload_b3',
  'payload_bytes',
  'prev_hash',
  'schema_version',
  'set_root',
  'set_size',
  'type',
  'version',
] as const;

export function encodeLeaf(leaf: Leaf): Uint8Array {
  return canonicalBytes(leaf);
}

export function entryHash(leafBytes: Uint8Array): Hash {
  return hashOf(leafBytes);
}

/** Throws what `parseCanonical` throws, and `invalid_entry`. */
export function decodeLeaf(bytes: Uint8Array): Leaf {
  const check = new Check('invalid_entry');
  const object = check.members(parseCanonical(bytes), '', MEMBERS);
  return {
    approvals_b3: check.hash(object.approvals_b3, '/approvals_b3'),
    committed_at: check.time(object.committed_at, '/committed_at'),
    governance_version: check.integer(object.governance_version, '/governance_version', { min: 1 }),
    origin: check.text(object.origin, '/origin', ORIGIN),
    payload_b3: check.hash(object.payload_b3, '/payload_b3'),
    payload_bytes: check.integer(object.payload_bytes, '/payload_bytes', { min: 1 }),
    prev_hash: object.prev_hash === null ? null : check.hash(object.prev_hash, '/prev_hash'),
    schema_version: check.literal(object.schema_version, '/schema_version', SCHEMA_VERSION),
    set_root: check.hash(object.set_root, '/set_root'),
    set_size: check.integer(object.set_size, '/set_size', { min: 0 }),
    type: check.literal(object.type, '/type', ...PAYLOAD_TYPES),
    version: check.integer(object.version, '/version', { min: 0 }),
  };
}
