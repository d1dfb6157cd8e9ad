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
  pendingProposals(count: number): void;
  subscribers(count: number): void;
  fsync(seconds: number): void;
  storageBytes(bytes: number): void;
  /** Durable write-ahead log folded into the main file. */
  checkpointed(): void;
  recovered(): void;
  /** Prometheus text exposition. */
  render(): Promise<{ contentType: string; text: string }>;
}
