/**
 * What lets go of bytes, beside a steady writer: a pruning, an erasure with the fold and the wiping that follow it, a
 * compaction, the catch-up that comes by itself, and what a log needs that grew behind a reader. How long each of their
 * steps held the commit lane, told by the lane itself, and how long the writer's commits waited.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { askOperator } from '../../src/cli/operator-socket.ts';
import { canonicalBytes, type JsonObject } from '../../src/core/canonical.ts';
import type { Hash } from '../../src/core/hash.ts';
import { entryHash } from '../../src/core/leaf.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload, erasePayload } from '../support/signers.ts';
import { type Bare, fsyncedAppend, timed } from './bare-writes.ts';
import type { Bench } from './bench.ts';
import { approvedEntry, createdNow, entryOf, writeEntry } from './entries.ts';
import type { Sample } from './figure.ts';
import { KINDS, LANE_FLAGS, type LaneStep, LaneSteps, type StepKind } from './lane-steps.ts';
import { longLogGenesis } from './long-log.ts';
import {
  LONG_LOG_SIGNERS,
  type LongRegistry,
  type LongRegistryPlan,
  startLongRegistry,
} from './long-registry.ts';
import { writeBeside } from './paced-writes.ts';
import { Poster } from './poster.ts';
import { quantile } from './statistics.ts';
import { makeTemporary } from './temporary.ts';

const WRITES = { perSecond: 20, entryBytes: 4_096 };
const DAY_MS = 86_400_000;
const PROPOSAL_BYTES = 4_096;
/** In turns with the windows, so that the disk is asked in all of the round. */
const SYNCS = 100;
const WIPED_MS = 120_000;
const CUT_MS = 30_000;
/** The catch-up comes every 30 s. */
const CAUGHT_UP_MS = 60_000;
/** So long is the log of which a reader lets go: what commits write in some minutes. */
const READ_LOG_BYTES = 64 * 1024 * 1024;
const LARGE_BYTES = 512 * 1024;
/** What an act leaves to be done soon after it. */
const AFTER_MS = 1_000;

export interface PruningPlan
  extends Pick<LongRegistryPlan, 'cache' | 'say' | 'entries' | 'descriptors'> {
  /** Versions that are let go of. */
  readonly pruned: number;
  /** Proposals that expired long ago, for a compaction to drop. */
  readonly proposals: number;
  /** How long the writer is alone, and beside each act at least. */
  readonly windowMs: number;
}

/** What goes on beside the writer, and a step of the lane that shows that it did. */
export const ACTS = [
  { name: 'a pruning', kind: 'prune' },
  { name: 'an erasure', kind: 'wipe' },
  { name: 'a compaction', kind: 'compact' },
  { name: 'a catch-up', kind: 'catch-up' },
  { name: 'a long read', kind: 'cut' },
] as const satisfies readonly { readonly name: string; readonly kind: StepKind }[];

type ActName = (typeof ACTS)[number]['name'];

/** One round is all that its log is good for: what was let go of once is gone. */
export async function openPruning(plan: PruningPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const steps = new LaneSteps();
    const server = await startLongRegistry(
      {
        ...plan,
        prepare: (path) => addExpired(path, plan.proposals),
        process: { nodeFlags: LANE_FLAGS, onSaid: steps.take },
      },
      stack,
    );
    const bare = stack.use(fsyncedAppend(await makeTemporary('quorate-perf-bare-', stack)));
    // Programs that compile as they run are slower at first; and a pruning rests on a snapshot.
    await askServer(server, 'snapshot');
    await writeBeside(server, { ...WRITES, name: 'warm-up' }, () => after(plan.windowMs / 2));
    const round = new Round(plan, { server, steps, bare });
    return {
      pids: [server.pid],
      round: async () => samplesOf(await round.measure()),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Milliseconds. */
export interface Window {
  readonly steps: readonly Omit<LaneStep, 'isWiped'>[];
  readonly commitMs: readonly number[];
}

export interface Measured {
  readonly alone: Window;
  readonly beside: Readonly<Record<ActName, Window>>;
  /** 4 KB appended and synced, in the same round. */
  readonly syncMs: readonly number[];
}

class Round {
  readonly #plan: PruningPlan;
  readonly #server: LongRegistry;
  readonly #steps: LaneSteps;
  readonly #bare: Bare;
  readonly #syncMs: number[] = [];

  constructor(
    plan: PruningPlan,
    { server, steps, bare }: { server: LongRegistry; steps: LaneSteps; bare: Bare },
  ) {
    this.#plan = plan;
    this.#server = server;
    this.#steps = steps;
    this.#bare = bare;
  }

  async measure(): Promise<Measured> {
    const { pruned } = this.#plan;
    const server = this.#server;
    const alone = await this.#window('alone', async () => undefined, 'batch');
    const acts: Readonly<Record<ActName, () => Promise<unknown>>> = {
      'a pruning': () => askServer(server, 'prune', { oldest: pruned }),
      'an erasure': () => this.#erase(pruned + 1),
      'a compaction': () => askServer(server, 'compact'),
      'a catch-up': () => this.#steps.first(({ kind }) => kind === 'catch-up', CAUGHT_UP_MS),
      'a long read': () => this.#readLong(),
    };
    const beside = new Map<ActName, Window>();
    for (const { name, kind } of ACTS) beside.set(name, await this.#window(name, acts[name], kind));
    return {
      alone,
      beside: Object.fromEntries(beside) as Record<ActName, Window>,
      syncMs: this.#syncMs,
    };
  }

  /** Throws unless there was such a step. */
  async #window(name: string, act: () => Promise<unknown>, shown: StepKind): Promise<Window> {
    for (let i = 0; i < SYNCS; i++) this.#syncMs.push(timed(this.#bare.run));
    this.#steps.since();
    const commitMs = await writeBeside(this.#server, { ...WRITES, name: idOf(name) }, async () => {
      await Promise.all([act(), after(this.#plan.windowMs)]);
      await after(AFTER_MS);
    });
    const steps = this.#steps.since();
    assertShown(name, shown, steps);
    return { steps, commitMs };
  }

  /** Of one moment, while large entries are written; over when the file of the log is being made short. */
  async #readLong(): Promise<void> {
    const { url, directory } = this.#server;
    const path = join(directory, 'registry.db');
    using poster = new Poster(url, 1);
    const reader = new Database(path, { readonly: true });
    try {
      reader.exec('BEGIN');
      reader.prepare('SELECT count(*) FROM entries').get();
      for (let n = 0; statSync(`${path}-wal`).size < READ_LOG_BYTES; n++) {
        await writeEntry(poster, entryOf(this.#server, { id: `large-${n}`, bytes: LARGE_BYTES }));
      }
    } finally {
      reader.close();
    }
    await this.#steps.first(({ kind }) => kind === 'cut', CUT_MS);
  }

  /** With its quorum; over when nothing of it is left in any file. */
  async #erase(version: number): Promise<void> {
    const { url, registry, signers } = this.#server;
    const erases = await entryHashAt(url, version);
    const entry = approvedEntry(
      { signers },
      erasePayload(registry, { erases, version }, createdNow()),
    );
    using poster = new Poster(url, 1);
    const wiped = this.#steps.first(({ kind, isWiped }) => kind === 'wipe' && isWiped, WIPED_MS);
    await Promise.all([wiped, writeEntry(poster, entry)]);
  }
}

function assertShown(name: string, shown: StepKind, steps: readonly LaneStep[]): void {
  if (steps.some(({ kind }) => kind === shown)) return;
  const kinds = [...new Set(steps.map(({ kind }) => kind))].join(', ');
  throw new Error(`expected a step of kind ${shown} beside ${name}, got ${kinds || 'no step'}`);
}

function idOf(name: string): string {
  return name.replaceAll(' ', '-');
}

async function entryHashAt(url: string, version: number): Promise<Hash> {
  const answer = await fetch(`${url}/registry/${version}`);
  const { leaf } = (await answer.json()) as { readonly leaf?: JsonObject };
  if (leaf === undefined) throw new Error(`expected an entry at version ${version}, got none`);
  return entryHash(canonicalBytes(leaf));
}

async function askServer({ directory }: LongRegistry, act: string, body = {}): Promise<void> {
  const request = { method: 'POST', path: `/operator/${act}`, body } as const;
  await askOperator(`${directory}/operator.sock`, request);
}

/** Each of them another. */
async function addExpired(path: string, count: number): Promise<void> {
  await using store = await openSqliteStore({
    path,
    metrics: { fsync() {}, checkpointed() {} },
    onFatal: (error) => {
      throw error;
    },
  });
  const { payloadB3: registry } = longLogGenesis(LONG_LOG_SIGNERS).genesis;
  const createdAt = Date.now() - 3 * DAY_MS;
  await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const change = put(`expired-${i}`, { text: 'x'.repeat(PROPOSAL_BYTES) });
      const lifetime = { createdAt, lifetimeMs: DAY_MS };
      const { payload, payloadB3, bytes } = descriptorsPayload(registry, [change], lifetime);
      return store.putProposal({
        payloadB3,
        payload: bytes,
        receivedAt: payload.created_at,
        expiresAt: payload.expires_at,
        approvals: [],
      });
    }),
  );
}

/** A step is held against the disk, a commit against those of the writer alone. */
export function samplesOf({ alone, beside, syncMs }: Measured): readonly Sample[] {
  const longestSync = Math.max(...syncMs);
  const sample = (name: string, ours: number, reference: string, theirs: number): Sample => ({
    name,
    kind: 'latency',
    unit: 'ms',
    reference,
    ours,
    theirs,
  });
  const longest = (name: string, stepMs: readonly number[]) =>
    sample(name, Math.max(...stepMs), 'the longest synced append', longestSync);
  const ofSteps = (name: string, { steps }: Window) => {
    const stepMs = steps.map(({ ms }) => ms);
    const p99 = quantile(stepMs, 0.99);
    return [
      longest(`${name}: longest`, stepMs),
      sample(`${name}: p99`, p99, 'of synced appends', quantile(syncMs, 0.99)),
    ];
  };
  const all = [alone, ...Object.values(beside)].flatMap(({ steps }) => steps);
  const ofKind = (kind: StepKind) => {
    const ofIt = all.filter((step) => step.kind === kind);
    if (ofIt.length === 0) return [];
    const { whole, onCore } = longestOf(kind);
    const onCoreMs = ofIt.map(({ ms, corelessMs }) => ms - corelessMs);
    const wholeMs = ofIt.map(({ ms }) => ms);
    return [longest(onCore, onCoreMs), longest(whole, wholeMs)].map((one) => ({
      ...one,
      isWorst: true,
    }));
  };
  return [
    ...KINDS.flatMap(ofKind),
    sample(SYNC, longestSync, 'their p50', quantile(syncMs, 0.5)),
    ...ofSteps('a step of the lane, the writer alone', alone),
    ...ACTS.flatMap(({ name }) => {
      const { commitMs } = beside[name];
      const [p99, most] = [quantile(commitMs, 0.99), Math.max(...commitMs)];
      return [
        ...ofSteps(`a step of the lane beside ${name}`, beside[name]),
        sample(`a commit beside ${name}: p99`, p99, 'alone', quantile(alone.commitMs, 0.99)),
        sample(`a commit beside ${name}: longest`, most, 'alone', Math.max(...alone.commitMs)),
      ];
    }),
  ];
}

/**
 * Of all rounds, for what never holds the lane for longer has no exceptions. `onCore`: less what its thread waited for a
 * core: where that is most of it, the machine is short of cores.
 */
export function longestOf(kind: StepKind): { readonly whole: string; readonly onCore: string } {
  const whole = `a step of the lane, ${kind}: longest of all rounds`;
  return { whole, onCore: `${whole}, less waits for a core` };
}

const SYNC = '4 KB appended and synced: longest';
