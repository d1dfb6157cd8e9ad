/**
 * A verified chain as text that survives a restart: what the leaf says is taken from the leaf, the set
 * and the tree are kept by root and edge. One form for trusted state and for an audit under way; a hash
 * over it tells damage from an attack by a server.
 */
import { encodeBase64, parseBase64 } from '../core/bytes.ts';
import {
  canonicalBytes,
  canonicalText,
  type Json,
  type JsonObject,
  parseCanonical,
} from '../core/canonical.ts';
import { Check, SIGNER_ID } from '../core/check.ts';
import { readGovernance } from '../core/governance.ts';
import { type Hash, hashOf, parseHash } from '../core/hash.ts';
import { decodeLeaf, entryHash } from '../core/leaf.ts';
import type { Chain } from '../core/rules.ts';
import { SetTree } from '../core/set-tree.ts';
import { LogTree } from '../core/tlog/log-tree.ts';

/** A payload that must not be committed again while it lasts: its hash, and when it expires. */
export type KeptPayload = readonly [payloadB3: Hash, expiresAt: string];

interface KeptChain {
  readonly chain: Chain;
  /** Canonical leaf bytes of `chain.version`. */
  readonly leaf: Uint8Array;
}

const CHAIN_MEMBERS = ['edge', 'governance', 'leaf', 'registry', 'signer_keys'];
const check = new Check('storage_damaged');

/** Canonical JSON `{schema, state, state_b3}`. */
export function encodeKept(schema: string, state: object): string {
  return canonicalText({ schema, state, state_b3: hashOf(canonicalBytes(state)) });
}

/** The `state` member, whole, with the members of a chain and `others`. Throws `storage_damaged`. */
export function readKept(document: Json, others: readonly string[]): JsonObject {
  const { state, state_b3 } = check.members(document, '', ['schema', 'state', 'state_b3']);
  if (state_b3 !== hashOf(canonicalBytes(state)))
    check.fail('/state_b3', 'the hash of state', state_b3);
  return check.members(state, '/state', [...CHAIN_MEMBERS, ...others].sort());
}

/** The members of a chain. */
export function encodeKeptChain({ chain, leaf }: KeptChain): object {
  return {
    edge: chain.tree.edge.map(encodeBase64),
    governance: chain.governance,
    leaf: parseCanonical(leaf),
    registry: chain.registry,
    signer_keys: [...chain.signerKeys]
      .map(([signer_id, public_key]) => ({ signer_id, public_key }))
      .sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
  };
}

/** Throws `storage_damaged`, `invalid_entry` or `malformed`. */
export function readKeptChain(state: JsonObject): KeptChain {
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
      edge: readAll(state.edge, '/state/edge', readTreeHash),
    }),
  };
  return { chain, leaf: bytes };
}

export function encodeKeptPayloads(payloads: readonly KeptPayload[]): readonly object[] {
  return payloads.map(([payload_b3, expires_at]) => ({ payload_b3, expires_at }));
}

/** Throws `storage_damaged`. */
export function readKeptPayloads(value: Json | undefined, pointer: string): readonly KeptPayload[] {
  return readAll(value, pointer, (item, at) => {
    const { payload_b3, expires_at } = check.members(item, at, ['expires_at', 'payload_b3']);
    return [
      check.hash(payload_b3, `${at}/payload_b3`),
      check.time(expires_at, `${at}/expires_at`),
    ] as const;
  });
}

/** An array of any length. Throws `storage_damaged`. */
export function readAll<T>(
  value: Json | undefined,
  pointer: string,
  read: (value: Json, pointer: string) => T,
): readonly T[] {
  const items = check.array(value, pointer, { min: 0, max: Number.MAX_SAFE_INTEGER });
  return items.map((item, i) => read(item, `${pointer}/${i}`));
}

/** 32 bytes. Throws `storage_damaged`. */
export function readTreeHash(value: Json, pointer: string): Uint8Array {
  return parseBase64(check.base64(value, pointer, 32));
}

function readSignerKey(value: Json, pointer: string) {
  const { signer_id, public_key } = check.members(value, pointer, ['public_key', 'signer_id']);
  return [
    check.text(signer_id, `${pointer}/signer_id`, SIGNER_ID),
    check.base64(public_key, `${pointer}/public_key`, 32),
  ] as const;
}
