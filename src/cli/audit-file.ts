/**
 * What an audit verified so far, as a file that an interrupted one goes on from. The set is kept by its
 * root alone: it is asked for again, and must give it. The file is believed as trusted state is.
 */
import { decodeBase64, encodeBase64, encodeUtf8 } from '../core/bytes.ts';
import { canonicalBytes, canonicalText, type Json, parseCanonical } from '../core/canonical.ts';
import { Check, SIGNER_ID } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import { readGovernance } from '../core/governance.ts';
import { hashOf, parseHash } from '../core/hash.ts';
import type { JsonLimits } from '../core/json-scan.ts';
import { decodeLeaf, entryHash } from '../core/leaf.ts';
import { SetTree } from '../core/set-tree.ts';
import { LogTree } from '../core/tlog/log-tree.ts';
import { TILE_WIDTH } from '../core/tlog/tiles.ts';
import type { AuditState } from './audit-registry.ts';
import { CommittedPayloads } from './audit-replay.ts';
import { createFileTrust } from './trust-file.ts';

const SCHEMA = 'quorate/audit/v1';
const LIMITS: JsonLimits = { maxDepth: 40, maxTokens: 100_000_000 };
const MANY = Number.MAX_SAFE_INTEGER;

const check = new Check('storage_damaged');

export interface AuditFile {
  /** `undefined` when there is no file yet. Throws `storage_damaged`. */
  load(): Promise<AuditState | undefined>;
  /** Replaces the file atomically; durable when it resolves. */
  save(state: AuditState): Promise<void>;
}

export function createAuditFile(path: string): AuditFile {
  const file = createFileTrust(path);
  return {
    load: async () => {
      const text = await file.load();
      return text === undefined ? undefined : decodeAuditState(text, path);
    },
    save: (state) => file.save(encodeAuditState(state)),
  };
}

/** Canonical JSON `{schema, state, state_b3}`. */
export function encodeAuditState({ replay, open, counts }: AuditState): string {
  const { chain, leaf, committed } = replay;
  const state = {
    committed: committed.entries.map(([payload_b3, expires_at]) => ({ payload_b3, expires_at })),
    counts,
    edge: chain.tree.edge.map(encodeBase64),
    governance: chain.governance,
    leaf: parseCanonical(leaf),
    open: open.map((hashes) => hashes.map(encodeBase64)),
    registry: chain.registry,
    signer_keys: [...chain.signerKeys]
      .map(([signer_id, public_key]) => ({ signer_id, public_key }))
      .sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
  };
  return canonicalText({ schema: SCHEMA, state, state_b3: hashOf(canonicalBytes(state)) });
}

/** Throws `storage_damaged`. */
export function decodeAuditState(text: string, path: string): AuditState {
  try {
    return readDocument(parseCanonical(encodeUtf8(text.trimEnd()), LIMITS));
  } catch (cause) {
    const why = cause instanceof RegistryError ? cause.message : String(cause);
    throw new RegistryError(
      'storage_damaged',
      `expected what an audit kept in ${path}, got another text: ${why}; delete it to begin again`,
      { cause },
    );
  }
}

function readDocument(document: Json): AuditState {
  const {
    schema,
    state: value,
    state_b3,
  } = check.members(document, '', ['schema', 'state', 'state_b3']);
  check.literal(schema, '/schema', SCHEMA);
  if (state_b3 !== hashOf(canonicalBytes(value)))
    check.fail('/state_b3', 'the hash of state', state_b3);
  const state = check.members(value, '/state', [
    'committed',
    'counts',
    'edge',
    'governance',
    'leaf',
    'open',
    'registry',
    'signer_keys',
  ]);
  const bytes = canonicalBytes(state.leaf);
  const leaf = decodeLeaf(bytes);
  const chain = {
    origin: leaf.origin,
    registry: check.hash(state.registry, '/state/registry'),
    version: leaf.version,
    entryHash: entryHash(bytes),
    committedAt: leaf.committed_at,
    governance: readGovernance(state.governance, '/state/governance', leaf.origin),
    signerKeys: new Map(readAll(state.signer_keys, '/state/signer_keys', readSignerKey)),
    set: SetTree.fromRoot({ root: parseHash(leaf.set_root), size: leaf.set_size }),
    tree: LogTree.fromEdge({
      size: leaf.version + 1,
      edge: readAll(state.edge, '/state/edge', readHashBytes),
    }),
  };
  const committed = new CommittedPayloads(
    readAll(state.committed, '/state/committed', readCommitted),
  );
  return {
    replay: { chain, leaf: bytes, committed },
    open: readAll(state.open, '/state/open', (level, pointer) =>
      check
        .array(level, pointer, { min: 0, max: TILE_WIDTH - 1 })
        .map((hash, i) => readHashBytes(hash, `${pointer}/${i}`)),
    ),
    counts: readCounts(state.counts),
  };
}

function readCounts(value: Json | undefined): AuditState['counts'] {
  const counts = check.members(value, '/state/counts', ['approvals', 'entries', 'governances']);
  return {
    entries: check.integer(counts.entries, '/state/counts/entries', { min: 1 }),
    approvals: check.integer(counts.approvals, '/state/counts/approvals', { min: 1 }),
    governances: check.integer(counts.governances, '/state/counts/governances', { min: 1 }),
  };
}

function readAll<T>(
  value: Json | undefined,
  pointer: string,
  read: (value: Json, pointer: string) => T,
): readonly T[] {
  return check
    .array(value, pointer, { min: 0, max: MANY })
    .map((item, i) => read(item, `${pointer}/${i}`));
}

function readHashBytes(value: Json, pointer: string): Uint8Array {
  return decodeBase64(check.base64(value, pointer, 32)) ?? new Uint8Array();
}

function readSignerKey(value: Json, pointer: string) {
  const { signer_id, public_key } = check.members(value, pointer, ['public_key', 'signer_id']);
  return [
    check.text(signer_id, `${pointer}/signer_id`, SIGNER_ID),
    check.base64(public_key, `${pointer}/public_key`, 32),
  ] as const;
}

function readCommitted(value: Json, pointer: string) {
  const { payload_b3, expires_at } = check.members(value, pointer, ['expires_at', 'payload_b3']);
  return [
    check.hash(payload_b3, `${pointer}/payload_b3`),
    check.time(expires_at, `${pointer}/expires_at`),
  ] as const;
}
