/**
 * The instrument behind `Metrics`: turns what the service reports into samples, keeps every label a
 * closed set, and starts closed counters at zero so that a rate over them works from the first scrape.
 */
import { Registry } from 'prom-client';
import { createGoldenMetrics, type GoldenMetrics, LATENCY_SECONDS } from './golden-metrics.ts';
import { ClosedLabel, OTHER } from './labels.ts';
import type { Metrics } from './metrics.ts';
import { addProcessMetrics } from './process-metrics.ts';
import { RequestMetrics } from './request-metrics.ts';

export interface MetricsOptions {
  /** Of the program, for `registry_build_info`. */
  readonly build: { readonly version: string; readonly node: string };
  /** Every reason a request can be rejected for: the error codes. */
  readonly reasons: readonly string[];
  /** Milliseconds; only differences matter. */
  readonly now: () => number;
  /** Adds the metrics of the process; once in a process is enough. */
  readonly isProcessObserved: boolean;
}

const RESULTS = ['committed', 'rejected', 'conflict', 'unknown'];
const BLOB_RESULTS = ['stored', 'known', 'refused', 'failed'];
const CONSUMERS = ['latest', 'slow'];
// Consumer names come from our own code and are few; the room is a stop against a mistake.
const MAX_CONSUMERS = 8;
// Witnesses come from the configuration.
const MAX_WITNESSES = 64;
const MAX_WITNESS_RESULTS = 16;
const ALARMS = ['ahead', 'fork'];
// Gates are the conditions of readiness, named in our own code.
const MAX_GATES = 32;

export function createMetrics({ build, reasons, now, isProcessObserved }: MetricsOptions): Metrics {
  const registry = new Registry();
  let checkpointedAt: number | undefined;
  const cosignedAt = new Map<string, number>();
  const golden = createGoldenMetrics(
    registry,
    () => (checkpointedAt === undefined ? undefined : Math.max(0, now() - checkpointedAt) / 1000),
    () => new Map([...cosignedAt].map(([name, at]) => [name, (now() - at) / 1000])),
  );
  if (isProcessObserved) addProcessMetrics(registry);
  beginAtZero(golden, reasons);
  golden.version.set(-1);
  golden.isReloaded.set(1);
  golden.buildInfo.set(build, 1);
  const requests = new RequestMetrics(LATENCY_SECONDS);
  const reason = new ClosedLabel(reasons);
  const consumer = new ClosedLabel(CONSUMERS, MAX_CONSUMERS);
  const witness = new ClosedLabel([], MAX_WITNESSES);
  const witnessResult = new ClosedLabel([], MAX_WITNESS_RESULTS);
  const gateName = new ClosedLabel([], MAX_GATES);
  return {
    httpRequest: (sample) => requests.record(sample),
    inflight: (change) => golden.inflight.inc(change),
    rejected: (why) => golden.rejected.inc({ reason: reason.of(why) }),
    commit: ({ seconds, approvals }) => {
      golden.commitLatency.observe(seconds);
      golden.approvalsPerCommit.observe(approvals);
    },
    approvalVerified: (seconds) => golden.approvalVerify.observe(seconds),
    lagged: (name, count) => golden.lagged.inc({ consumer: consumer.of(name) }, count),
    updated: (result) => golden.updates.inc({ result }),
    version: (version) => golden.version.set(version),
    oldestVersion: (version) => golden.oldestVersion.set(version),
    pendingProposals: (count) => golden.pendingProposals.set(count),
    subscribers: (count) => golden.subscribers.set(count),
    fsync: (seconds) => golden.fsync.observe(seconds),
    storageBytes: (bytes) => golden.storageBytes.set(bytes),
    disk: (state) => {
      for (const gauge of [golden.diskFree, golden.diskMark]) gauge.remove();
      if (state === undefined) return;
      golden.diskFree.set(state.freeBytes);
      golden.diskMark.set(state.mark);
    },
    checkpointed: () => {
      checkpointedAt = now();
    },
    recovered: () => golden.recoveries.inc(),
    witnessRequested: ({ witness: name, result }) =>
      golden.witnessRequests.inc({ witness: witness.of(name), result: witnessResult.of(result) }),
    witnessSize: (name, size) => golden.witnessSize.set({ witness: witness.of(name) }, size),
    cosigned: (name, ageSeconds) => cosignedAt.set(witness.of(name), now() - ageSeconds * 1000),
    witnessAlarm: (why) => golden.witnessAlarm.set({ reason: why }, 1),
    highWaterKept: (isKept) => golden.highWaterKept.set(Number(isKept)),
    propagated: (seconds) => golden.propagation.observe(seconds),
    audited: (decision) => golden.audited.inc({ decision }),
    auditFailed: () => golden.auditFailures.inc(),
    tokenChecked: (result) => golden.tokens.inc({ result }),
    reloaded: (result, at) => {
      golden.reloads.inc({ result });
      golden.isReloaded.set(Number(result === 'applied'));
      if (result === 'applied') golden.reloadedAt.set(at);
    },
    certificate: (notAfter) => golden.certificate.set(notAfter),
    connections: (change) => golden.connections.inc(change),
    connectionRefused: (why) => golden.connectionsRefused.inc({ reason: why }),
    answerBrokenOff: () => golden.answersBrokenOff.inc(),
    blobs: ({ count, bytes }) => {
      golden.blobs.set(count);
      golden.blobBytes.set(bytes);
    },
    blobQuota: (bytes) => golden.blobQuota.set(bytes),
    blobPut: (result) => golden.blobPuts.inc({ result }),
    blobsCollected: (count) => golden.blobsCollected.inc(count),
    blobDamaged: () => golden.blobsDamaged.inc(),
    readiness: ({ isReadReady, isWriteReady, gates }) => {
      golden.readReady.set(Number(isReadReady));
      golden.writeReady.set(Number(isWriteReady));
      for (const [gate, isOpen] of gates)
        golden.gates.set({ gate: gateName.of(gate) }, Number(isOpen));
    },
    started: ({ phase, isAfterCrash, seconds }) =>
      golden.startSeconds.set({ phase, after: isAfterCrash ? 'crash' : 'stop' }, seconds),
    render: async () => ({
      contentType: registry.contentType,
      text: `${await registry.metrics()}\n${requests.render()}`,
    }),
  };
}

function beginAtZero(golden: GoldenMetrics, reasons: readonly string[]): void {
  for (const reason of [...reasons, OTHER]) golden.rejected.inc({ reason }, 0);
  for (const result of RESULTS) golden.updates.inc({ result }, 0);
  for (const consumer of CONSUMERS) golden.lagged.inc({ consumer }, 0);
  for (const reason of ALARMS) golden.witnessAlarm.set({ reason }, 0);
  for (const decision of ['accepted', 'refused']) golden.audited.inc({ decision }, 0);
  for (const result of ['accepted', 'refused']) golden.tokens.inc({ result }, 0);
  for (const result of ['applied', 'refused']) golden.reloads.inc({ result }, 0);
  for (const result of BLOB_RESULTS) golden.blobPuts.inc({ result }, 0);
  for (const reason of ['total', 'address']) golden.connectionsRefused.inc({ reason }, 0);
}
