/** The golden metrics: their names, types and labels are contract, so they are written down once more. */

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
  registry_updates_total: ['counter', 'result'],
  registry_pending_proposals: ['gauge'],
  registry_checkpoint_age_seconds: ['gauge'],
  registry_storage_bytes: ['gauge'],
  registry_recoveries_total: ['counter'],
  registry_stream_subscribers: ['gauge'],
  storage_fsync_seconds: ['histogram'],
  registry_witness_requests_total: ['counter', 'result', 'witness'],
  registry_witness_size: ['gauge', 'witness'],
  registry_cosignature_age_seconds: ['gauge', 'witness'],
  registry_witness_alarm: ['gauge', 'reason'],
  registry_build_info: ['gauge', 'node', 'version'],
};
