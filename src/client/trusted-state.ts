/**
 * What the client believes, and the one way to believe more: an entry that passes every rule of the
 * log. Decides trust and does nothing else; asking and saving are `trusted-log`'s.
 */
import { decodeApprovals } from '../core/approval.ts';
import { encodeBase64 } from '../core/bytes.ts';
import { verifyEntry } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import { type Hash, hashOf } from '../core/hash.ts';
import {
  decodeLeaf,
  type EntryBytes,
  type ErasedBytes,
  entryHash,
  type Leaf,
} from '../core/leaf.ts';
import { decodePayload } from '../core/payload.ts';
import type { Chain } from '../core/rules.ts';
import type { SetTree } from '../core/set-tree.ts';
import type { Verifier } from '../core/verifier.ts';
import { latestExpiry, verifyErased } from '../core/without-payload.ts';
import type {
  ErasedEntry,
  PrunedGap,
  VerifiedCheckpoint,
  VerifiedEntry,
  VerifiedHead,
  WholeEntry,
} from './client.ts';
import { RecentPayloads } from './recent-payloads.ts';

/** What entries alone make: every rule of the log holds, but no checkpoint vouches for it yet. */
export interface WalkedState {
  readonly chain: Chain;
  /** Canonical leaf bytes of `chain.version`: what the state is restored from. */
  readonly leaf: Uint8Array;
  readonly recent: RecentPayloads;
  /** Versions known by their leaves alone, ascending. */
  readonly accepted: readonly PrunedGap[];
}

/** The newest that was believed: the trusted tree was proven to be its, or to lead to it. */
export interface TrustedCheckpoint {
  /** Leaves; more than the tree's while catching up. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly note: string;
  /** POSIX seconds for which enough witnesses vouched; `null` when none were asked for. */
  readonly freshAt: number | null;
}

export interface TrustedState extends WalkedState {
  readonly checkpoint: TrustedCheckpoint;
}

export interface AdvanceOptions {
  readonly verifier: Verifier;
  /** The pinned registry; `undefined` trusts whichever genesis comes first. */
  readonly registry: Hash | undefined;
}

/**
 * The state after the next entry (`null`: before genesis). Throws what `verifyEntry` throws, with the
 * version in the message; `invalid_proof` means that the set is not known where the entry touches it.
 */
export async function advance(
  state: WalkedState | null,
  entry: EntryBytes,
  { verifier, registry }: AdvanceOptions,
): Promise<WalkedState> {
  const version = (state?.chain.version ?? -1) + 1;
  if (state === null && registry !== undefined && hashOf(entry.payload) !== registry)
    throw new RegistryError(
      'wrong_registry',
      `expected registry ${registry}, got one that begins with ${hashOf(entry.payload)}`,
    );
  try {
    const isCommitted = (payloadB3: Hash) => state?.recent.has(payloadB3) ?? false;
    const { chain, leaf } = await verifyEntry(state?.chain ?? null, entry, {
      verifier,
      isCommitted,
    });
    const { payload, payloadB3 } = decodePayload(entry.payload);
    const committed = { payloadB3, expiresAt: payload.expires_at, committedAt: leaf.committed_at };
    return {
      chain,
      leaf: entry.leaf,
      recent: (state?.recent ?? RecentPayloads.NONE).with(committed),
      accepted: state?.accepted ?? [],
    };
  } catch (cause) {
    throw refusedEntry(cause, version);
  }
}

/** The same for an entry whose payload was erased: the set after it is known by root alone. */
export async function advanceErased(
  state: WalkedState | null,
  entry: ErasedBytes,
  { verifier }: AdvanceOptions,
): Promise<WalkedState> {
  if (state === null)
    throw new RegistryError(
      'invalid_entry',
      'entry 0: expected a genesis with its payload, got one that was erased',
      { details: { version: 0 } },
    );
  const { chain: before, recent, accepted } = state;
  try {
    const isCommitted = (payloadB3: Hash) => recent.has(payloadB3);
    const { chain, leaf } = await verifyErased(before, entry, { verifier, isCommitted });
    return { chain, leaf: entry.leaf, recent: recent.with(committedBy(leaf)), accepted };
  } catch (cause) {
    throw refusedEntry(cause, before.version + 1);
  }
}

/** What is remembered of a payload that is gone, for as long as it could have come again. */
export function committedBy(leaf: Leaf): Parameters<RecentPayloads['with']>[0] {
  return {
    payloadB3: leaf.payload_b3,
    expiresAt: latestExpiry(leaf),
    committedAt: leaf.committed_at,
  };
}

/** The same state that knows more of the same set. */
export function withSet<S extends WalkedState>(state: S, set: SetTree): S {
  return { ...state, chain: { ...state.chain, set } };
}

/** Throws `fork`: two entries for one version. */
export function assertSameEntry({
  version,
  expected,
  got,
}: {
  version: number;
  expected: Hash;
  got: Hash;
}): void {
  if (got === expected) return;
  throw new RegistryError(
    'fork',
    `expected version ${version} to be ${expected} as verified before, got ${got}: two histories are shown`,
    {
      details: { version, trusted: expected, got },
    },
  );
}

/**
 * An entry whose leaf is trusted already: its payload and approvals are those its leaf names. Throws
 * `invalid_entry`.
 */
export function readTrustedEntry(bytes: EntryBytes): WholeEntry {
  const leaf = decodeLeaf(bytes.leaf);
  if (hashOf(bytes.payload) !== leaf.payload_b3 || hashOf(bytes.approvals) !== leaf.approvals_b3)
    throw new RegistryError(
      'invalid_entry',
      `expected the payload and approvals that leaf ${leaf.version} names, got other bytes`,
      {
        details: { version: leaf.version },
      },
    );
  return {
    version: leaf.version,
    entryHash: entryHash(bytes.leaf),
    leaf,
    proposal: decodePayload(bytes.payload),
    approvals: decodeApprovals(bytes.approvals),
    erasedBy: null,
    bytes,
  };
}

/** The same for one that the verified entry of version `erasedBy` erased. */
export function readTrustedErased(bytes: ErasedBytes, erasedBy: number): ErasedEntry {
  const leaf = decodeLeaf(bytes.leaf);
  if (hashOf(bytes.approvals) !== leaf.approvals_b3)
    throw new RegistryError(
      'invalid_entry',
      `expected the approvals that leaf ${leaf.version} names, got other bytes`,
      { details: { version: leaf.version } },
    );
  return {
    version: leaf.version,
    entryHash: entryHash(bytes.leaf),
    leaf,
    proposal: null,
    approvals: decodeApprovals(bytes.approvals),
    erasedBy,
    bytes,
  };
}

/** The one that `version` was passed over in. */
export function acceptedGap(
  state: Pick<WalkedState, 'accepted'> | null,
  version: number,
): PrunedGap | undefined {
  return state?.accepted.find(({ from, to }) => from <= version && version <= to);
}

export function headOf({ chain, checkpoint, accepted }: TrustedState): VerifiedHead {
  const { origin, registry, version, entryHash, committedAt, governance, set } = chain;
  return {
    origin,
    registry,
    version,
    entryHash,
    committedAt,
    setRoot: set.root,
    setSize: set.size,
    governance,
    checkpoint: verifiedCheckpoint(checkpoint),
    accepted,
  };
}

export function verifiedCheckpoint({
  size,
  root,
  note,
  freshAt,
}: TrustedCheckpoint): VerifiedCheckpoint {
  return { size, root: encodeBase64(root), note, freshAt };
}

/** The head that a trusted entry makes, after the head before it (`null`: none, it is genesis). */
export function headAfter(
  before: VerifiedHead | null,
  { leaf, entryHash, proposal }: VerifiedEntry,
  checkpoint: TrustedCheckpoint,
): VerifiedHead {
  return {
    origin: leaf.origin,
    registry: before?.registry ?? leaf.payload_b3,
    version: leaf.version,
    entryHash,
    committedAt: leaf.committed_at,
    setRoot: leaf.set_root,
    setSize: leaf.set_size,
    governance: governanceAfter(before, proposal),
    checkpoint: verifiedCheckpoint(checkpoint),
    accepted: before?.accepted ?? [],
  };
}

function governanceAfter(
  before: VerifiedHead | null,
  proposal: VerifiedEntry['proposal'],
): VerifiedHead['governance'] {
  const payload = proposal?.payload;
  if (payload !== undefined && 'governance' in payload) return payload.governance;
  if (before === null)
    throw new RegistryError(
      'invalid_entry',
      `expected a genesis first, got an entry of type ${payload?.type}`,
    );
  return before.governance;
}

/** The rule's own code and reason, with the version it was broken at. */
function refusedEntry(cause: unknown, version: number): unknown {
  if (!(cause instanceof RegistryError)) return cause;
  return new RegistryError(cause.code, `entry ${version}: ${cause.message}`, {
    cause,
    details: { ...cause.details, version },
  });
}
