/**
 * The audit instrument: who tried to change something, and what became of it. Apart from the registry's
 * chain, which holds only what its signers approved. What keeps it is `server`'s.
 */

/** No secret, token or payload: ids, hashes and words of ours. */
export interface AuditEvent {
  /** A write, or an act of an operator. */
  readonly act:
    | 'propose'
    | 'approve'
    | 'commit'
    | 'supersede'
    | 'blob'
    | 'freeze'
    | 'thaw'
    | 'reload'
    | 'snapshot'
    | 'compact'
    | 'collect'
    | 'prune'
    | 'start'
    | 'stop';
  readonly decision: 'accepted' | 'refused';
  /** The error code of a refusal. */
  readonly code: string | null;
  /** What an operator gave as reason; `null` for a write. */
  readonly reason: string | null;
  /** As rate limits count it: an address, a /64, `local` for a Unix socket. */
  readonly client: string | null;
  /** The revocation id of the token's first block. */
  readonly token: string | null;
  /** Of an approval. */
  readonly signer: string | null;
  /** The payload hash, once it is known. */
  readonly proposal: string | null;
  /** The address of the blob that was put. */
  readonly blob?: string;
  /** The version that came of it. */
  readonly version: number | null;
  readonly corrId: string | null;
}

export interface AuditTrail {
  /** Resolves when the event is kept. Never rejects: what could not be kept is counted, and ends writes. */
  record(event: AuditEvent): Promise<void>;
}
