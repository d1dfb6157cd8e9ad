/**
 * The one place where the log grows. Commits that wait at the same time become one durable batch of
 * consecutive versions; each gets its own answer. Durable, then sealed, then visible, then announced:
 * `onAppended` runs after the store's answer and before any committer hears of it.
 */
import type { Approval } from '../core/approval.ts';
import { type Appended, appendEntry, type Chain } from '../core/chain.ts';
import { assertErasable, type ErasureTarget } from '../core/erasure.ts';
import { RegistryError } from '../core/error.ts';
import type { Governance } from '../core/governance.ts';
import type { Hash } from '../core/hash.ts';
import { type DecodedPayload, type ErasePayload, MAX_PAYLOAD_BYTES } from '../core/payload.ts';
import { eligibleSigners } from '../core/quorum.ts';
import type { SetTree } from '../core/set-tree.ts';
import { formatTime } from '../core/time.ts';
import { type AppendEntry, EMPTY_VERSION, type Store } from '../store/store.ts';
import { NO_TRACER, type TracePoint, type Tracer } from '../telemetry/tracer.ts';
import type { Sealed } from './checkpoints.ts';
import type { RegistryLimits } from './options.ts';
import type { FindErasable } from './proposal-view.ts';

export interface CommitRequest {
  readonly proposal: DecodedPayload;
  /** Of the request, for its event. */
  readonly corrId?: string | undefined;
  /** Verified; those whose signers are no longer in force are left out. */
  readonly approvals: () => readonly Approval[];
}

interface Waiting extends CommitRequest {
  /** Of its commit span; where it waits, the spans around are those of another. */
  readonly point: TracePoint | undefined;
  resolve(appended: Appended): void;
  reject(error: unknown): void;
}

/** A durable entry on its way to being visible. */
export interface Committed extends Appended {
  /** `null`: nobody here asked for it. */
  readonly corrId: string | null;
}

interface Planned {
  readonly waiting: Waiting;
  readonly appended: Appended;
}

/** What is known of the log as the batch begins. */
interface Known {
  /** Among the batch's payloads. */
  readonly committed: Set<Hash>;
  readonly erasable: ReadonlyMap<ErasePayload, ErasureTarget>;
}

export interface SequencerOptions {
  readonly store: Store;
  readonly chain: Chain | null;
  readonly limits: RegistryLimits;
  readonly tracer?: Tracer | undefined;
  readonly now: () => number;
  /** The verified entries after `chain` that another writer put into the store. */
  readonly catchUp: (chain: Chain | null) => Promise<readonly Appended[]>;
  /** Throws why the log is not to grow now: asked again before each batch, for what came of the one before. */
  readonly assertGrowable: () => void;
  /** Throws unless a checkpoint could be signed under this governance. */
  readonly assertSignable: (governance: Governance) => void;
  /** What stands where payloads erase. */
  readonly findErasable: FindErasable;
  /** Before the append of what erases it, whose bytes may be gone before it is visible; and when it did not come to it. */
  readonly onErasing: (version: number, isComing: boolean) => void;
  /** Something was erased, durably: before it is visible. */
  readonly onErased: () => Promise<void>;
  /** Reads back what is durable from version `from` on, and signs; `undefined`: no key could. */
  readonly seal: (chain: Chain, from: number) => Promise<Sealed | undefined>;
  /** Must not throw and awaits nobody: publishes, then announces. */
  readonly onAppended: (batch: readonly Committed[], sealed: Sealed | undefined) => void;
  readonly onFatal: (error: RegistryError) => void;
}

export class Sequencer {
  readonly #options: SequencerOptions;
  #chain: Chain | null;
  #queue: Waiting[] = [];
  #running: Promise<void> | undefined;
  #fatal: RegistryError | undefined;

  constructor(options: SequencerOptions) {
    this.#options = options;
    this.#chain = options.chain;
  }

  /** The state after the newest visible entry. */
  get chain(): Chain | null {
    return this.#chain;
  }

  /** The set of the chain, of which only the root was known. Until then nothing may be committed. */
  know(set: SetTree): void {
    if (this.#chain?.set.root !== set.root)
      throw new RegistryError('internal', `expected the set of the head, got ${set.root}`);
    this.#chain = { ...this.#chain, set };
  }

  /** Why nothing is written any more. */
  get fatal(): RegistryError | undefined {
    return this.#fatal;
  }

  /** Resolves when the entry is durable and visible. Throws what `appendEntry` and `Store.append` throw. */
  commit(request: CommitRequest): Promise<Appended> {
    if (this.#fatal !== undefined) return Promise.reject(this.#fatal);
    const limit = this.#options.limits.maxQueuedCommits;
    if (this.#queue.length >= limit)
      return Promise.reject(
        new RegistryError(
          'overloaded',
          `expected at most ${limit} waiting commits, got one more: repeat later`,
          { details: { reason: 'queue', limit } },
        ),
      );
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    const point = this.#options.tracer?.current();
    this.#queue.push({ ...request, point, resolve, reject });
    this.#running ??= this.#run();
    return promise;
  }

  /** Resolves when no commit is waiting. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // One turn of the event loop, so that commits posted together are batched together.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#commitBatch(this.#takeBatch());
    this.#running = undefined;
  }

  #takeBatch(): Waiting[] {
    const { maxBatchEntries, maxBatchBytes } = this.#options.limits;
    let bytes = 0;
    let count = 0;
    for (const { proposal } of this.#queue) {
      bytes += proposal.bytes.length;
      // What is erased is overwritten in the same transaction, and how much that is shows only when it is looked for.
      if (proposal.payload.type === 'erase') bytes += MAX_PAYLOAD_BYTES;
      if (count > 0 && (count === maxBatchEntries || bytes > maxBatchBytes)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #commitBatch(batch: readonly Waiting[]): Promise<void> {
    let known: Known;
    try {
      const committed = await this.#committedAmong(batch);
      const payloads = batch.map(({ proposal }) => proposal.payload);
      known = { committed, erasable: await this.#options.findErasable(payloads) };
      this.#options.assertGrowable();
    } catch (error) {
      // Nothing was written yet: what cannot be read, or may not be gone on from, refuses this batch and no more.
      for (const { reject } of batch) reject(error);
      return;
    }
    const planned = this.#plan(batch, known);
    if (planned.length === 0) return;
    try {
      await this.#append(planned);
    } catch (error) {
      this.#fail(batch, error);
    }
  }

  async #committedAmong(batch: readonly Waiting[]): Promise<Set<Hash>> {
    const { store, catchUp } = this.#options;
    const hashes = batch.map(({ proposal }) => proposal.payloadB3);
    const versions = await Promise.all(hashes.map((hash) => store.committedVersion(hash)));
    const visible = this.#chain?.version ?? EMPTY_VERSION;
    // Committed by another writer: what is answered for must be visible here first.
    if (versions.some((version) => version !== undefined && version > visible))
      await this.#takeOver(await catchUp(this.#chain));
    return new Set(hashes.filter((_, i) => versions[i] !== undefined));
  }

  /** Each request against the chain that the ones before it leave; a refusal answers its own request only. */
  #plan(batch: readonly Waiting[], { committed, erasable }: Known): Planned[] {
    const planned: Planned[] = [];
    const erased = new Set<number>();
    let chain = this.#chain;
    for (const waiting of batch) {
      const { proposal } = waiting;
      try {
        const eligible = eligibleSigners(proposal.payload, chain?.governance ?? null);
        const now = formatTime(this.#options.now());
        const appended = appendEntry(chain, {
          proposal,
          approvals: waiting.approvals().filter((approval) => eligible.has(approval.signer_id)),
          // Time is advisory: it never goes backwards, whatever the clock does.
          committedAt: chain !== null && chain.committedAt > now ? chain.committedAt : now,
          isCommitted: (hash) => committed.has(hash),
        });
        if ('governance' in proposal.payload)
          this.#options.assertSignable(proposal.payload.governance);
        if (proposal.payload.type === 'erase') {
          assertFirstErasable(chain, proposal.payload, { erasable, erased });
          erased.add(proposal.payload.version);
        }
        committed.add(proposal.payloadB3);
        planned.push({ waiting, appended });
        chain = appended.chain;
      } catch (error) {
        waiting.reject(error);
      }
    }
    return planned;
  }

  async #append(planned: readonly Planned[]): Promise<void> {
    const { store, tracer = NO_TRACER, onErasing } = this.#options;
    const batch = planned.map(({ waiting, appended }) => ({
      ...appended,
      corrId: waiting.corrId ?? null,
    }));
    const entries = planned.map(({ waiting, appended }) =>
      toAppendEntry(waiting.proposal, appended),
    );
    const expected = this.#chain?.version ?? EMPTY_VERSION;
    const traced = {
      of: planned.flatMap(({ waiting }) => waiting.point ?? []),
      attributes: { 'quorate.version': expected + 1, 'quorate.entries': entries.length },
    };
    const erased = entries.flatMap(({ erases }) => erases ?? []);
    for (const version of erased) onErasing(version, true);
    const append = () => store.append({ expected, entries });
    const answer = await tracer.span('store.append', append, traced).catch((error: unknown) => {
      if (isCertain(error)) for (const version of erased) onErasing(version, false);
      throw error;
    });
    if (answer.outcome === 'conflict') for (const version of erased) onErasing(version, false);
    if (answer.outcome === 'conflict') {
      // Another writer was first. What it wrote is believed only as a reader would believe it.
      await this.#takeOver(await this.#options.catchUp(this.#chain));
      throw new RegistryError(
        'conflict',
        `expected the log's head at version ${expected === EMPTY_VERSION ? 'none' : expected}, got ${answer.head}: repeat the request`,
        {
          details: { version: answer.head },
        },
      );
    }
    // From durable to announced: read back, signed, visible.
    await tracer.span('publish', () => this.#advance(batch), traced);
    for (const { waiting, appended } of planned) waiting.resolve(appended);
  }

  async #takeOver(theirs: readonly Appended[]): Promise<void> {
    await this.#advance(theirs.map((appended) => ({ ...appended, corrId: null })));
  }

  /** Durable, then sealed, then visible. A store that does not give back what it took is fatal. */
  async #advance(batch: readonly Committed[]): Promise<void> {
    const newest = batch.at(-1)?.chain;
    const from = batch[0]?.leaf.version;
    if (newest === undefined || from === undefined) return;
    const sealed = await this.#options.seal(newest, from);
    if (batch.some(({ leaf }) => leaf.type === 'erase')) await this.#options.onErased();
    this.#chain = newest;
    this.#options.onAppended(batch, sealed);
  }

  /** A full disk and a lost race are certain; anything else from `append` is an unknown outcome. */
  #fail(batch: readonly Waiting[], error: unknown): void {
    if (isCertain(error)) {
      for (const { reject } of batch) reject(error);
      return;
    }
    this.#fatal = new RegistryError(
      'outcome_unknown',
      'expected the store to say whether the commit is durable, got a failure: repeat the request to learn it',
      {
        cause: error,
      },
    );
    for (const { reject } of [...batch, ...this.#queue]) reject(this.#fatal);
    this.#queue = [];
    this.#options.onFatal(this.#fatal);
  }
}

/** Nothing was written. */
function isCertain(error: unknown): boolean {
  return error instanceof RegistryError && ['read_only', 'conflict'].includes(error.code);
}

/** Throws `fence_broken`: also for what an entry before it in the same batch erases. */
function assertFirstErasable(
  chain: Chain | null,
  payload: ErasePayload,
  { erasable, erased }: Pick<Known, 'erasable'> & { readonly erased: ReadonlySet<number> },
): void {
  const target = erasable.get(payload);
  const isErased = target?.isErased === true || erased.has(payload.version);
  assertErasable(chain, payload, target && { ...target, isErased });
}

/** What a store keeps of an entry. */
export function toAppendEntry(
  { payload, payloadB3 }: DecodedPayload,
  { chain, leaf, entry, changes, nodes }: Appended,
): AppendEntry {
  return {
    ...entry,
    version: leaf.version,
    entryHash: chain.entryHash,
    payloadB3,
    type: leaf.type,
    expiresAt: payload.expires_at,
    changes,
    nodes,
    ...(payload.type === 'erase' && { erases: payload.version }),
  };
}
