/**
 * Entries whose payload is gone: what their leaf still shows, and their approvals where they are left.
 * They are followed, not replayed: the set after them is known by the root that their leaf names. When
 * that may be believed is for the caller, who knows what erased them, or what he accepts.
 */
import { type Approval, assertSignedInTime, decodeApprovals } from './approval.ts';
import { type ApprovalCheck, assertSigned, checksOf } from './approved.ts';
import { assertFollows, nextVersion } from './chain.ts';
import { isErasableType } from './erasure.ts';
import { RegistryError } from './error.ts';
import { type Hash, hashOf, parseHash } from './hash.ts';
import { decodeLeaf, type ErasedBytes, entryHash, type Leaf } from './leaf.ts';
import { assertQuorum, countErasedQuorum, keysOf } from './quorum.ts';
import type { Chain } from './rules.ts';
import { SetTree } from './set-tree.ts';
import { formatTime, MAX_LIFETIME_MS, SKEW_MS } from './time.ts';
import type { TreeNode } from './tlog/merkle.ts';
import type { Verifier } from './verifier.ts';

export interface DecodedErased {
  readonly leaf: Leaf;
  readonly approvals: readonly Approval[];
  readonly bytes: ErasedBytes;
}

export interface Followed {
  /** Its set is known by root alone. */
  readonly chain: Chain;
  readonly leaf: Leaf;
  /** The nodes that the leaf completed in the tree, its own hash first. */
  readonly nodes: readonly TreeNode[];
}

const END_OF_TIME = Date.parse('9999-12-31T23:59:59.999Z');

type IsCommitted = (payloadB3: Hash) => boolean;

/** Throws what `decodeLeaf` and `decodeApprovals` throw. */
export function decodeErased(bytes: ErasedBytes): DecodedErased {
  return { leaf: decodeLeaf(bytes.leaf), approvals: decodeApprovals(bytes.approvals), bytes };
}

/**
 * An erased entry after `chain`: everything but what its payload alone would show, which is when it was
 * made and expired, and whether the set follows from it. Throws what `verifyEntry` throws.
 */
export async function verifyErased(
  chain: Chain,
  bytes: ErasedBytes,
  { verifier, isCommitted }: { readonly verifier: Verifier; readonly isCommitted: IsCommitted },
): Promise<Followed> {
  const read = decodeErased(bytes);
  const followed = followErased(chain, read, isCommitted);
  await assertSigned(erasedChecks(chain, read), verifier);
  return followed;
}

/** `verifyErased` without its signatures, as `replayEntry` is `verifyEntry` without them. */
export function followErased(
  chain: Chain,
  { leaf, approvals, bytes }: DecodedErased,
  isCommitted: IsCommitted,
): Followed {
  const followed = followLeaf(chain, bytes.leaf, isCommitted);
  if (!isErasableType(leaf.type)) throw unlike(leaf, 'type', 'descriptors or supersede');
  if (leaf.approvals_b3 !== hashOf(bytes.approvals))
    throw unlike(leaf, 'approvals_b3', hashOf(bytes.approvals));
  erasedChecks(chain, { leaf, approvals });
  for (const approval of approvals)
    assertSignedInTime(approval, { createdAt: approval.signed_at, now: leaf.committed_at });
  const approved = approvals.map((approval) => approval.signer_id);
  assertQuorum(countErasedQuorum(chain.governance, approved));
  return followed;
}

/** What has to be verified for its approvals, in their order. Throws `unknown_signer`. */
export function erasedChecks(
  { origin, registry, governance }: Pick<Chain, 'origin' | 'registry' | 'governance'>,
  { leaf, approvals }: Pick<DecodedErased, 'leaf' | 'approvals'>,
): readonly ApprovalCheck[] {
  const statement = { origin, registry, payloadB3: leaf.payload_b3 };
  return checksOf(approvals, keysOf(governance), statement);
}

/**
 * The next entry by its leaf alone: it follows, and sets no governance. Throws `fork`, `replayed`, or
 * `invalid_entry` for a leaf that no entry after `chain` can have.
 */
export function followLeaf(chain: Chain, bytes: Uint8Array, isCommitted: IsCommitted): Followed {
  const leaf = decodeLeaf(bytes);
  assertFollows(chain, leaf);
  const expected: Partial<Leaf> = {
    version: nextVersion(chain),
    origin: chain.origin,
    governance_version: chain.governance.version,
  };
  for (const [name, value] of Object.entries(expected))
    if (leaf[name as keyof Leaf] !== value) throw unlike(leaf, name, value);
  if (leaf.type === 'genesis' || leaf.type === 'governance')
    throw unlike(leaf, 'type', 'one that sets no governance');
  if (leaf.committed_at < chain.committedAt)
    throw unlike(leaf, 'committed_at', `${chain.committedAt} or later`);
  if (isCommitted(leaf.payload_b3))
    throw new RegistryError(
      'replayed',
      `expected a payload that was never committed, got ${leaf.payload_b3} again`,
    );
  if ((leaf.set_size === 0) !== (leaf.set_root === SetTree.EMPTY.root))
    throw unlike(leaf, 'set_size', 'that of its set_root');
  const { tree, nodes } = chain.tree.with(bytes);
  const set = SetTree.fromRoot({ root: parseHash(leaf.set_root), size: leaf.set_size });
  const { version, committed_at: committedAt } = leaf;
  const next = { ...chain, version, entryHash: entryHash(bytes), committedAt, set, tree };
  return { chain: next, leaf, nodes };
}

/**
 * Until when a payload that is gone may have been committable: it was created before its approvals, and
 * those were signed before it was committed, each with 5 minutes of skew.
 */
export function latestExpiry({ committed_at }: Leaf): string {
  const latest = Date.parse(committed_at) + MAX_LIFETIME_MS + 2 * SKEW_MS;
  return formatTime(Math.min(latest, END_OF_TIME));
}

function unlike(leaf: Leaf, member: string, expected: unknown): RegistryError {
  return new RegistryError(
    'invalid_entry',
    `expected a leaf with ${member} ${expected}, got one with ${leaf[member as keyof Leaf]}`,
    { details: { version: leaf.version, members: [member] } },
  );
}
