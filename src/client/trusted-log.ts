/**
 * The owner of the trusted state: restores it, asks for what comes next, has every entry judged by
 * `trusted-state`, and replaces the state only after it was saved. One piece of work at a time.
 */
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { changesOf, decodePayload } from '../core/payload.ts';
import type { Chain } from '../core/rules.ts';
import type { SetTree } from '../core/set-tree.ts';
import type { Answers, ClaimedHead, HeadQuestion, ServedEntry } from './answers.ts';
import type { ClientOptions, TrustStore } from './client.ts';
import { treeOf, unknownKeys, withProof } from './known-set.ts';
import { Lane } from './lane.ts';
import { linkedEntries } from './linked-entries.ts';
import type { RequestBounds } from './transport.ts';
import {
  type AdvanceOptions,
  advance,
  assertNotBehind,
  type TrustedState,
  withSet,
} from './trusted-state.ts';
import { decodeTrustedState, encodeTrustedState } from './trusted-text.ts';

/** More proofs than this for one entry, and the whole set is asked for instead. */
const MAX_PROOFS = 32;
/** A proof costs about as much as this many descriptors of the whole set. */
const PROOF_WEIGHT = 8;
/** Hashes of past versions are a convenience: without them `entry` walks further. */
const MAX_KNOWN_HASHES = 100_000;

export interface TrustedLogOptions
  extends AdvanceOptions,
    Pick<ClientOptions, 'onFirstUse' | 'onProgress'> {
  readonly answers: Answers;
  readonly trust: TrustStore;
}

export class TrustedLog {
  readonly #options: TrustedLogOptions;
  readonly #lane = new Lane();
  readonly #hashes = new Map<number, Hash>();
  #isLoaded = false;
  #proofs = 0;
  #state: TrustedState | null = null;

  constructor(options: TrustedLogOptions) {
    this.#options = options;
  }

  get chain(): Chain | undefined {
    return this.#state?.chain;
  }

  /** The entry hash of a version that was verified, if it is remembered. */
  hashAt(version: number): Hash | undefined {
    return version === this.chain?.version ? this.chain.entryHash : this.#hashes.get(version);
  }

  /** Verified by other means: links of hashes up to a trusted version. */
  remember(version: number, entryHash: Hash): void {
    this.#hashes.set(version, entryHash);
    const [oldest] = this.#hashes.keys();
    if (this.#hashes.size > MAX_KNOWN_HASHES && oldest !== undefined) this.#hashes.delete(oldest);
  }

  /** Restores the state once; throws `storage_damaged`, `storage_foreign`, `storage_newer`, `wrong_registry`. */
  load(signal?: AbortSignal): Promise<Chain | undefined> {
    return this.#lane.run(() => this.#load(), signal);
  }

  /** Believes everything up to the server's head, page by page, or throws and believes no more than before. */
  catchUp(bounds: RequestBounds = {}): Promise<Chain> {
    return this.#lane.run(() => this.#catchUp(bounds), bounds.signal);
  }

  /** `false`: the entry is not the next one, because other work was faster. Saved when it resolves. */
  accept(entry: ServedEntry, bounds: RequestBounds): Promise<boolean> {
    return this.#lane.run(async () => {
      await this.#load();
      if (entry.version !== (this.chain?.version ?? -1) + 1) return false;
      await this.#keep(await this.#next(this.#state, entry, bounds));
      return true;
    }, bounds.signal);
  }

  /** The server's head, compared with the trusted one: throws `rollback`, `fork`, `wrong_registry`. */
  async claimedHead(question: HeadQuestion = {}): Promise<ClaimedHead> {
    const before = this.#state;
    const claim = await this.#askHead(question);
    // A cache on the way may be older than what was verified already. That is no attack: ask past it.
    const isBehind = before !== null && claim.version < before.chain.version;
    const { signal, timeoutMs, maxAttempts } = question;
    const fresh = isBehind
      ? await this.#askHead({ signal, timeoutMs, maxAttempts, isFresh: true })
      : claim;
    assertNotBehind(before, fresh, this.#options.registry);
    return fresh;
  }

  async #load(): Promise<Chain | undefined> {
    if (this.#isLoaded) return this.chain;
    const text = await this.#options.trust.load();
    const state = text === undefined ? null : decodeTrustedState(text);
    const { registry } = this.#options;
    if (state !== null && registry !== undefined && state.chain.registry !== registry)
      throw new RegistryError(
        'wrong_registry',
        `expected trusted state of registry ${registry}, got that of ${state.chain.registry}: name another file for trusted state`,
      );
    this.#state = state;
    this.#isLoaded = true;
    return this.chain;
  }

  /** An empty registry where entries were verified before has lost them. */
  async #askHead(question: HeadQuestion): Promise<ClaimedHead> {
    try {
      return await this.#options.answers.head(question);
    } catch (cause) {
      if (
        this.chain === undefined ||
        !(cause instanceof RegistryError) ||
        cause.code !== 'not_initialised'
      )
        throw cause;
      throw new RegistryError(
        'rollback',
        `expected a head at version ${this.chain.version} or later, got an empty registry`,
        { cause },
      );
    }
  }

  async #catchUp(bounds: RequestBounds): Promise<Chain> {
    await this.#load();
    const claim = await this.claimedHead(bounds);
    const ask = (version: number) => this.#options.answers.entries(version, bounds);
    const from = (this.chain?.version ?? -1) + 1;
    for await (const run of linkedEntries({ from, claim, ask })) {
      const passed: TrustedState[] = [];
      for (const entry of run)
        passed.push(await this.#next(passed.at(-1) ?? this.#state, entry, bounds));
      await this.#keep(...passed);
      this.#options.onProgress?.({ version: this.chain?.version ?? -1, head: claim.version });
    }
    if (this.chain === undefined)
      throw new RegistryError('internal', 'expected trusted state after catching up, got none');
    return this.chain;
  }

  async #next(
    state: TrustedState | null,
    entry: ServedEntry,
    bounds: RequestBounds,
  ): Promise<TrustedState> {
    const first = await this.#tryNext(state, entry);
    if (first !== undefined) return first;
    if (state === null)
      throw new RegistryError('internal', 'expected the empty set to be known, got only its hash');
    const proven = await this.#reveal(state, entry, bounds);
    // A removal may need what no proof of the removed descriptor shows.
    const second =
      proven === undefined ? undefined : await this.#tryNext(withSet(state, proven), entry);
    return (
      second ??
      advance(withSet(state, await this.#wholeSet(state, bounds)), entry.bytes, this.#options)
    );
  }

  /** `undefined`: everything holds so far, but the set is not known where the entry touches it. */
  async #tryNext(
    state: TrustedState | null,
    { bytes }: ServedEntry,
  ): Promise<TrustedState | undefined> {
    try {
      return await advance(state, bytes, this.#options);
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'invalid_proof') return undefined;
      throw error;
    }
  }

  /** `undefined`: proofs cost more than the whole set, or show nothing new. */
  async #reveal(
    { chain }: TrustedState,
    entry: ServedEntry,
    bounds: RequestBounds,
  ): Promise<SetTree | undefined> {
    const keys = unknownKeys(chain.set, changesOf(decodePayload(entry.bytes.payload).payload));
    const weight = (this.#proofs + keys.length) * PROOF_WEIGHT;
    const isDear = weight > Math.max(chain.set.size, MAX_PROOFS * PROOF_WEIGHT);
    if (keys.length === 0 || keys.length > MAX_PROOFS || isDear) return undefined;
    this.#proofs += keys.length;
    const { version } = chain;
    const served = await Promise.all(
      keys.map(async (key) => ({
        key,
        answer: await this.#options.answers.descriptor({ version, ...key }, bounds),
      })),
    );
    return served.reduce((set, { key, answer }) => withProof(set, key, answer), chain.set);
  }

  async #wholeSet({ chain }: TrustedState, bounds: RequestBounds): Promise<SetTree> {
    return treeOf(await this.#options.answers.set(chain.version, bounds), chain.set);
  }

  /** Saved, then believed. `passed`: consecutive states, the last one is kept. */
  async #keep(...passed: readonly TrustedState[]): Promise<void> {
    const state = passed.at(-1);
    if (state === undefined) return;
    const { origin, registry } = state.chain;
    if (this.#state === null && this.#options.registry === undefined)
      this.#options.onFirstUse?.({ origin, registry });
    await this.#options.trust.save(encodeTrustedState(state));
    this.#state = state;
    for (const { chain } of passed) this.remember(chain.version, chain.entryHash);
  }
}
