/** Puts the registry together over a store: load, publish, then accept writes. */
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import { catchUp } from './catch-up.ts';
import { EventFeed } from './feed.ts';
import { HeadWaiters } from './head-waiters.ts';
import { type GovernanceSpan, loadChain } from './load.ts';
import { DEFAULT_LIMITS, type RegistryLimits, type RegistryOptions } from './options.ts';
import { ProposalBook } from './proposals.ts';
import { publishEntry } from './published.ts';
import { LogReader } from './reader.ts';
import type { Feed, Proposals, PublishedHead, Reader, Readiness, Registry } from './registry.ts';
import { scrubLog } from './scrub.ts';
import { type Committed, Sequencer } from './sequencer.ts';
import { Trees } from './trees.ts';

/**
 * Resolves when reads can be served; writes are accepted once the whole log was walked. Throws `storage_damaged` or `storage_foreign`. Owns the store from then on.
 */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const loaded = await loadChain(options.store, options.pins);
  const registry = new OpenRegistry(options, loaded?.governances ?? [], loaded?.chain ?? null);
  if (loaded !== undefined) {
    registry.publish([{ leaf: loaded.headLeaf, chain: loaded.chain, corrId: null }]);
    options.metrics.recovered();
  }
  await registry.book.load();
  registry.startScrub();
  return registry;
}

class OpenRegistry implements Registry {
  readonly #options: RegistryOptions;
  readonly #limits: RegistryLimits;
  readonly #waiters: HeadWaiters;
  readonly #trees: Trees;
  readonly #sequencer: Sequencer;
  readonly #reader: LogReader;
  readonly #feed: EventFeed;
  readonly #scrub = new AbortController();
  readonly book: ProposalBook;
  #governances: readonly GovernanceSpan[];
  #head: PublishedHead | undefined;
  #scrubbing: Promise<void> = Promise.resolve();
  /** Why the log is not known to be whole: under way, or damaged. */
  #unchecked: RegistryError | undefined;
  #isDraining = false;

  constructor(
    options: RegistryOptions,
    governances: readonly GovernanceSpan[],
    chain: Chain | null,
  ) {
    const { store, metrics, timers } = options;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#governances = governances;
    this.#waiters = new HeadWaiters(timers);
    this.#trees = new Trees(store);
    this.#sequencer = new Sequencer({
      store,
      chain,
      limits: this.#limits,
      now: options.now,
      catchUp: (current) => catchUp(store, options.verifier, current),
      onAppended: (batch) => this.#onAppended(batch),
      onFatal: (error) => this.#onFatal(error),
    });
    this.#reader = new LogReader({
      store,
      trees: this.#trees,
      head: () => this.#head,
      chain: () => this.#sequencer.chain,
      governances: () => this.#governances,
    });
    this.#feed = new EventFeed({
      ...options,
      limits: this.#limits,
      metrics,
      head: () => this.#head,
      replay: (range) => this.#reader.published(range),
    });
    this.book = new ProposalBook({
      ...options,
      limits: this.#limits,
      sequencer: this.#sequencer,
      assertWritable: () => this.#assertWritable(),
      committed: (version) => this.#reader.committed(version),
      published: async (version) => (await this.#reader.published({ from: version, limit: 1 }))[0],
    });
  }

  get proposals(): Proposals {
    return this.book;
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

  async waitForHead({
    after,
    waitMs,
    signal,
  }: {
    after: number;
    waitMs: number;
    signal?: AbortSignal;
  }): Promise<PublishedHead | undefined> {
    if ((this.#head?.version ?? -1) <= after)
      await this.#waiters.wait(signal === undefined ? { waitMs } : { waitMs, signal });
    return this.#head;
  }

  readiness(): Readiness {
    const missing: string[] = [];
    if (this.#head === undefined) missing.push('a genesis: create one with `quorate init`');
    if (this.#sequencer.fatal !== undefined)
      missing.push('a writable store: the outcome of a write is unknown, the process must restart');
    if (this.#unchecked !== undefined) missing.push(this.#unchecked.message);
    if (this.#isDraining) missing.push('time: the service is stopping');
    const isWritable =
      this.#sequencer.fatal === undefined && this.#unchecked === undefined && !this.#isDraining;
    return {
      ready: this.#head !== undefined && !this.#isDraining,
      writeReady: isWritable,
      missing,
      version: this.#head?.version ?? null,
    };
  }

  drain(): void {
    this.#isDraining = true;
    this.#scrub.abort();
    this.#feed.close();
    this.#waiters.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    await this.#sequencer.idle();
    await this.#scrubbing;
    await this.#options.store[Symbol.asyncDispose]();
  }

  /** Visible with one assignment, the newest first of all; then announced. Awaits nobody. */
  publish(batch: readonly Pick<Committed, 'leaf' | 'chain' | 'corrId'>[]): void {
    const entries = batch.map(({ leaf, chain, corrId }) => {
      this.#trees.remember(leaf.version, chain.set);
      const { entryHash, registry } = chain;
      return publishEntry({ leaf, entryHash, registry, corrId });
    });
    this.#head = entries.at(-1) ?? this.#head;
    if (this.#head !== undefined) this.#options.metrics.version(this.#head.version);
    this.#waiters.wake();
    this.#feed.announce(entries);
  }

  startScrub(): void {
    const head = this.#sequencer.chain;
    if (head === null) return;
    this.#unchecked = new RegistryError(
      'not_ready',
      `a check of the log: 0 of ${head.version + 1} entries so far`,
    );
    this.#scrubbing = scrubLog(this.#options.store, {
      head,
      signal: this.#scrub.signal,
      onProgress: (checked) => {
        this.#unchecked = new RegistryError(
          'not_ready',
          `a check of the log: ${checked} of ${head.version + 1} entries so far`,
        );
      },
    }).then(
      () => {
        this.#unchecked = undefined;
      },
      (error: unknown) => {
        this.#options.log.error('the log is damaged: nothing more is written', { cause: error });
        this.#unchecked = new RegistryError(
          'storage_damaged',
          'a whole log: restore the store from a replica or a backup',
          { cause: error },
        );
      },
    );
  }

  #onAppended(batch: readonly Committed[]): void {
    for (const { leaf, chain } of batch)
      if (leaf.type === 'genesis' || leaf.type === 'governance')
        this.#governances = [
          ...this.#governances,
          { from: leaf.version, governance: chain.governance },
        ];
    this.publish(batch);
    const governances = this.#governances;
    this.book.settle(batch, (version) => {
      const span = governances.findLast(({ from }) => from < version);
      return span === undefined ? null : { governance: span.governance };
    });
    for (const _ of batch) this.#options.metrics.updated('committed');
  }

  #onFatal(error: RegistryError): void {
    this.#options.log.error('the outcome of a write is unknown: no more writes', { cause: error });
    this.#options.onFatal(error);
  }

  #assertWritable(): void {
    if (this.#isDraining)
      throw new RegistryError(
        'draining',
        'expected a running service, got one that is stopping: repeat the request elsewhere or later',
      );
    if (this.#sequencer.fatal !== undefined) throw this.#sequencer.fatal;
    const unchecked = this.#unchecked;
    if (unchecked?.code === 'storage_damaged') throw unchecked;
    if (unchecked !== undefined)
      throw new RegistryError(
        'not_ready',
        `expected a checked log, got ${unchecked.message}: repeat later`,
      );
  }
}
