/** The golden metrics: their names, types and labels are contract, so they are written down once more. */
import { createMetrics, type MetricsOptions } from '../../src/telemetry/create-metrics.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';

/** By name: the type, then the labels. */
export const GOLDEN: Readonly<Record<string, readonly [type: string, ...labels: string[]]>> = {
  http_requests_total: ['counter', 'code', 'method', 'route'],
  request_latency_seconds: ['histogram', 'method', 'route'],
  inflight_requests: ['gauge'],
  rejected_total: ['counter', 'reason'],
  commit_latency_seconds: ['histogram'],
  approval_verify_seconds: ['histogram'],
  approvals_per_commit: ['histogram'],
  bus_lagged_total: ['counter', 'consumer'],
  registry_version: ['gauge'],
  registry_oldest_version: ['gauge'],
  registry_updates_total: ['counter', 'result'],
  registry_pending_proposals: ['gauge'],
  registry_checkpoint_age_seconds: ['gauge'],
  registry_storage_bytes: ['gauge'],
  registry_storage_free_bytes: ['gauge'],
  registry_storage_mark: ['gauge'],
  registry_recoveries_total: ['counter'],
  registry_stream_subscribers: ['gauge'],
  storage_fsync_seconds: ['histogram'],
  registry_witness_requests_total: ['counter', 'result', 'witness'],
  registry_witness_size: ['gauge', 'witness'],
  registry_cosignature_age_seconds: ['gauge', 'witness'],
  registry_witness_alarm: ['gauge', 'reason'],
  registry_high_water_kept: ['gauge'],
  audit_records_total: ['counter', 'decision'],
  audit_failures_total: ['counter'],
  token_checks_total: ['counter', 'result'],
  config_reloads_total: ['counter', 'result'],
  config_last_reload_successful: ['gauge'],
  config_last_reload_success_timestamp_seconds: ['gauge'],
  registry_read_ready: ['gauge'],
  registry_write_ready: ['gauge'],
  registry_write_gate: ['gauge', 'gate'],
  registry_start_seconds: ['gauge', 'after', 'phase'],
  http_connections: ['gauge'],
  http_connections_refused_total: ['counter', 'reason'],
  http_answers_broken_off_total: ['counter'],
  tls_certificate_not_after_timestamp_seconds: ['gauge'],
  registry_blobs: ['gauge'],
  registry_blob_bytes: ['gauge'],
  registry_blob_quota_bytes: ['gauge'],
  blob_puts_total: ['counter', 'result'],
  blobs_collected_total: ['counter'],
  blobs_damaged_total: ['counter'],
  event_propagation_seconds: ['histogram'],
  registry_build_info: ['gauge', 'node', 'version'],
};

export function metricsWith(options: Partial<MetricsOptions> = {}): Metrics {
  return createMetrics({
    build: { version: '1.2.3', node: '24.0.0' },
    reasons: ['malformed', 'conflict'],
    now: () => 0,
    isProcessObserved: false,
    ...options,
  });
}

/** Every instrument once. */
export function reportEverything(metrics: Metrics): void {
  metrics.httpRequest({ route: '/registry/head', method: 'GET', code: 200, seconds: 0.001 });
  metrics.inflight(1);
  metrics.rejected('malformed');
  metrics.commit({ seconds: 0.01, approvals: 2 });
  metrics.approvalVerified(0.0003);
  metrics.lagged('latest', 3);
  metrics.updated('committed');
  metrics.version(7);
  metrics.oldestVersion(3);
  metrics.pendingProposals(4);
  metrics.subscribers(5);
  metrics.fsync(0.002);
  metrics.storageBytes(4096);
  metrics.disk({ freeBytes: 4096, mark: 1 });
  metrics.checkpointed();
  metrics.recovered();
  metrics.witnessRequested({ witness: 'w1', result: 'signed' });
  metrics.witnessSize('w1', 8);
  metrics.cosigned('w1', 2);
  metrics.witnessAlarm('fork');
  metrics.highWaterKept(true);
  metrics.propagated(0.02);
  metrics.audited('accepted');
  metrics.auditFailed();
  metrics.tokenChecked('refused');
  metrics.reloaded('applied', 1_790_000_000);
  metrics.reloaded('refused', 1_790_000_060);
  metrics.certificate(1_800_000_000);
  metrics.connections(1);
  metrics.connectionRefused('address');
  metrics.blobs({ count: 3, bytes: 3_000 });
  metrics.blobQuota(30_000);
  metrics.blobPut('known');
  metrics.blobsCollected(2);
  metrics.blobDamaged();
  metrics.readiness({ isReadReady: true, isWriteReady: false, gates: new Map([['disk', false]]) });
  metrics.started({ phase: 'write', isAfterCrash: true, seconds: 1.5 });
}
