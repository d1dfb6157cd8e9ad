/** Puts the registry together over a store: load, publish, then accept writes. */
import { RegistryError } from '../core/error.ts';
import { catchUp } from './catch-up.ts';
import { Checkpoints, type Sealed } from './checkpoints.ts';
import { erasableIn } from './erasing.ts';
import { EventFeed } from './feed.ts';
import { assertNamed } from './gates.ts';
import { HeadSet, isSmallSet } from './head-set.ts';
import { HeadWaiters } from './head-waiters.ts';
import { type Kept, loadKept } from './kept-checkpoint.ts';
import { type GovernanceSpan, type Loaded, loadLog, withSet } from './load.ts';
import { LogWalk } from './log-walk.ts';
import { DEFAULT_LIMITS, type RegistryLimits, type RegistryOptions } from './options.ts';
import { ProposalBook } from './proposals.ts';
import { type PruneOptions, pruneBelow } from './pruning.ts';
import { publishEntry } from './published.ts';
import { LogReader } from './reader.ts';
import { check, readinessOf, refusalWhile } from './readiness.ts';
import type {
  Feed,
  Proposals,
  PublishedCheckpoint,
  PublishedHead,
  Reader,
  Readiness,
  ReadinessCheck,
  Registry,
} from './registry.ts';
import { type KeptRange, Retained } from './retained.ts';
import { isSignedByAll, logKeysInForce } from './seal.ts';
import { type Committed, Sequencer } from './sequencer.ts';
import { tracedProposals } from './traced-proposals.ts';
import { Trees } from './trees.ts';

/**
 * Resolves when the log can be read; descriptors once a large set is made, and then writes where a kept checkpoint
 * vouches for the log, else once it was walked. Throws `storage_damaged` or `storage_foreign`. Owns the store from then on.
 */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const { store, pins, verifier } = options;
  const log = await loadLog(store, pins);
  const loaded = log && isSmallSet(log.headLeaf) ? await withSet(store, log) : log;
  const retained = new Retained(options);
  await retained.load(store);
  const kept = loaded && (await loadKept(store, { ...loaded, verifier, retained }));
  const registry = new OpenRegistry(options, { ...loaded, retained });
  if (loaded !== undefined) {
    await registry.recover(loaded, kept);
    options.metrics.recovered();
    options.metrics.oldestVersion(retained.state.oldest);
  } else await registry.beginEmpty();
  await registry.book.load();
  return registry;
}

class OpenRegistry implements Registry {
  readonly #options: RegistryOptions;
  readonly #retained: Retained;
  readonly #limits: RegistryLimits;
  readonly #waiters: HeadWaiters;
  readonly #headSet: HeadSet;
  readonly #trees: Trees;
  readonly #sequencer: Sequencer;
  readonly #reader: LogReader;
  readonly #feed: EventFeed;
  readonly #checkpoints: Checkpoints;
  readonly book: ProposalBook;
  readonly proposals: Proposals;
  #governances: readonly GovernanceSpan[];
  #head: PublishedHead | undefined;
  #walk: LogWalk | undefined;
  /** When the store last answered for an append. */
  #durableMs = 0;
  #isEnding = false;
  #isDraining = false;
  #isFatal = false;

  constructor(
    options: RegistryOptions,
    { chain, governances = [], retained }: Partial<Loaded> & { readonly retained: Retained },
  ) {
    const { store, metrics, timers } = options;
    this.#options = options;
    this.#retained = retained;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#governances = governances;
    this.#waiters = new HeadWaiters(timers);
    this.#headSet = new HeadSet(options);
    const known = () => this.#headSet.known();
    this.#trees = new Trees({ store, timers, retained, known });
    this.#checkpoints = new Checkpoints({
      ...options,
      cosigners: options.cosigners ?? [],
      prove: async (sizes) => (await this.#reader.consistencyProof(sizes)) ?? [],
      onRenewed: () => this.#feed.announceProgress(),
    });
    const findErasable = erasableIn({ store, retained });
    this.#sequencer = new Sequencer({
      store,
      chain: chain ?? null,
      limits: this.#limits,
      tracer: options.tracer,
      now: options.now,
      catchUp: (current) => catchUp(store, options.verifier, current),
      assertGrowable: () => this.#assertGrowable(),
      assertSignable: (governance) => this.#checkpoints.assertSignable(governance),
      findErasable,
      onErasing: (version, isComing) =>
        isComing ? retained.erasing(version) : retained.notErasing(version),
      onErased: () => retained.load(store),
      seal: (sealed, from) => {
        this.#durableMs = performance.now();
        return this.#checkpoints.seal(sealed, from);
      },
      onAppended: (batch, sealed) => this.#onAppended(batch, sealed),
      onFatal: (error) => this.#onFatal(error),
    });
    this.#reader = new LogReader({
      store,
      trees: this.#trees,
      known,
      head: () => this.#head,
      chain: () => this.#sequencer.chain,
      governances: () => this.#governances,
      checkpoints: this.#checkpoints,
      retained,
    });
    this.#feed = new EventFeed({
      ...options,
      limits: this.#limits,
      metrics,
      head: () => this.#head,
      checkpoint: () => this.checkpoint(),
      oldest: () => retained.state.oldest,
      monotonicMs: () => performance.now(),
      replay: (range) => this.#reader.published(range),
    });
    this.book = new ProposalBook({
      ...options,
      limits: this.#limits,
      sequencer: this.#sequencer,
      assertWritable: () => this.assertWritable(),
      known,
      findErasable,
      committed: (version) => this.#reader.committed(version),
      published: async (version) =>
        this.#feed.recent(version) ??
        (await this.#reader.published({ from: version, limit: 1 }))[0],
    });
    this.proposals = tracedProposals(this.book, options.tracer);
  }

  get reader(): Reader {
    return this.#reader;
  }

  get feed(): Feed {
    return this.#feed;
  }

  head(): PublishedHead | undefined {
    return this.#head;
  }

  checkpoint(): PublishedCheckpoint | undefined {
    return this.#checkpoints.published;
  }

  retention(): KeptRange {
    return this.#retained.state;
  }

  async prune(oldest: number, options: PruneOptions = {}): Promise<void> {
    const { store, metrics } = this.#options;
    const covered = Math.max(0, (this.checkpoint()?.size ?? 0) - 1);
    await pruneBelow(oldest, { store, metrics, retained: this.#retained, covered }, options);
  }

  async waitForHead({ after, ...wait }: Parameters<Registry['waitForHead']>[0]) {
    if ((this.#head?.version ?? -1) <= after) await this.#waiters.wait(wait);
    return this.#head;
  }

  readiness(): Readiness {
    return readinessOf(this.#checks(), this.#head?.version);
  }

  assertWritable(): void {
    if (this.#isDraining)
      throw new RegistryError(
        'draining',
        'expected a running service, got one that is stopping: repeat the request elsewhere or later',
        { details: { reason: 'running' } },
      );
    assertNamed('store', () => this.#sequencer.fatal);
    this.#assertGrowable();
    for (const gate of this.#options.gates ?? []) assertNamed(gate.name, () => gate.refusal());
  }

  #assertGrowable(): void {
    assertNamed('log', () => refusalWhile(this.#missingOfLog));
    assertNamed('checkpoint', () => this.#checkpoints.refusal(this.#sequencer.chain));
  }

  async idle(): Promise<void> {
    await this.#sequencer.idle();
  }

  announceEnd(): void {
    this.#isEnding = true;
  }

  drain(): void {
    this.#isEnding = true;
    this.#isDraining = true;
    this.#walk?.stop();
    this.#headSet.stop();
    this.#trees.drain();
    this.#feed.close();
    this.#waiters.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    await this.#sequencer.idle();
    await this.#walk?.idle();
    await this.#headSet.idle();
    await this.#checkpoints[Symbol.asyncDispose]();
    await this.#options.store[Symbol.asyncDispose]();
  }

  /** Nothing was in the store: whoever has seen entries of a log here refuses the first one. */
  async beginEmpty(): Promise<void> {
    await this.#checkpoints.beginEmpty();
  }

  /** What the store held at the start: visible at once; its checkpoint too, where one was kept or can be signed. */
  async recover({ chain, headLeaf }: Loaded, kept: Kept | undefined): Promise<void> {
    const { checkpoint, tree, isBridged } = kept ?? { isBridged: false };
    const isNewest = tree?.size === chain.tree.size && checkpoint !== undefined;
    if (checkpoint !== undefined && tree !== undefined)
      this.#checkpoints.restore({ checkpoint, tree }, { isNewest });
    // A key in force may have come here since it was kept.
    const keys = logKeysInForce(chain.governance, this.#options.signers);
    const isSigned = isNewest && isSignedByAll(checkpoint, keys);
    const sealed = isSigned || !isBridged ? undefined : await this.#checkpoints.sign(chain);
    if (isSmallSet(headLeaf)) this.#trees.remember(headLeaf.version, chain.set);
    this.#publish([{ leaf: headLeaf, chain, corrId: null }], sealed);
    this.#walk = new LogWalk({
      ...this.#options,
      isVouched: isBridged && checkpoint !== undefined,
      onWhole: async () => {
        if (this.#checkpoints.tree.size < chain.tree.size)
          this.#checkpoints.publish(await this.#checkpoints.sign(chain));
      },
    });
    if (isSmallSet(headLeaf)) this.#walk.start(chain);
    // One after the other: writes wait for the set, and mostly not for the walk.
    else
      this.#headSet.start(headLeaf, (set) => {
        this.#sequencer.know(set);
        this.#trees.remember(headLeaf.version, set);
        this.#walk?.start(chain);
      });
  }

  /** Of what was there at the start. */
  get #missingOfLog(): RegistryError | undefined {
    return this.#walk?.missing ?? this.#headSet.missing;
  }

  /** Visible with one assignment, the newest first of all; then announced. Awaits nobody. */
  #publish(
    batch: readonly Pick<Committed, 'leaf' | 'chain' | 'corrId'>[],
    sealed: Sealed | undefined,
  ): void {
    this.#checkpoints.publish(sealed);
    const note = this.#checkpoints.published?.note;
    const entries = batch.map(({ leaf, chain: { entryHash, registry }, corrId }) =>
      publishEntry({ leaf, entryHash, registry, note, corrId }),
    );
    this.#head = entries.at(-1) ?? this.#head;
    if (this.#head !== undefined) this.#options.metrics.version(this.#head.version);
    this.#waiters.wake();
    this.#feed.announce(entries, this.#durableMs);
  }

  #onAppended(batch: readonly Committed[], sealed: Sealed | undefined): void {
    for (const { leaf, chain } of batch) {
      this.#trees.remember(leaf.version, chain.set);
      if (leaf.type === 'genesis' || leaf.type === 'governance')
        this.#governances = [
          ...this.#governances,
          { from: leaf.version, governance: chain.governance },
        ];
    }
    this.#publish(batch, sealed);
    const governances = this.#governances;
    const before = (version: number) => governances.findLast(({ from }) => from < version) ?? null;
    this.book.settle(batch, before);
    for (const _ of batch) this.#options.metrics.updated('committed');
  }

  #onFatal(error: RegistryError): void {
    if (this.#isFatal) return;
    this.#isFatal = true;
    this.#options.log.error('the outcome of a write is unknown: no more writes', { cause: error });
    this.#options.onFatal(error);
  }

  #checks(): readonly ReadinessCheck[] {
    const { gates = [] } = this.#options;
    const fatal =
      this.#sequencer.fatal &&
      'a writable store: the outcome of a write is unknown, the process must restart';
    return [
      check('genesis', this.#head ? undefined : 'a genesis: create one with `quorate init`'),
      check('running', this.#isEnding ? 'time: the service is stopping' : undefined),
      check('store', fatal),
      check('log', this.#missingOfLog?.message),
      check('checkpoint', this.#checkpoints.refusal(this.#sequencer.chain)?.message),
      ...gates.map((gate) => check(gate.name, gate.refusal()?.message)),
    ];
  }
}
