/** A real registry over a real store for tests, with a clock and timers that the test drives. */

import type { JsonObject } from '../../src/core/canonical.ts';
import { appendEntry } from '../../src/core/chain.ts';
import { ERROR_CODES } from '../../src/core/error.ts';
import type { Governance } from '../../src/core/governance.ts';
import type { Hash } from '../../src/core/hash.ts';
import type { Change, DecodedPayload } from '../../src/core/payload.ts';
import { openRegistry } from '../../src/registry/open.ts';
import type { RegistryOptions } from '../../src/registry/options.ts';
import type { PublishedHead, Registry } from '../../src/registry/registry.ts';
import { toAppendEntry } from '../../src/registry/sequencer.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import type { AppendEntry, Store } from '../../src/store/store.ts';
import { createMetrics } from '../../src/telemetry/create-metrics.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { checkLog } from './check-log.ts';
import {
  descriptorsPayload,
  genesisPayload,
  LOG_SIGNER,
  makeGovernance,
  makeSigners,
  START,
  type TestSigner,
  valueHashOf,
} from './signers.ts';
import { TestTimers } from './timers.ts';

export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface TestRegistry {
  readonly registry: Registry;
  readonly store: Store;
  readonly signers: readonly TestSigner[];
  readonly governance: Governance;
  /** The genesis payload's hash; the empty text before `begin`. */
  readonly registryHash: Hash;
  readonly timers: TestTimers;
  readonly fatal: unknown[];
  /** Propose, approve by `by` (default: the first M signers), commit. */
  commit(proposal: DecodedPayload, by?: readonly TestSigner[]): Promise<PublishedHead>;
  /** One entry of these changes. */
  change(...changes: Change[]): Promise<PublishedHead>;
}

export interface TestRegistryOptions extends Partial<RegistryOptions> {
  readonly signerCount?: number;
  readonly threshold?: number;
  /** `false`: leave the registry empty. */
  readonly isBegun?: boolean;
  /** `false`: answers before the walk over the log is through, and a large set is made. */
  readonly isChecked?: boolean;
}

export async function openTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const {
    signerCount = 3,
    threshold = 2,
    isBegun = true,
    isChecked = true,
    store = createMemoryStore(),
  } = options;
  const timers = new TestTimers(START);
  const fatal: unknown[] = [];
  const signers = makeSigners(signerCount);
  const governance = makeGovernance(signers, { threshold });
  const genesis = genesisPayload(governance);
  const registry = await openRegistry({
    verifier: createNativeVerifier(),
    metrics: createMetrics({
      build: { version: 'test', node: 'test' },
      reasons: ERROR_CODES,
      now: () => timers.now(),
      isProcessObserved: false,
    }),
    log: SILENT_LOG,
    now: () => timers.now(),
    random: () => 0.5,
    timers,
    signers: [LOG_SIGNER],
    onFatal: (error) => fatal.push(error),
    ...options,
    store,
  });
  if (isChecked) await checked(registry);
  const commit = async (
    proposal: DecodedPayload,
    by = signers.slice(0, threshold),
  ): Promise<PublishedHead> => {
    const { proposal: view } = await registry.proposals.propose(proposal.bytes);
    for (const signer of by) await registry.proposals.approve(view.id, signer.approve(proposal));
    return (await registry.proposals.commit(view.id)).head;
  };
  if (isBegun && registry.head() === undefined) await commit(genesis, signers);
  const change = (...changes: Change[]): Promise<PublishedHead> =>
    commit(descriptorsPayload(genesis.payloadB3, changes, { note: `${timers.count()}` }));
  return {
    registry,
    store,
    signers,
    governance,
    registryHash: genesis.payloadB3,
    timers,
    fatal,
    commit,
    change,
  };
}

/** What a start leaves for later, the walk over the log and a large set, is over, whatever was found. */
async function checked(registry: Registry): Promise<void> {
  while (registry.readiness().missing.some((reason) => reason.includes('so far')))
    await new Promise((resolve) => setImmediate(resolve));
}

/** Writes have ended because the walk over the log found damage; throws when it never does. */
export async function damageFound(registry: Registry): Promise<void> {
  for (let turns = 0; registry.readiness().writeReady; turns++) {
    if (turns === 10_000) throw new Error('expected the walk to find damage, it found none');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The newest checkpoint is in the store, as a second after it was signed. */
export async function keepCheckpoint({ timers, store, registry }: TestRegistry): Promise<void> {
  timers.advance(1_000);
  while ((await store.checkpoint()) !== registry.checkpoint()?.note)
    await new Promise((resolve) => setImmediate(resolve));
}

/** A `put` of `service/<id>`; `before` is the spec it replaces. */
export function put(id: string, spec: JsonObject, before?: JsonObject): Change {
  const replaces = before === undefined ? null : valueHashOf({ kind: 'service', id, spec: before });
  return { op: 'put', kind: 'service', id, spec, replaces };
}

export function remove(id: string, before: JsonObject): Change {
  return {
    op: 'remove',
    kind: 'service',
    id,
    replaces: valueHashOf({ kind: 'service', id, spec: before }),
  };
}

/** Entries that nobody approved: a start leaves signatures to those who audit. */
export async function appendDirectly(real: TestRegistry, count: number): Promise<void> {
  let chain = await checkLog(real.store);
  const entries: AppendEntry[] = [];
  for (let i = 0; i < count; i++) {
    const proposal = descriptorsPayload(real.registryHash, [put(`d${i}`, {})]);
    const appended = appendEntry(chain, {
      proposal,
      approvals: real.signers.map((signer) => signer.approve(proposal)),
      committedAt: proposal.payload.created_at,
      isCommitted: () => false,
    });
    chain = appended.chain;
    entries.push(toAppendEntry(proposal, appended));
  }
  await real.store.append({ expected: 0, entries });
}
