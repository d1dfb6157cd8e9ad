/**
 * Trusted state as text that survives a restart. What the leaf says is taken from the leaf; the set is
 * kept by its root alone. A text that is damaged or foreign is refused with a way out: starting over
 * silently would believe whoever answers first.
 */
import { encodeUtf8, isEqualBytes } from '../core/bytes.ts';
import { type Json, type JsonObject, parseCanonical } from '../core/canonical.ts';
import { Check, type TextRule } from '../core/check.ts';
import { RegistryError } from '../core/error.ts';
import type { LogTree } from '../core/tlog/log-tree.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import type { PrunedGap } from './client.ts';
import { ANSWER_LIMITS } from './json.ts';
import {
  encodeKept,
  encodeKeptChain,
  encodeKeptPayloads,
  readAll,
  readKept,
  readKeptChain,
  readKeptPayloads,
} from './kept-text.ts';
import { RecentPayloads } from './recent-payloads.ts';
import type { TrustedCheckpoint, TrustedState } from './trusted-state.ts';

const FORM = 'quorate/trusted-state/';
const SCHEMA = `${FORM}v2`;
/** With what was accepted without being verified: an older program would not tell of it. */
const WITH_GAPS = `${FORM}v3`;
/** Without a tree: nothing of it could be held against a checkpoint. */
const TREELESS = `${FORM}v1`;
const ADVICE = 'restore it from a copy, or delete it to verify the registry from genesis again';

const check = new Check('storage_damaged');
const TEXT: TextRule = { expected: 'text', test: () => true };

/** Canonical JSON `{schema, state, state_b3}`; the hash tells damage from an attack by a server. */
export function encodeTrustedState(state: TrustedState): string {
  const { chain, recent, checkpoint, accepted } = state;
  return encodeKept(accepted.length === 0 ? SCHEMA : WITH_GAPS, {
    ...encodeKeptChain(state),
    ...(accepted.length > 0 && { accepted }),
    checkpoint: checkpoint.note,
    fresh_at: checkpoint.freshAt,
    recent: encodeKeptPayloads(recent.unexpired(chain.committedAt)),
  });
}

/** Throws `storage_damaged`, `storage_foreign` or `storage_newer`, each saying what to do. */
export function decodeTrustedState(text: string): TrustedState {
  try {
    const document = parseCanonical(encodeUtf8(text.trimEnd()), ANSWER_LIMITS);
    return readState(document, assertSchema(check.object(document, '').schema));
  } catch (cause) {
    if (cause instanceof RegistryError && ['storage_foreign', 'storage_newer'].includes(cause.code))
      throw cause;
    throw damaged(cause);
  }
}

function assertSchema(schema: Json | undefined): typeof SCHEMA | typeof WITH_GAPS {
  if (schema === SCHEMA || schema === WITH_GAPS) return schema;
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

function readState(document: Json, schema: string): TrustedState {
  const isWithGaps = schema === WITH_GAPS;
  const members = ['checkpoint', 'fresh_at', 'recent'];
  const state = readKept(document, isWithGaps ? [...members, 'accepted'] : members);
  const { chain, leaf } = readKeptChain(state);
  return {
    chain,
    leaf,
    checkpoint: readCheckpoint(state, chain.origin, chain.tree),
    recent: RecentPayloads.from(readKeptPayloads(state.recent, '/state/recent')),
    accepted: isWithGaps ? readAll(state.accepted, '/state/accepted', readGap) : [],
  };
}

function readGap(value: Json, pointer: string): PrunedGap {
  const { from, to } = check.members(value, pointer, ['from', 'to']);
  return {
    from: check.integer(from, `${pointer}/from`, { min: 0 }),
    to: check.integer(to, `${pointer}/to`, { min: 0 }),
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

function damaged(cause: unknown): RegistryError {
  const why = cause instanceof RegistryError ? cause.message : String(cause);
  return new RegistryError(
    'storage_damaged',
    `expected undamaged trusted state, got a text that is not: ${why}; ${ADVICE}`,
    { cause },
  );
}
