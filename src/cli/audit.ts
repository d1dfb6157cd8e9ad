/** The sum of an audit: what was verified, counted entry by entry, and the checkpoint it led to. Pure. */
import { encodeBase64 } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import type { Hash } from '../core/hash.ts';
import type { SignedCheckpoint } from '../core/tlog/note-signatures.ts';
import type { Witnessed } from '../core/tlog/witnessed.ts';
import type { VerifierKey } from '../core/vkey.ts';
import type { Replayed } from './audit-entry.ts';
import type { ErasureState } from './audit-erasures.ts';

export interface AuditSummary {
  readonly origin: string;
  readonly registry: Hash;
  readonly version: number;
  readonly entry_hash: Hash;
  readonly committed_at: string;
  readonly set_root: Hash;
  readonly entries: number;
  readonly approvals: number;
  /** Of the entries, those known by their leaf alone, whose approvals nobody verified here. */
  readonly pruned: number;
  /** Entries that others erased; those served without their payload were verified but for what it changed. */
  readonly erased: readonly { readonly version: number; readonly erased_by: number }[];
  /** At the head. */
  readonly descriptors: number;
  /** Governances there were, the one in force included. */
  readonly governances: number;
  readonly threshold: number;
  readonly signers: number;
  /** `null`: a database that no service has signed a checkpoint for. */
  readonly checkpoint: CheckpointSummary | null;
  /** Rows of the descriptor index compared with the entries; `null` over HTTP, where there are none. */
  readonly rows: number | null;
  /** Nodes of the stored tree compared with the leaves; `null` over HTTP. */
  readonly nodes: number | null;
  /** Tiles and entry bundles compared with the entries; `null` for a database. */
  readonly tiles: number | null;
}

export interface CheckpointSummary {
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Key ids of the log keys in force that signed it. */
  readonly log_keys: readonly string[];
  /** Names of the policy; `null`: none was given. */
  readonly cosigned: readonly string[] | null;
  /** POSIX seconds for which a quorum of them vouches. */
  readonly fresh_at: number | null;
}

export interface AuditCounts {
  readonly entries: number;
  readonly approvals: number;
  readonly governances: number;
  readonly pruned: number;
}

export const NOTHING_COUNTED: AuditCounts = {
  entries: 0,
  approvals: 0,
  governances: 0,
  pruned: 0,
};

export function counted(
  counts: AuditCounts,
  replayed: readonly Pick<Replayed, 'leaf' | 'approvals' | 'kind'>[],
): AuditCounts {
  let { entries, approvals, governances, pruned } = counts;
  for (const entry of replayed) {
    entries++;
    approvals += entry.approvals;
    if (entry.leaf.type === 'genesis' || entry.leaf.type === 'governance') governances++;
    if (entry.kind === 'pruned') pruned++;
  }
  return { entries, approvals, governances, pruned };
}

export function summaryOf(
  chain: Chain,
  counts: AuditCounts,
  {
    erasures,
    ...found
  }: Pick<AuditSummary, 'checkpoint' | 'rows' | 'nodes' | 'tiles'> & {
    readonly erasures: ErasureState;
  },
): AuditSummary {
  const { governance } = chain;
  const erased = erasures.found.map(([version, by]) => ({ version, erased_by: by }));
  return {
    origin: chain.origin,
    registry: chain.registry,
    version: chain.version,
    entry_hash: chain.entryHash,
    committed_at: chain.committedAt,
    set_root: chain.set.root,
    descriptors: chain.set.size,
    ...counts,
    erased: erased.sort((a, b) => a.version - b.version),
    threshold: governance.threshold,
    signers: governance.signers.length,
    ...found,
  };
}

export function checkpointSummary(
  { size, root }: SignedCheckpoint,
  logKeys: readonly VerifierKey[],
  witnessed: Witnessed | undefined,
): CheckpointSummary {
  return {
    size,
    root: encodeBase64(root),
    log_keys: logKeys.map(({ keyId }) => keyId),
    cosigned: witnessed?.cosigned ?? null,
    fresh_at: witnessed?.time ?? null,
  };
}
