/**
 * The golden metrics as prom-client instruments on one registry: names, types, labels, buckets. Those of
 * requests are in `request-metrics.ts`; how events of the service become samples is `create-metrics.ts`.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

// The objectives are bounds of buckets: 50, 90 and 100 ms for reads, 750 ms and 1.2 s for commits, 7 ms
// for a verification, 200 ms for an event. Between bounds a quantile is only an estimate.
export const LATENCY_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.09, 0.1, 0.25, 0.5, 0.75, 1.2, 2.5, 10,
];
const PROPAGATION_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5];
const FSYNC_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2,
];
const VERIFY_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.007, 0.01, 0.05, 0.25];
const APPROVALS = [1, 2, 3, 5, 8, 13, 21, 34];

export type GoldenMetrics = ReturnType<typeof createGoldenMetrics>;

/** The ages are asked for at every scrape; those of cosignatures by cosigner. */
export function createGoldenMetrics(
  registry: Registry,
  checkpointAgeSeconds: () => number | undefined,
  cosignatureAges: () => ReadonlyMap<string, number>,
) {
  const make = new Maker(registry);
  make.observed(
    'registry_checkpoint_age_seconds',
    'Time since the main file of the store was last known to hold everything; absent without one.',
    checkpointAgeSeconds,
  );
  return {
    ...requestMetrics(make),
    ...commitMetrics(make),
    ...stateMetrics(make),
    ...witnessMetrics(make, cosignatureAges),
    ...operationMetrics(make),
    ...connectionMetrics(make),
    ...blobMetrics(make),
  };
}

function operationMetrics(make: Maker) {
  return {
    audited: make.counter('audit_records_total', 'Audit records kept, by decision.', ['decision']),
    auditFailures: make.counter('audit_failures_total', 'Audit records that could not be kept.'),
    tokens: make.counter('token_checks_total', 'Access tokens checked, by result.', ['result']),
    reloads: make.counter('config_reloads_total', 'Reloads of the configuration, by result.', [
      'result',
    ]),
    isReloaded: make.gauge(
      'config_last_reload_successful',
      '1 while the last reload was applied, and before the first; 0 while it was refused.',
    ),
    reloadedAt: make.unset(
      'config_last_reload_success_timestamp_seconds',
      'When a reload last applied a configuration; absent before the first.',
    ),
    readReady: make.gauge('registry_read_ready', '1 while reads are served.'),
    writeReady: make.gauge('registry_write_ready', '1 while writes are accepted.'),
    gates: make.gauge('registry_write_gate', '1 while writes pass it, by gate.', ['gate']),
    startSeconds: make.gauge(
      'registry_start_seconds',
      'From the start of the process until reads, or writes, were answered, after a stop or after a crash.',
      ['phase', 'after'],
    ),
  };
}

function blobMetrics(make: Maker) {
  return {
    blobs: make.gauge('registry_blobs', 'Blobs that are kept.'),
    blobBytes: make.gauge('registry_blob_bytes', 'Bytes of the blobs that are kept.'),
    blobQuota: make.gauge('registry_blob_quota_bytes', 'How many bytes of blobs may be kept.'),
    blobPuts: make.counter('blob_puts_total', 'Blobs that were put, by result.', ['result']),
    blobsCollected: make.counter(
      'blobs_collected_total',
      'Blobs removed because nothing named them any more.',
    ),
    blobsDamaged: make.counter('blobs_damaged_total', 'Blobs found changed on the disk.'),
  };
}

function connectionMetrics(make: Maker) {
  return {
    connections: make.gauge('http_connections', 'Open connections to the API.'),
    connectionsRefused: make.counter(
      'http_connections_refused_total',
      'Connections refused over a cap: in all, or of one address.',
      ['reason'],
    ),
    answersBrokenOff: make.counter(
      'http_answers_broken_off_total',
      'Answers broken off because readers left more lying than may be held.',
    ),
    certificate: make.unset(
      'tls_certificate_not_after_timestamp_seconds',
      'End of the validity of the certificate in use; absent without TLS.',
    ),
  };
}

function witnessMetrics(make: Maker, ages: () => ReadonlyMap<string, number>) {
  make.observedBy('registry_cosignature_age_seconds', {
    help: 'Age of the newest cosignature of each witness, and of the clock.',
    label: 'witness',
    values: ages,
  });
  return {
    witnessRequests: make.counter(
      'registry_witness_requests_total',
      'Requests for cosignatures, by what the answer means.',
      ['witness', 'result'],
    ),
    witnessSize: make.gauge(
      'registry_witness_size',
      'Size of the newest checkpoint that a witness has cosigned here.',
      ['witness'],
    ),
    witnessAlarm: make.gauge(
      'registry_witness_alarm',
      '1 once a witness knows more of the log than its server, or another history: nothing is written any more.',
      ['reason'],
    ),
    highWaterKept: make.unset(
      'registry_high_water_kept',
      '1 while the high-water mark is kept, 0 after a try that failed; absent without one.',
    ),
  };
}

function requestMetrics(make: Maker) {
  return {
    inflight: make.gauge('inflight_requests', 'Requests being answered.'),
    rejected: make.counter('rejected_total', 'Refusals by error code.', ['reason']),
    propagation: make.histogram(
      'event_propagation_seconds',
      'From an entry durable to its event handed to the connection of a subscriber that waited.',
      PROPAGATION_SECONDS,
    ),
    subscribers: make.gauge('registry_stream_subscribers', 'Open streams.'),
    lagged: make.counter(
      'bus_lagged_total',
      'Stream events skipped, and streams closed as too slow.',
      ['consumer'],
    ),
  };
}

function commitMetrics(make: Maker) {
  return {
    updates: make.counter('registry_updates_total', 'Commits asked for, by result.', ['result']),
    commitLatency: make.histogram(
      'commit_latency_seconds',
      'From a commit asked for to its entry durable and visible.',
      LATENCY_SECONDS,
    ),
    approvalsPerCommit: make.histogram(
      'approvals_per_commit',
      'Approvals an entry carries.',
      APPROVALS,
    ),
    approvalVerify: make.histogram(
      'approval_verify_seconds',
      'Verification of one approval signature.',
      VERIFY_SECONDS,
    ),
    fsync: make.histogram(
      'storage_fsync_seconds',
      'One durable transaction of the store, its fsync included.',
      FSYNC_SECONDS,
    ),
  };
}

function stateMetrics(make: Maker) {
  return {
    version: make.gauge('registry_version', 'Version of the head; -1 before genesis.'),
    oldestVersion: make.gauge(
      'registry_oldest_version',
      'The lowest version that is kept whole; what is older was pruned.',
    ),
    pendingProposals: make.gauge('registry_pending_proposals', 'Proposals in flight.'),
    storageBytes: make.gauge(
      'registry_storage_bytes',
      'Bytes the store holds, on disk or in memory.',
    ),
    diskFree: make.unset(
      'registry_storage_free_bytes',
      'Bytes that may still be written where the data is; absent without a disk, and while unknown.',
    ),
    diskMark: make.unset(
      'registry_storage_mark',
      'How much room the disk of the data has: 0 enough, 1 little, 2 so little that writes are refused.',
    ),
    recoveries: make.counter(
      'registry_recoveries_total',
      'Starts that took a registry up again from its store.',
    ),
    buildInfo: make.gauge('registry_build_info', 'Always 1; the labels say what is running.', [
      'version',
      'node',
    ]),
  };
}

/** Makes instruments on one registry: prom-client's own default registry is module state. */
class Maker {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: this.#registers });
  }

  gauge<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: this.#registers });
  }

  /** Absent until it is set: 0 would be taken for a value. */
  unset(name: string, help: string): Gauge {
    const gauge = this.gauge(name, help);
    gauge.remove();
    return gauge;
  }

  histogram<L extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    return new Histogram({ name, help, buckets, labelNames, registers: this.#registers });
  }

  /** A gauge that is asked for its value at every scrape; absent while that is `undefined`. */
  observed(name: string, help: string, value: () => number | undefined): void {
    new Gauge({
      name,
      help,
      registers: this.#registers,
      collect() {
        const observed = value();
        if (observed === undefined) this.remove();
        else this.set(observed);
      },
    });
  }

  /** The same with one label. */
  observedBy(
    name: string,
    {
      help,
      label,
      values,
    }: { help: string; label: string; values: () => ReadonlyMap<string, number> },
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: this.#registers,
      collect() {
        for (const [member, value] of values()) this.set({ [label]: member }, value);
      },
    });
  }
}
