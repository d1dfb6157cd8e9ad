/** Begins a registry in a database that no server has open: the same path as over HTTP, without HTTP. */
import type { Approval } from '../core/approval.ts';
import { ERROR_CODES, RegistryError } from '../core/error.ts';
import { hashOf } from '../core/hash.ts';
import { openRegistry } from '../registry/open.ts';
import type { HeadObject } from '../registry/registry.ts';
import { createMetrics } from '../telemetry/create-metrics.ts';
import { readBuildInfo } from './build-info.ts';
import { createFatal, killProcess } from './fatal.ts';
import { createLog } from './log.ts';
import { createNativeVerifier } from './native-verifier.ts';
import { openStore } from './open-store.ts';
import { TIMERS } from './timers.ts';

export interface GenesisInput {
  readonly dataDir: string;
  /** Canonical bytes. */
  readonly payload: Uint8Array;
  /** One of each signer. */
  readonly approvals: readonly Approval[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * The head when it is durable. Repeating it is safe; throws `wrong_registry` on a database that another
 * genesis has begun, and what `openStore`, `propose`, `approve` and `commit` throw.
 */
export async function commitGenesis({
  dataDir,
  payload,
  approvals,
  now,
}: GenesisInput): Promise<HeadObject> {
  const log = createLog({ level: 'error' });
  const metrics = createMetrics({
    build: { version: readBuildInfo().version, node: process.versions.node },
    reasons: ERROR_CODES,
    now: () => performance.now(),
    isProcessObserved: false,
  });
  const onFatal = createFatal({ log, kill: killProcess });
  const store = await openStore({ profile: 'macronode', dataDir }, { metrics, onFatal });
  await using registry = await openRegistry({
    store,
    verifier: createNativeVerifier(),
    metrics,
    log,
    now,
    random: Math.random,
    timers: TIMERS,
    // The server that is started on the database signs its checkpoint.
    signers: [],
    onFatal,
  }).catch(async (error: unknown) => {
    // Its thread would keep the process alive.
    await store[Symbol.asyncDispose]();
    throw error;
  });
  const begun = registry.head()?.object.registry;
  // Without a log key a begun registry would only say that it takes nothing more.
  if (begun !== undefined && begun !== hashOf(payload))
    throw new RegistryError(
      'wrong_registry',
      `expected no second genesis, got one: this registry is ${begun}`,
    );
  const { proposal } = await registry.proposals.propose(payload, { types: ['genesis'] });
  for (const approval of approvals) await registry.proposals.approve(proposal.id, approval);
  return (await registry.proposals.commit(proposal.id)).head.object;
}
