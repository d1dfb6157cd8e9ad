/** The sum of an audit: what was verified, counted entry by entry. Pure. */
import type { VerifiedEntry, VerifiedHead } from '../client/client.ts';
import type { Hash } from '../core/hash.ts';

export interface AuditSummary {
  readonly origin: string;
  readonly registry: Hash;
  readonly version: number;
  readonly entry_hash: Hash;
  readonly committed_at: string;
  readonly set_root: Hash;
  readonly entries: number;
  readonly approvals: number;
  /** At the head. */
  readonly descriptors: number;
  /** Governances there were, the one in force included. */
  readonly governances: number;
  readonly threshold: number;
  readonly signers: number;
  /** Rows of the descriptor index compared with the entries; `null` over HTTP, where there are none. */
  readonly rows: number | null;
}

/** What one verified entry adds to the sum. */
export type Audited = Pick<VerifiedEntry, 'leaf' | 'approvals'>;

export class AuditCount {
  #entries = 0;
  #approvals = 0;
  #governances = 0;

  add({ leaf, approvals }: Audited): void {
    this.#entries++;
    this.#approvals += approvals.length;
    if (leaf.type === 'genesis' || leaf.type === 'governance') this.#governances++;
  }

  summary(head: Omit<VerifiedHead, 'checkpoint'>, rows: number | null): AuditSummary {
    const { origin, registry, version, governance } = head;
    return {
      origin,
      registry,
      version,
      entry_hash: head.entryHash,
      committed_at: head.committedAt,
      set_root: head.setRoot,
      entries: this.#entries,
      approvals: this.#approvals,
      descriptors: head.setSize,
      governances: this.#governances,
      threshold: governance.threshold,
      signers: governance.signers.length,
      rows,
    };
  }
}
