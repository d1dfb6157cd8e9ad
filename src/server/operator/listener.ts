/**
 * The operator's listener: acts on a Unix socket that only the server's own user can open. Whoever can
 * connect may act; nothing here approves, commits or changes governance.
 */
import type { RequestListener } from 'node:http';
import type { BuildInfo } from '../../http/deps.ts';
import { createOperatorHandler } from '../../http/operator.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Store } from '../../store/store.ts';
import type { AuditTrail } from '../../telemetry/audit.ts';
import type { Log } from '../../telemetry/log.ts';
import type { BlobCollector } from '../blobs/collector.ts';
import { newCorrId } from '../corr-id.ts';
import { fetchListener } from '../listen/fetch-listener.ts';
import { UnderWay } from '../listen/under-way.ts';
import { problemResponse } from '../raw-problem.ts';
import type { RetentionRun } from '../retention/retention.ts';
import type { Snapshots } from '../snapshot/snapshots.ts';
import { TIMERS } from '../timers.ts';
import { type AuditHead, createActs } from './acts.ts';
import type { Freeze } from './freeze.ts';

export interface OperatorParts {
  readonly registry: Pick<Registry, 'head' | 'checkpoint' | 'readiness' | 'idle'>;
  readonly store: Pick<Store, 'compact' | 'storageBytes'>;
  readonly freeze: Freeze;
  readonly collector?: Pick<BlobCollector, 'collect'> | undefined;
  readonly audit: AuditTrail;
  /** The newest record of the audit log, for the status. */
  readonly auditHead?: () => AuditHead | null;
  /** Takes the configuration up again; answers the keys that changed. Throws `invalid_request` with every violation. */
  readonly reload: () => Promise<readonly string[]>;
  readonly snapshots: Snapshots;
  readonly retention?: Pick<RetentionRun, 'prune'> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  readonly build: BuildInfo;
  /** What a stop waits for. */
  readonly underWay?: UnderWay;
}

export function operatorListener(parts: OperatorParts): RequestListener {
  const { audit, log, underWay = new UnderWay() } = parts;
  const monotonicMs = () => performance.now();
  const startedMs = monotonicMs();
  const acts = createActs({
    ...parts,
    timers: TIMERS,
    uptimeSeconds: () => (monotonicMs() - startedMs) / 1000,
  });
  const handler = createOperatorHandler({ acts, audit, log, newCorrId });
  return fetchListener(
    (request) => underWay.run(() => handler(request)),
    () => problemResponse({ status: 400, detail: 'expected a path that makes a url' }),
  );
}
