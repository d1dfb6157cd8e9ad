/**
 * The golden metrics, by name. Their names, types and labels are contract (CONFIG.md, dashboards,
 * alerts). Made once by the composition root and handed in; no module state, no default registry.
 */

export interface Metrics {
  httpRequest(sample: { route: string; method: string; code: number; seconds: number }): void;
  /** `+1` when a request begins, `-1` when it ends. */
  inflight(change: 1 | -1): void;
  /** `reason`: an error code. */
  rejected(reason: string): void;
  commit(sample: { seconds: number; approvals: number }): void;
  approvalVerified(seconds: number): void;
  /** Events a subscriber skipped (`latest`) or was closed for (`slow`). */
  lagged(consumer: string, count: number): void;
  updated(result: 'committed' | 'rejected' | 'conflict' | 'unknown'): void;
  version(version: number): void;
  /** The lowest version that is kept whole. */
  oldestVersion(version: number): void;
  pendingProposals(count: number): void;
  subscribers(count: number): void;
  fsync(seconds: number): void;
  storageBytes(bytes: number): void;
  /** Of the disk of the data, at each look at it; `undefined`: not known. `mark`: 0 fine, 1 soft, 2 hard. */
  disk(state: { readonly freeBytes: number; readonly mark: 0 | 1 | 2 } | undefined): void;
  /** The main file holds everything that was written, durably. */
  checkpointed(): void;
  recovered(): void;
  /** One request to a witness; `result` from a closed list, `other` beside it. */
  witnessRequested(sample: { witness: string; result: string }): void;
  /** The newest size this cosigner has signed here. */
  witnessSize(witness: string, size: number): void;
  /** `ageSeconds`: of its newest cosignature, now. */
  cosigned(witness: string, ageSeconds: number): void;
  /** Stays raised for the life of the process. */
  witnessAlarm(reason: 'ahead' | 'fork'): void;
  /** Whether the newest try to keep the high-water mark went well. */
  highWaterKept(isKept: boolean): void;
  /** From an entry durable to its event handed to the connection of a subscriber that waited. */
  propagated(seconds: number): void;
  audited(decision: 'accepted' | 'refused'): void;
  /** An audit record could not be kept. */
  auditFailed(): void;
  tokenChecked(result: 'accepted' | 'refused'): void;
  /** `at`: seconds since 1970. */
  reloaded(result: 'applied' | 'refused', at: number): void;
  /** End of the validity of the certificate in use, in seconds since 1970. */
  certificate(notAfter: number): void;
  /** `+1` when a connection was accepted, `-1` when it has ended. */
  connections(change: 1 | -1): void;
  connectionRefused(reason: 'total' | 'address'): void;
  answerBrokenOff(): void;
  /** What is kept, in all. */
  blobs(kept: { readonly count: number; readonly bytes: number }): void;
  /** How many bytes of them there may be. */
  blobQuota(bytes: number): void;
  /** `known`: it was there; `refused`: the sender's doing; `failed`: ours. */
  blobPut(result: 'stored' | 'known' | 'refused' | 'failed'): void;
  /** Blobs that nothing named any more. */
  blobsCollected(count: number): void;
  /** A blob was found changed on the disk. */
  blobDamaged(): void;
  /** What `/readyz?verbose` says: by gate, whether writes pass it. */
  readiness(state: {
    readonly isReadReady: boolean;
    readonly isWriteReady: boolean;
    readonly gates: ReadonlyMap<string, boolean>;
  }): void;
  /** From the start of the process until reads, and later writes, were answered. */
  started(sample: {
    readonly phase: 'read' | 'write';
    readonly isAfterCrash: boolean;
    readonly seconds: number;
  }): void;
  /** Prometheus text exposition. */
  render(): Promise<{ contentType: string; text: string }>;
}
