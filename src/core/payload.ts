/**
 * What signers approve: the five payload types, read strictly from their canonical bytes. Checks that
 * need the registry's state (fences, quorum, succession, expiry) are in `chain`.
 */
import { type Json, type JsonObject, parseCanonical } from './canonical.ts';
import { Check, ID, KIND, NOTE, ORIGIN } from './check.ts';
import { RegistryError } from './error.ts';
import { type Governance, readGovernance } from './governance.ts';
import { type Hash, hashOf } from './hash.ts';
import { type Previous, readPrevious } from './previous.ts';
import { MAX_LIFETIME_MS } from './time.ts';

export const SCHEMA_VERSION = '1.0.0';
export const MAX_PAYLOAD_BYTES = 1024 * 1024;
export const MAX_CHANGES = 10_000;
export const SUPERSEDE_REASONS = [
  'KeyCompromise',
  'DataError',
  'GovernanceAction',
  'Other',
] as const;
export const ERASE_REASONS = ['PersonalData', 'Secret', 'LegalOrder', 'Other'] as const;

/** What is registered. One per `(kind, id)` in a descriptor set. */
export interface Descriptor {
  readonly kind: string;
  readonly id: string;
  readonly spec: JsonObject;
}

export interface PutChange extends Descriptor {
  readonly op: 'put';
  /** The value hash it replaces; `null`: the descriptor must not exist. */
  readonly replaces: Hash | null;
}

export interface RemoveChange {
  readonly op: 'remove';
  readonly kind: string;
  readonly id: string;
  readonly replaces: Hash;
}

export type Change = PutChange | RemoveChange;

interface Common {
  readonly schema_version: typeof SCHEMA_VERSION;
  readonly origin: string;
  readonly created_at: string;
  /** After `created_at`, by at most 30 days. */
  readonly expires_at: string;
  readonly note: string;
}

export interface GenesisPayload extends Common {
  readonly type: 'genesis';
  readonly governance: Governance;
  /** The log that this one goes on from; absent for a registry that begins anew. */
  readonly previous?: Previous;
}

export interface DescriptorsPayload extends Common {
  readonly type: 'descriptors';
  readonly registry: Hash;
  /** Sorted by (kind, id), one per key. */
  readonly changes: readonly Change[];
}

export interface GovernancePayload extends Common {
  readonly type: 'governance';
  readonly registry: Hash;
  readonly governance: Governance;
  /** `governanceHash` of the governance in force. */
  readonly replaces: Hash;
}

export interface SupersedePayload extends Common {
  readonly type: 'supersede';
  readonly registry: Hash;
  /** The entry hash of the head. */
  readonly supersedes: Hash;
  readonly reason: (typeof SUPERSEDE_REASONS)[number];
  /** May be empty: the act itself is the message. */
  readonly changes: readonly Change[];
}

/** The payload of an earlier entry is to be forgotten. Changes nothing in the set. */
export interface ErasePayload extends Common {
  readonly type: 'erase';
  readonly registry: Hash;
  /** The entry hash of that entry. */
  readonly erases: Hash;
  /** Of that entry, which is no genesis. */
  readonly version: number;
  readonly reason: (typeof ERASE_REASONS)[number];
}

export type Payload =
  | GenesisPayload
  | DescriptorsPayload
  | GovernancePayload
  | SupersedePayload
  | ErasePayload;
export type PayloadType = Payload['type'];
export const PAYLOAD_TYPES = [
  'genesis',
  'descriptors',
  'governance',
  'supersede',
  'erase',
] as const;

/** A payload together with the bytes that are its truth. */
export interface DecodedPayload {
  readonly payload: Payload;
  readonly bytes: Uint8Array;
  /** Also the proposal's id. */
  readonly payloadB3: Hash;
}

const COMMON = ['created_at', 'expires_at', 'note', 'origin', 'schema_version', 'type'] as const;
const MEMBERS: Record<PayloadType, readonly string[]> = {
  genesis: [...COMMON, 'governance'],
  descriptors: [...COMMON, 'registry', 'changes'],
  governance: [...COMMON, 'registry', 'governance', 'replaces'],
  supersede: [...COMMON, 'registry', 'supersedes', 'reason', 'changes'],
  erase: [...COMMON, 'registry', 'erases', 'version', 'reason'],
};

const check = new Check('invalid_payload');

/**
 * `bytes`: at most 1 MiB of canonical JSON. Throws `too_large`, what `parseCanonical` throws, and
 * `invalid_payload` with a pointer to the member.
 */
export function decodePayload(bytes: Uint8Array): DecodedPayload {
  if (bytes.length > MAX_PAYLOAD_BYTES)
    throw new RegistryError(
      'too_large',
      `expected a payload of at most ${MAX_PAYLOAD_BYTES} bytes, got ${bytes.length}`,
    );
  return { payload: readPayload(parseCanonical(bytes)), bytes, payloadB3: hashOf(bytes) };
}

/** The registry a payload belongs to: genesis names it by its own hash. */
export function registryOf({ payload, payloadB3 }: DecodedPayload): Hash {
  return payload.type === 'genesis' ? payloadB3 : payload.registry;
}

/** What a payload changes in the descriptor set. */
export function changesOf(payload: Payload): readonly Change[] {
  return 'changes' in payload ? payload.changes : [];
}

/** Order of changes and of sets: by kind, then by id, both ASCII. */
export function compareKeys(
  a: { kind: string; id: string },
  b: { kind: string; id: string },
): number {
  if (a.kind !== b.kind) return a.kind < b.kind ? -1 : 1;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return 0;
}

function readPayload(value: Json): Payload {
  const type = check.literal(check.object(value, '').type, '/type', ...PAYLOAD_TYPES);
  const isHandover = type === 'genesis' && Object.hasOwn(check.object(value, ''), 'previous');
  const names = isHandover ? [...MEMBERS.genesis, 'previous'] : MEMBERS[type];
  const object = check.members(value, '', names);
  const common = readCommon(object);
  if (type === 'genesis')
    return {
      ...common,
      type,
      governance: readGovernance(object.governance, '/governance', common.origin),
      ...(isHandover && { previous: readPrevious(object.previous, '/previous', common.origin) }),
    };
  const registry = check.hash(object.registry, '/registry');
  switch (type) {
    case 'descriptors':
      return { ...common, type, registry, changes: readChanges(object.changes, 1) };
    case 'governance':
      return {
        ...common,
        type,
        registry,
        governance: readGovernance(object.governance, '/governance', common.origin),
        replaces: check.hash(object.replaces, '/replaces'),
      };
    case 'supersede':
      return {
        ...common,
        type,
        registry,
        supersedes: check.hash(object.supersedes, '/supersedes'),
        reason: check.literal(object.reason, '/reason', ...SUPERSEDE_REASONS),
        changes: readChanges(object.changes, 0),
      };
    case 'erase':
      return {
        ...common,
        type,
        registry,
        erases: check.hash(object.erases, '/erases'),
        version: check.integer(object.version, '/version', { min: 1 }),
        reason: check.literal(object.reason, '/reason', ...ERASE_REASONS),
      };
  }
}

function readCommon(object: JsonObject): Common {
  const createdAt = check.time(object.created_at, '/created_at');
  const expiresAt = check.time(object.expires_at, '/expires_at');
  const lifetime = Date.parse(expiresAt) - Date.parse(createdAt);
  if (lifetime <= 0 || lifetime > MAX_LIFETIME_MS)
    check.fail('/expires_at', 'a time after created_at, by at most 30 days', expiresAt);
  return {
    schema_version: check.literal(object.schema_version, '/schema_version', SCHEMA_VERSION),
    origin: check.text(object.origin, '/origin', ORIGIN),
    created_at: createdAt,
    expires_at: expiresAt,
    note: check.text(object.note, '/note', NOTE),
  };
}

function readChanges(value: Json | undefined, min: number): Change[] {
  const changes = check.array(value, '/changes', { min, max: MAX_CHANGES }).map(readChange);
  changes.forEach((change, i) => {
    const before = changes[i - 1];
    if (before !== undefined && compareKeys(before, change) >= 0)
      check.fail(
        `/changes/${i}`,
        'changes sorted by kind and id, one for each',
        `${change.kind}/${change.id}`,
      );
  });
  return changes;
}

function readChange(value: Json, index: number): Change {
  const pointer = `/changes/${index}`;
  const op = check.literal(check.object(value, pointer).op, `${pointer}/op`, 'put', 'remove');
  const names = ['op', 'kind', 'id', 'replaces'];
  const object = check.members(value, pointer, op === 'put' ? [...names, 'spec'] : names);
  const kind = check.text(object.kind, `${pointer}/kind`, KIND);
  const id = check.text(object.id, `${pointer}/id`, ID);
  if (op === 'remove')
    return { op, kind, id, replaces: check.hash(object.replaces, `${pointer}/replaces`) };
  const replaces =
    object.replaces === null ? null : check.hash(object.replaces, `${pointer}/replaces`);
  return { op, kind, id, replaces, spec: check.object(object.spec, `${pointer}/spec`) };
}
