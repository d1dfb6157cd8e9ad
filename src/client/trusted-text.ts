/**
 * Trusted state as text that survives a restart. What the leaf says is taken from the leaf; the set is
 * kept by its root alone. A text that is damaged or foreign is refused with a way out: starting over
 * silently would believe whoever answers first.
 */
import { decodeBase64, encodeBase64, encodeUtf8, isEqualBytes } from '../core/bytes.ts';
import {
  canonicalBytes,
  canonicalText,
  type Json,
  type JsonObject,
  parseCanonical,
} from '../core/canonical.ts';
import { Check, SIGNER_ID, type TextRule } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import { readGovernance } from '../core/governance.ts';
import { hashOf, parseHash } from '../core/hash.ts';
import { decodeLeaf, entryHash } from '../core/leaf.ts';
import { SetTree } from '../core/set-tree.ts';
import { LogTree } from '../core/tlog/log-tree.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { ANSWER_LIMITS } from './json.ts';
import { RecentPayloads } from './recent-payloads.ts';
import type { TrustedCheckpoint, TrustedState } from './trusted-state.ts';

const FORM = 'quorate/trusted-state/';
const SCHEMA = `${FORM}v2`;
/** Without a tree: nothing of it could be held against a checkpoint. */
const TREELESS = `${FORM}v1`;
const ADVICE = 'restore it from a copy, or delete it to verify the registry from genesis again';

const check = new Check('storage_damaged');
const TEXT: TextRule = { expected: 'text', test: () => true };

/** Canonical JSON `{schema, state, state_b3}`; the hash tells damage from an attack by a server. */
export function encodeTrustedState({ chain, leaf, recent, checkpoint }: TrustedState): string {
  const state = {
    checkpoint: checkpoint.note,
    edge: chain.tree.edge.map(encodeBase64),
    fresh_at: checkpoint.freshAt,
    governance: chain.governance,
    leaf: parseCanonical(leaf),
    recent: recent
      .unexpired(chain.committedAt)
      .map(([payload_b3, expires_at]) => ({ payload_b3, expires_at })),
    registry: chain.registry,
    signer_keys: [...chain.signerKeys]
      .map(([signer_id, public_key]) => ({ signer_id, public_key }))
      .sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1)),
  };
  return canonicalText({ schema: SCHEMA, state, state_b3: hashOf(canonicalBytes(state)) });
}

/** Throws `storage_damaged`, `storage_foreign` or `storage_newer`, each saying what to do. */
export function decodeTrustedState(text: string): TrustedState {
  try {
    const document = parseCanonical(encodeUtf8(text.trimEnd()), ANSWER_LIMITS);
    assertSchema(check.object(document, '').schema);
    return readState(document);
  } catch (cause) {
    if (cause instanceof RegistryError && ['storage_foreign', 'storage_newer'].includes(cause.code))
      throw cause;
    throw damaged(cause);
  }
}

function assertSchema(schema: Json | undefined): void {
  if (schema === SCHEMA) return;
  if (schema === TREELESS)
    throw new RegistryError(
      'storage_foreign',
      `expected trusted state of form ${SCHEMA}, got ${TREELESS} of an older program: delete it to verify the registry from genesis again, with the registry pinned`,
    );
  if (typeof schema === 'string' && schema.startsWith(FORM))
    throw new RegistryError(
      'storage_newer',
      `expected trusted state of form ${SCHEMA}, got ${schema}: use the program that wrote it, or a newer one`,
    );
  throw new RegistryError(
    'storage_foreign',
    `expected trusted state of form ${SCHEMA}, got another document: name another file for trusted state`,
  );
}

function readState(document: Json): TrustedState {
  const { state: value, state_b3 } = check.members(document, '', ['schema', 'state', 'state_b3']);
  if (state_b3 !== hashOf(canonicalBytes(value)))
    check.fail('/state_b3', 'the hash of state', state_b3);
  const state = check.members(value, '/state', [
    'checkpoint',
    'edge',
    'fresh_at',
    'governance',
    'leaf',
    'recent',
    'registry',
    'signer_keys',
  ]);
  const leafBytes = canonicalBytes(state.leaf);
  const leaf = decodeLeaf(leafBytes);
  const tree = LogTree.fromEdge({
    size: leaf.version + 1,
    edge: readAll(state.edge, '/state/edge', readTreeHash),
  });
  return {
    checkpoint: readCheckpoint(state, leaf.origin, tree),
    chain: {
      origin: leaf.origin,
      registry: check.hash(state.registry, '/state/registry'),
      version: leaf.version,
      entryHash: entryHash(leafBytes),
      committedAt: leaf.committed_at,
      governance: readGovernance(state.governance, '/state/governance', leaf.origin),
      signerKeys: new Map(readAll(state.signer_keys, '/state/signer_keys', readSignerKey)),
      set: SetTree.fromRoot({ root: parseHash(leaf.set_root), size: leaf.set_size }),
      tree,
    },
    leaf: leafBytes,
    recent: RecentPayloads.from(readAll(state.recent, '/state/recent', readRecent)),
  };
}

function readCheckpoint(
  { checkpoint, fresh_at }: JsonObject,
  origin: string,
  tree: LogTree,
): TrustedCheckpoint {
  const note = check.text(checkpoint, '/state/checkpoint', TEXT);
  const { size, root, origin: named } = readSignedCheckpoint(note);
  const isOfTree = size > tree.size || (size === tree.size && isEqualBytes(root, tree.root));
  if (named !== origin || !isOfTree)
    check.fail('/state/checkpoint', `a checkpoint over the ${tree.size} leaves of ${origin}`, size);
  const freshAt = fresh_at === null ? null : check.integer(fresh_at, '/state/fresh_at', { min: 0 });
  return { size, root, note, freshAt };
}

function readTreeHash(value: Json, pointer: string): Uint8Array {
  const text = check.base64(value, pointer, 32);
  return decodeBase64(text) ?? check.fail(pointer, 'base64', text);
}

function readAll<T>(
  value: Json | undefined,
  pointer: string,
  read: (value: Json, pointer: string) => T,
): readonly T[] {
  const items = check.array(value, pointer, { min: 0, max: Number.MAX_SAFE_INTEGER });
  return items.map((item, i) => read(item, `${pointer}/${i}`));
}

function readSignerKey(value: Json, pointer: string) {
  const { signer_id, public_key } = check.members(value, pointer, ['public_key', 'signer_id']);
  return [
    check.text(signer_id, `${pointer}/signer_id`, SIGNER_ID),
    check.base64(public_key, `${pointer}/public_key`, 32),
  ] as const;
}

function readRecent(value: Json, pointer: string) {
  const { payload_b3, expires_at } = check.members(value, pointer, ['expires_at', 'payload_b3']);
  return [
    check.hash(payload_b3, `${pointer}/payload_b3`),
    check.time(expires_at, `${pointer}/expires_at`),
  ] as const;
}

function damaged(cause: unknown): RegistryError {
  const why = cause instanceof RegistryError ? cause.message : String(cause);
  return new RegistryError(
    'storage_damaged',
    `expected undamaged trusted state, got a text that is not: ${why}; ${ADVICE}`,
    { cause },
  );
}
