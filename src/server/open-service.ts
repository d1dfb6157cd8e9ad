/** The registry of a server: its keys and cosigners, its store, what may shut its writes, and the service over them. */

import { join } from 'node:path';
import type { RegistryError } from '../core/error.ts';
import { openRegistry } from '../registry/open.ts';
import type { RegistryOptions } from '../registry/options.ts';
import type { Registry } from '../registry/registry.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import { type OpenAuditLog, openAuditLog } from './audit-log/open.ts';
import type { LineOutput } from './audit-log/stdout-sink.ts';
import { BlobCollector } from './blobs/collector.ts';
import type { FileBlobs } from './blobs/file-blobs.ts';
import { openBlobs } from './blobs/open-blobs.ts';
import type { Config } from './config.ts';
import { newCorrId } from './corr-id.ts';
import { openCosigners } from './cosigners.ts';
import { releaseAtStart } from './health/ballast.ts';
import { reservedBytes } from './health/disk-marks.ts';
import { freeBytesAt, openHealthGates } from './health/gates.ts';
import { isAfterCrash } from './health/observe.ts';
import { watchStore } from './health/watched-store.ts';
import type { LiveConfig } from './live-config.ts';
import { loadLogKeys } from './log-keys.ts';
import { walkInThread } from './log-walk.ts';
import { createNativeVerifier } from './native-verifier.ts';
import { databasePath, openStore } from './open-store.ts';
import { type Freeze, openFreeze } from './operator/freeze.ts';
import { PayloadReader } from './payload-reader.ts';
import { openPreparedSets } from './prepared-sets/open.ts';
import type { SetFiles } from './prepared-sets/set-files.ts';
import { snapshotCoverage } from './retention/coverage.ts';
import { RetentionRun } from './retention/retention.ts';
import type { Closers } from './running.ts';
import { readSetInThread } from './set-read.ts';
import { Snapshots, snapshotDirectory } from './snapshot/snapshots.ts';
import { TIMERS } from './timers.ts';

export interface ServiceParts {
  readonly config: Config;
  readonly live: LiveConfig;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onFatal: RegistryOptions['onFatal'];
  readonly tracer: Tracer;
  /** Takes the audit log of a micronode. Default: standard output. */
  readonly stdout?: LineOutput | undefined;
  readonly closers: Closers;
}

export interface Service {
  readonly store: Store;
  readonly registry: Registry;
  readonly audit: OpenAuditLog;
  readonly freeze: Freeze;
  /** `undefined`: nothing is kept on a disk. */
  readonly preparedSets: SetFiles | undefined;
  /** `undefined`: they are off. */
  readonly blobs: FileBlobs | undefined;
  readonly collector: BlobCollector | undefined;
  readonly snapshots: Snapshots;
  /** `undefined`: nothing is kept on a disk, so nothing of it can be pruned. */
  readonly retention: RetentionRun | undefined;
  readonly isAfterCrash: boolean;
}

/** Its closers are added; throws what `startServer` throws. */
export async function openService(parts: ServiceParts): Promise<Service> {
  const { config, live, metrics, log, tracer, stdout, onFatal, closers } = parts;
  const isKept = config.profile === 'macronode';
  // Before the store: a mistake in a setting leaves no trace.
  const signers = await loadLogKeys(config);
  if (signers.length === 0)
    log.warn(
      'there is no log key: no checkpoint is signed, and after genesis nothing is written; name the key that governance lists in log_key (a new one: `quorate keygen --log`)',
    );
  const cosigners = await openCosigners(config, { metrics, log });
  const isCrashed = await isAfterCrash(config);
  if (isKept) await releaseBallast(config, log);
  const onNotWiped = (cause: RegistryError) =>
    log.error('what was erased may stand on in the database, which is damaged', { cause });
  const opened = await openStore(config, { metrics, onFatal, onNotWiped });
  const { store, writes } = watchStore(opened, monotonicMs);
  const ownedByUs = closers.push(() => store[Symbol.asyncDispose]());
  // After the database: its lock keeps a second process away from these files too.
  const audit = await openAuditLog(config, {
    metrics,
    log,
    now: Date.now,
    timers: TIMERS,
    ...(stdout !== undefined && { stdout }),
  });
  closers.push(() => audit[Symbol.asyncDispose]());
  live.add(audit);
  const blobs = await openBlobs({ live, metrics, log, now: Date.now });
  const collector = collectorOf(parts, blobs);
  if (collector !== undefined) closers.push(() => collector.close());
  const freeze = await openFreeze(isKept ? join(config.dataDir, 'freeze.json') : null, {
    now: Date.now,
    log,
  });
  const health = await openHealthGates({
    live: () => live.current,
    writes,
    dataDir: isKept ? config.dataDir : null,
    timers: TIMERS,
    metrics,
    nowMs: monotonicMs,
    log,
  });
  closers.push(() => health.close());
  const preparedSets = await openPreparedSets(parts);
  closers.push(async () => preparedSets?.[Symbol.asyncDispose]());
  const payloads = new PayloadReader();
  closers.push(() => payloads[Symbol.asyncDispose]());
  const registry = await openRegistry({
    store,
    verifier: createNativeVerifier(),
    decode: (bytes) => payloads.decode(bytes),
    hold: (payload) => collector?.hold(payload),
    ...(isKept && {
      walk: walkInThread(databasePath(config.dataDir)),
      readSet: readSetInThread(databasePath(config.dataDir)),
    }),
    metrics,
    log,
    now: Date.now,
    random: Math.random,
    timers: TIMERS,
    signers,
    cosigners,
    gates: [freeze, audit, ...health.gates],
    tracer,
    pins: config.pins,
    archive: config.archive,
    onLetGo: () => {
      preparedSets
        ?.forget()
        .catch((cause: unknown) =>
          log.error('prepared sets of what was let go of are still there', { cause }),
        );
    },
    limits: {
      maxPendingProposals: config.limits.maxPendingProposals,
      maxStreamAgeMs: config.limits.maxStreamAgeMs,
    },
    onFatal,
  });
  // From here on the registry closes the store.
  closers[ownedByUs - 1] = () => registry[Symbol.asyncDispose]();
  if (signers.length > 0) warnOfCheckpoint(registry, log);
  const snapshots = openSnapshots(parts, { store, registry });
  const retention = retentionOf(parts, { store, registry, audit, snapshots });
  closers.push(async () => retention?.[Symbol.asyncDispose]());
  return {
    store,
    registry,
    audit,
    freeze,
    preparedSets,
    blobs,
    collector,
    snapshots,
    retention,
    isAfterCrash: isCrashed,
  };
}

/** A wrong key is a slip of a start: whoever looks at its log sees it there. */
function warnOfCheckpoint(registry: Registry, log: Log): void {
  const { missing = null } =
    registry.readiness().checks.find(({ name }) => name === 'checkpoint') ?? {};
  if (missing !== null) log.warn('nothing is written until checkpoints are signed', { missing });
}

function openSnapshots(
  { config, live, log }: ServiceParts,
  { store, registry }: Pick<Service, 'store' | 'registry'>,
): Snapshots {
  const dataDir = config.profile === 'macronode' ? config.dataDir : null;
  const minFreeBytes = () => reservedBytes(live.current.shed);
  const keepCheckpoint = async (): Promise<void> => {
    const checkpoint = registry.checkpoint();
    if (checkpoint !== undefined) await store.putCheckpoint(checkpoint.note);
  };
  const parts = { store, keepCheckpoint, dataDir, minFreeBytes };
  return new Snapshots({ ...parts, log, now: Date.now, monotonicMs });
}

function retentionOf(
  { config, live, log }: ServiceParts,
  {
    store,
    registry,
    audit,
    snapshots,
  }: Pick<Service, 'store' | 'registry' | 'audit' | 'snapshots'>,
): RetentionRun | undefined {
  if (config.profile === 'micronode') return undefined;
  return new RetentionRun({
    registry,
    store,
    policy: () => live.current.retention,
    coverage: snapshotCoverage({
      directory: snapshotDirectory(config.dataDir),
      snapshots,
      registry: () => registry.head()?.object.registry,
      store,
      log,
    }),
    audit,
    newCorrId,
    timers: TIMERS,
    now: Date.now,
    monotonicMs,
    log,
  });
}

function collectorOf(
  { config, live, metrics, log }: ServiceParts,
  blobs: FileBlobs | undefined,
): BlobCollector | undefined {
  if (blobs === undefined) return undefined;
  return new BlobCollector({
    blobs,
    dataDir: config.dataDir,
    databasePath: databasePath(config.dataDir),
    graceMs: () => live.current.blobs.graceMs,
    metrics,
    log,
    timers: TIMERS,
    now: Date.now,
  });
}

function releaseBallast({ dataDir, shed }: Config, log: Log): Promise<void> {
  const freeBytes = () => freeBytesAt(dataDir);
  return releaseAtStart({ dataDir, minBytes: shed.minFreeBytes, freeBytes, log });
}

function monotonicMs(): number {
  return performance.now();
}
