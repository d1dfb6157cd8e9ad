/**
 * What a payload must satisfy to follow a chain, rule by rule: it belongs to the registry, is in time,
 * succeeds the governance and finds its fences whole. Approvals and quorum are counted elsewhere.
 */
import { descriptorPath } from './descriptor.ts';
import { RegistryError } from './error.ts';
import {
  assertSuccession,
  type Governance,
  governanceHash,
  type SignerKeys,
  withSigners,
} from './governance.ts';
import { formatHash, type Hash } from './hash.ts';
import { type Change, changesOf, type DecodedPayload, type Payload } from './payload.ts';
import type { SetTree } from './set-tree.ts';
import type { LogTree } from './tlog/log-tree.ts';

/** Where a log stands, as far as single entries show it: who may append what, and after when. */
export interface Lineage {
  readonly origin: string;
  readonly registry: Hash;
  readonly version: number;
  readonly entryHash: Hash;
  readonly committedAt: string;
  readonly governance: Governance;
  readonly signerKeys: SignerKeys;
}

/** Everything the next entry depends on. Immutable: an append makes a new one. */
export interface Chain extends Lineage {
  readonly set: SetTree;
  /** Over the leaves up to this entry. */
  readonly tree: LogTree;
}

/** A fence that no longer holds: what the change expected to replace and what stands there. */
export interface BrokenFence {
  readonly kind: string;
  readonly id: string;
  readonly expected: Hash | null;
  readonly actual: Hash | null;
}

/** Throws `wrong_registry` unless the payload may be appended to this chain at all. */
export function assertBelongs(chain: Lineage | null, { payload }: DecodedPayload): void {
  if (payload.type === 'genesis') {
    if (chain !== null)
      throw new RegistryError(
        'wrong_registry',
        `expected no second genesis, got one: this registry is ${chain.registry}`,
      );
    return;
  }
  if (chain === null)
    throw new RegistryError(
      'not_initialised',
      'expected a genesis first, got another payload for an empty registry',
    );
  if (payload.origin !== chain.origin || payload.registry !== chain.registry)
    throw new RegistryError(
      'wrong_registry',
      `expected a payload for ${chain.origin} ${chain.registry}, got one for ${payload.origin} ${payload.registry}`,
      { details: { origin: chain.origin, registry: chain.registry } },
    );
}

/** Throws `expired`. */
export function assertUnexpired({ payload }: DecodedPayload, now: string): void {
  if (now > payload.expires_at)
    throw new RegistryError(
      'expired',
      `expected a payload that expires after ${now}, got one that expired at ${payload.expires_at}`,
      {
        details: { expires_at: payload.expires_at },
      },
    );
}

/** The governance after the payload; throws `invalid_governance` or `fence_broken`. */
export function nextGovernance(chain: Lineage | null, { payload }: DecodedPayload): Governance {
  if (payload.type === 'genesis') {
    const { governance, previous } = payload;
    const known = previous === undefined ? [] : previous.governance.signers;
    assertSuccession(null, governance, new Map(known.map((s) => [s.signer_id, s.public_key])));
    return payload.governance;
  }
  if (chain === null)
    throw new RegistryError('not_initialised', 'expected a genesis first, got another payload');
  if (payload.type !== 'governance') return chain.governance;
  const expected = governanceHash(chain.governance);
  if (payload.replaces !== expected)
    throw new RegistryError(
      'fence_broken',
      `expected the payload to replace governance ${expected}, got ${payload.replaces}`,
      {
        details: { governance: expected },
      },
    );
  assertSuccession(chain.governance, payload.governance, chain.signerKeys);
  return payload.governance;
}

/** `keys` with every signer that the payload names: an id means one key, from one epoch into the next too. */
export function withNamedSigners(keys: SignerKeys, payload: Payload): SignerKeys {
  if (!('governance' in payload)) return keys;
  const before =
    payload.type === 'genesis' && payload.previous !== undefined
      ? withSigners(keys, payload.previous.governance)
      : keys;
  return withSigners(before, payload.governance);
}

/** The paths that a payload's changes touch, in their order. */
export function changePaths(payload: Payload): readonly Uint8Array[] {
  return changesOf(payload).map(descriptorPath);
}

/**
 * The fences of `changes` that do not hold on `chain`; `paths` are theirs of `changePaths`, which a caller
 * that asks again for each head makes once. Hashes nothing.
 */
export function brokenFences(
  chain: Chain | null,
  changes: readonly Change[],
  paths: readonly Uint8Array[],
): readonly BrokenFence[] {
  return changes.flatMap(({ kind, id, replaces }, i) => {
    const path = paths[i];
    const valueHash = path === undefined ? undefined : chain?.set.get(path);
    const actual = valueHash === undefined ? null : formatHash(valueHash);
    return actual === replaces ? [] : [{ kind, id, expected: replaces, actual }];
  });
}

/** Throws `fence_broken` unless a `supersede` payload names the head. */
export function assertSupersedesHead(chain: Chain | null, payload: Payload): void {
  if (payload.type === 'supersede' && payload.supersedes !== chain?.entryHash)
    throw new RegistryError(
      'fence_broken',
      `expected the payload to supersede the head ${chain?.entryHash}, got ${payload.supersedes}`,
      {
        details: { entry_hash: chain?.entryHash, version: chain?.version },
      },
    );
}

/**
 * Throws `fence_broken` unless an `erase` payload names an entry before its own: at the head by its hash
 * too. What stands at a version further back is `assertErasable`'s, for whoever knows it.
 */
export function assertErasesEarlier(chain: Lineage | null, payload: Payload): void {
  if (payload.type !== 'erase') return;
  const head = chain?.version ?? -1;
  const isHeadOrBefore =
    payload.version < head || (payload.version === head && payload.erases === chain?.entryHash);
  if (!isHeadOrBefore)
    throw new RegistryError(
      'fence_broken',
      `expected the payload to erase an entry up to ${head} ${chain?.entryHash}, got ${payload.version} ${payload.erases}`,
      { details: { entry_hash: chain?.entryHash, version: chain?.version } },
    );
}

/** Throws `fence_broken` when any fence of `payload` does not hold. */
export function assertFences(
  chain: Chain | null,
  payload: Payload,
  paths: readonly Uint8Array[],
): void {
  assertSupersedesHead(chain, payload);
  assertErasesEarlier(chain, payload);
  const fences = brokenFences(chain, changesOf(payload), paths);
  const [first] = fences;
  if (first !== undefined)
    throw new RegistryError(
      'fence_broken',
      `expected ${first.kind}/${first.id} to be ${first.expected ?? 'absent'}, got ${first.actual ?? 'nothing there'}`,
      { details: { fences } },
    );
}
