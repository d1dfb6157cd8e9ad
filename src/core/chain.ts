/**
 * The rules of the log, in one place for writers and readers: `appendEntry` makes the next entry from
 * a payload and its approvals, `verifyEntry` makes it again from what a stranger serves and compares
 * bytes. Pure: no clock, no I/O; durability and order belong to the registry and the store.
 */
import { type Approval, decodeApprovals, encodeApprovals } from './approval.ts';
import { assertApprovals, assertApproved } from './approved.ts';
import { isEqualBytes } from './bytes.ts';
import { descriptorPath, descriptorValueHash, encodeDescriptor } from './descriptor.ts';
import { RegistryError } from './error.ts';
import { type Hash, hashOf } from './hash.ts';
import { decodeLeaf, type EntryBytes, encodeLeaf, entryHash, type Leaf } from './leaf.ts';
import {
  type Change,
  changesOf,
  type DecodedPayload,
  decodePayload,
  registryOf,
  SCHEMA_VERSION,
} from './payload.ts';
import {
  assertBelongs,
  assertFences,
  assertUnexpired,
  type Chain,
  nextGovernance,
  withNamedSigners,
} from './rules.ts';
import type { SetChange } from './set-rows.ts';
import { SetTree } from './set-tree.ts';
import { LogTree } from './tlog/log-tree.ts';
import type { TreeNode } from './tlog/merkle.ts';
import type { Verifier } from './verifier.ts';

export { assertAdmitted, assertApprovals, assertLogKeysAdmitted } from './approved.ts';
export type { BrokenFence, Chain } from './rules.ts';

/** One descriptor put or removed by an entry. */
export interface AppliedChange {
  readonly kind: string;
  readonly id: string;
  /** 32 bytes. */
  readonly path: Uint8Array;
  /** 32 bytes, `null` when removed. */
  readonly valueHash: Uint8Array | null;
  /** Canonical descriptor bytes, `null` when removed. */
  readonly bytes: Uint8Array | null;
}

export interface Appended {
  readonly chain: Chain;
  readonly leaf: Leaf;
  readonly entry: EntryBytes;
  readonly changes: readonly AppliedChange[];
  /** The nodes that the entry's leaf completed in the tree, its own hash first. */
  readonly nodes: readonly TreeNode[];
}

export interface AppendInput {
  readonly proposal: DecodedPayload;
  /** Signatures and keys already accepted under QV1. */
  readonly approvals: readonly Approval[];
  /** What `encodeApprovals` gives for them, for who has it: as `decodeApprovals` read it. */
  readonly approvalBytes?: Uint8Array;
  /** Not before the chain's own `committedAt`. */
  readonly committedAt: string;
  /** Whether a payload hash was committed before: a payload is committed at most once, ever. */
  readonly isCommitted: (payloadB3: Hash) => boolean;
}

/**
 * The next entry after `chain` (`null`: genesis). Whatever it returns, `verifyEntry` accepts. Throws
 * `wrong_registry`, `not_initialised`, `replayed`, `expired`, `unknown_signer`, `invalid_approval`,
 * `quorum_not_reached`, `invalid_governance`, `fence_broken`, or `invalid_entry` for a time before the
 * chain's own.
 */
export function appendEntry(chain: Chain | null, input: AppendInput): Appended {
  const { proposal, approvals, committedAt } = input;
  assertInTurn(chain, input);
  assertApproved(chain?.governance ?? null, { payload: proposal.payload, approvals, committedAt });
  const governance = nextGovernance(chain, proposal);
  const changes = changesOf(proposal.payload).map(applyChange);
  assertFences(
    chain,
    proposal.payload,
    changes.map((change) => change.path),
  );
  const set = (chain?.set ?? SetTree.EMPTY).with(changes satisfies readonly SetChange[]);

  const approvalBytes = input.approvalBytes ?? encodeApprovals(approvals);
  const leaf: Leaf = {
    approvals_b3: hashOf(approvalBytes),
    committed_at: committedAt,
    governance_version: chain?.governance.version ?? governance.version,
    origin: proposal.payload.origin,
    payload_b3: proposal.payloadB3,
    payload_bytes: proposal.bytes.length,
    prev_hash: chain?.entryHash ?? null,
    schema_version: SCHEMA_VERSION,
    set_root: set.root,
    set_size: set.size,
    type: proposal.payload.type,
    version: nextVersion(chain),
  };
  const entry = { leaf: encodeLeaf(leaf), payload: proposal.bytes, approvals: approvalBytes };
  const { tree, nodes } = (chain?.tree ?? LogTree.EMPTY).with(entry.leaf);
  const next: Chain = {
    origin: leaf.origin,
    registry: registryOf(proposal),
    version: leaf.version,
    entryHash: entryHash(entry.leaf),
    committedAt,
    governance,
    signerKeys: withNamedSigners(chain?.signerKeys ?? new Map(), proposal.payload),
    set,
    tree,
  };
  return { chain: next, leaf, entry, changes, nodes };
}

function assertInTurn(
  chain: Chain | null,
  { proposal, committedAt, isCommitted }: AppendInput,
): void {
  assertBelongs(chain, proposal);
  if (isCommitted(proposal.payloadB3))
    throw new RegistryError(
      'replayed',
      `expected a payload that was never committed, got ${proposal.payloadB3} again`,
    );
  assertUnexpired(proposal, committedAt);
  if (chain !== null && committedAt < chain.committedAt)
    throw new RegistryError(
      'invalid_entry',
      `expected committed_at not before ${chain.committedAt}, got ${committedAt}`,
    );
}

/** Of the entry after `chain`. */
export function nextVersion(chain: Chain | null): number {
  return chain === null ? 0 : chain.version + 1;
}

export interface VerifyInput {
  readonly verifier: Verifier;
  readonly isCommitted: (payloadB3: Hash) => boolean;
}

/**
 * Believes nothing of `entry`: checks its signatures, appends its payload to `chain` by the same rules
 * as the writer, and compares the leaf byte for byte. Throws what `appendEntry` throws,
 * `invalid_signature`, `fork` (it does not follow the chain) and `invalid_entry` (any other difference).
 */
export async function verifyEntry(
  chain: Chain | null,
  entry: EntryBytes,
  { verifier, isCommitted }: VerifyInput,
): Promise<Appended> {
  const read = decodeEntry(entry);
  assertFollows(chain, read.leaf);
  await assertApprovals(chain, { ...read, verifier });
  return replayEntry(chain, read, isCommitted);
}

/** An entry's parts, each read strictly; whether they belong together is not yet known. */
export interface DecodedEntry {
  readonly leaf: Leaf;
  readonly proposal: DecodedPayload;
  readonly approvals: readonly Approval[];
  readonly bytes: EntryBytes;
}

/** Throws what `decodeLeaf`, `decodePayload` and `decodeApprovals` throw. */
export function decodeEntry(bytes: EntryBytes): DecodedEntry {
  return {
    leaf: decodeLeaf(bytes.leaf),
    proposal: decodePayload(bytes.payload),
    approvals: decodeApprovals(bytes.approvals),
    bytes,
  };
}

/**
 * `verifyEntry` without its signatures. For a reader of many entries, who has `assertApprovals` check
 * those of one entry while the next are replayed, and believes none before its own have held.
 */
export function replayEntry(
  chain: Chain | null,
  { leaf, proposal, approvals, bytes }: DecodedEntry,
  isCommitted: VerifyInput['isCommitted'],
): Appended {
  assertFollows(chain, leaf);
  const committedAt = leaf.committed_at;
  const input = { proposal, approvals, committedAt, isCommitted, approvalBytes: bytes.approvals };
  const appended = appendEntry(chain, input);
  if (!isEqualBytes(appended.entry.leaf, bytes.leaf)) throw differentLeaf(leaf, appended.leaf);
  return appended;
}

/** Throws `fork` for the next version after another head. */
export function assertFollows(chain: Chain | null, leaf: Leaf): void {
  const head = chain?.entryHash ?? null;
  if (leaf.version === nextVersion(chain) && leaf.prev_hash !== head)
    throw new RegistryError(
      'fork',
      `expected version ${leaf.version} to follow ${head}, got one that follows ${leaf.prev_hash}`,
      { details: { version: leaf.version } },
    );
}

function applyChange(change: Change): AppliedChange {
  const { kind, id } = change;
  const bytes = change.op === 'put' ? encodeDescriptor(change) : null;
  return {
    kind,
    id,
    path: descriptorPath(change),
    valueHash: bytes === null ? null : descriptorValueHash(bytes),
    bytes,
  };
}

/** Canonical leaves that differ in bytes differ in a member. */
function differentLeaf(got: Leaf, expected: Leaf): RegistryError {
  const names = Object.keys(expected) as (keyof Leaf)[];
  const members = names.filter((name) => got[name] !== expected[name]);
  const list = (leaf: Leaf) => members.map((name) => `${name} ${leaf[name]}`).join(', ');
  return new RegistryError(
    'invalid_entry',
    `expected a leaf with ${list(expected)}, got one with ${list(got)}`,
    { details: { version: got.version, members } },
  );
}
