/**
 * The owner of the trusted state: restores it, has entries judged by the rules of the log and their
 * tree held against a signed claim, and replaces the state only after it was saved. One piece of work
 * at a time.
 */
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { type Claim, isFresh } from './claim.ts';
import { Claims, type ClaimsOptions, type ProvenClaim } from './claims.ts';
import type { ClientOptions, PrunedGap, TrustStore, VerifiedHead } from './client.ts';
import { Erasures } from './erasures.ts';
import { KnownHashes } from './known-hashes.ts';
import { Lane } from './lane.ts';
import { NextState } from './next-state.ts';
import { PrunedGaps } from './pruned-gap.ts';
import type { ServedEntry } from './served-entry.ts';
import type { RequestBounds } from './transport.ts';
import {
  type AdvanceOptions,
  acceptedGap,
  headOf,
  type TrustedCheckpoint,
  type TrustedState,
  type WalkedState,
} from './trusted-state.ts';
import { decodeTrustedState, encodeTrustedState } from './trusted-text.ts';
import { withUnsaved } from './unsaved.ts';

/** A save writes the whole state: while catching up it is due when the entries since the last are this share of it. */
const SAVE_SHARE = 1 / 4;

export interface TrustedLogOptions
  extends AdvanceOptions,
    Omit<ClaimsOptions, 'next' | 'gaps'>,
    Pick<ClientOptions, 'acceptPruned' | 'onFirstUse' | 'onProgress'> {
  readonly trust: TrustStore;
}

/** An entry of a page whose tree the claim vouches for, and the state that it makes. */
export interface Step {
  readonly served: ServedEntry;
  /** `null`: the version was trusted before. */
  readonly next: WalkedState | null;
  /** The version of the entry that erased it; `null` for one with its payload. */
  readonly erasedBy: number | null;
}

export interface Page {
  readonly steps: readonly Step[];
  /** What was passed over before them, and is trusted now; `null` for nothing. */
  readonly skipped: { readonly gap: PrunedGap; readonly head: VerifiedHead } | null;
}

export class TrustedLog {
  readonly #options: TrustedLogOptions;
  readonly #next: NextState;
  readonly #claims: Claims;
  readonly #erasures: Erasures;
  readonly #lane = new Lane();
  readonly #hashes = new KnownHashes();
  #isLoaded = false;
  #state: TrustedState | null = null;
  /** Verified by the catching up that is under way, and not saved yet: nobody else sees it. */
  #ahead: TrustedState | null = null;

  constructor(options: TrustedLogOptions) {
    this.#options = options;
    this.#next = new NextState(options.answers, options);
    const gaps = new PrunedGaps(options.answers, this.#next, options.acceptPruned === true);
    this.#claims = new Claims({ ...options, next: this.#next, gaps });
    this.#erasures = new Erasures({
      claims: this.#claims,
      next: this.#next,
      hashAt: (version) => this.hashAt(version),
    });
  }

  /** `null` before the first verified answer. */
  get state(): TrustedState | null {
    return this.#state;
  }

  /** The entry hash of a version that was verified, if it is remembered. */
  hashAt(version: number): Hash | undefined {
    const chain = this.#reached?.chain;
    return version === chain?.version ? chain.entryHash : this.#hashes.get(version);
  }

  /** Restores the state once; throws `storage_damaged`, `storage_foreign`, `storage_newer`, `wrong_registry`. */
  load(signal?: AbortSignal): Promise<TrustedState | null> {
    return this.#lane.run(() => this.#load(), signal);
  }

  /** `false` once nobody has vouched for the trusted head for too long. */
  isFresh(): boolean {
    return this.#state === null || isFresh(this.#state.checkpoint.freshAt, this.#options.rules);
  }

  /**
   * Whether a note may say more than is trusted: an old event may carry an older one. Throws
   * `invalid_checkpoint`.
   */
  isNews(note: string): boolean {
    if (this.#state === null) return true;
    const known = this.#state.checkpoint;
    return note !== known.note && readSignedCheckpoint(note).size >= known.size;
  }

  /** Believes everything up to the server's checkpoint, page by page, or throws and believes no more than before. */
  catchUp(bounds: RequestBounds = {}): Promise<TrustedState> {
    return this.#lane.run(async () => {
      const claim = await this.#claims.prove(undefined, await this.#load(), bounds);
      await this.#walkTo(claim, bounds);
      await this.#adopt(claim);
      if (this.#state === null)
        throw new RegistryError('internal', 'expected trusted state after catching up, got none');
      return this.#state;
    }, bounds.signal);
  }

  /** A checkpoint that leads on from the trusted state: the given note, or the one the server has now. */
  claim(note: string | undefined, bounds: RequestBounds): Promise<ProvenClaim> {
    return this.#lane.run(
      async () => this.#claims.prove(note, await this.#load(), bounds),
      bounds.signal,
    );
  }

  /** Entries from `from` on, none beyond the claim, which vouches for them all; nothing is kept yet. */
  page(claim: ProvenClaim, from: number, bounds: RequestBounds): Promise<Page> {
    return this.#lane.run(async () => {
      if (from !== this.#nextVersion) return this.#trustedPage(claim, from, bounds);
      const current = await this.#claims.current(claim, this.#state, bounds);
      const { steps, skipped } = await this.#verifyPage(current, bounds);
      return { steps: steps.filter(({ served }) => served.version < claim.size), skipped };
    }, bounds.signal);
  }

  /** `false`: the version is trusted already, because other work was faster. Saved when it resolves. */
  accept(claim: ProvenClaim, step: Step, bounds: RequestBounds): Promise<boolean> {
    return this.#lane.run(async () => {
      const { version, prev_hash } = step.served.leaf;
      const isNext =
        version === this.#nextVersion && prev_hash === (this.#state?.chain.entryHash ?? null);
      if (step.next === null || !isNext) return false;
      const current = await this.#claims.current(claim, this.#state, bounds);
      if (current !== claim) await this.#claims.assertLeadsTo(step.next.chain, current, bounds);
      await this.#keep(current, [step]);
      return true;
    }, bounds.signal);
  }

  /** Every entry that it claims is trusted: so is the claim, and its time. */
  adopt(claim: ProvenClaim, { signal }: RequestBounds): Promise<void> {
    return this.#lane.run(() => this.#adopt(claim), signal);
  }

  get #nextVersion(): number {
    return (this.#reached?.chain.version ?? -1) + 1;
  }

  get #reached(): TrustedState | null {
    return this.#ahead ?? this.#state;
  }

  /** What was verified before something went wrong is saved, and believed, as what came before it. */
  async #walkTo(claim: ProvenClaim, bounds: RequestBounds): Promise<void> {
    let unsaved = 0;
    try {
      while (this.#nextVersion < claim.size) {
        const { steps } = await this.#verifyPage(claim, bounds);
        this.#hold(claim, steps);
        unsaved += steps.length;
        if (this.#nextVersion >= claim.size || unsaved >= sizeOf(this.#ahead) * SAVE_SHARE) {
          await this.#settle();
          unsaved = 0;
        }
        this.#options.onProgress?.({ version: this.#nextVersion - 1, head: claim.size - 1 });
      }
    } catch (error) {
      try {
        await this.#settle();
      } catch (unsaved) {
        throw withUnsaved(error, unsaved);
      }
      throw error;
    }
  }

  #hold({ size, root, note, freshAt }: Claim, steps: readonly Step[]): void {
    const walked = steps.at(-1)?.next ?? null;
    if (walked === null) return;
    this.#tellFirstUse(walked);
    this.#ahead = { ...walked, checkpoint: { size, root, note, freshAt } };
    for (const { next } of steps) if (next !== null) this.#hashes.add(next.chain);
  }

  /** What cannot be saved is not believed. */
  async #settle(): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = null;
    if (ahead === null) return;
    try {
      await this.#save(ahead, ahead.checkpoint);
    } catch (error) {
      this.#hashes.clear();
      throw error;
    }
  }

  async #load(): Promise<TrustedState | null> {
    if (this.#isLoaded) return this.#state;
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
    return state;
  }

  /**
   * The page after what is trusted. Throws what the rules of the log say, `invalid_entry`,
   * `invalid_proof`, and `pruned` unless that is accepted: then what was passed over is saved.
   */
  async #verifyPage(claim: ProvenClaim, bounds: RequestBounds): Promise<Page> {
    const { page, gap, ...reached } = await this.#claims.reach(claim, this.#reached, bounds);
    const skipped =
      gap === null ? null : { gap, head: await this.#pass(claim, reached.state, bounds) };
    const states: WalkedState[] = [];
    let state = reached.state;
    for (const served of page) {
      state = await this.#next.after(state, served, bounds);
      states.push(state);
    }
    if (state !== null) {
      await this.#claims.assertLeadsTo(state.chain, claim, bounds);
      await this.#erasures.vouch(claim, { page, state }, bounds);
    }
    const steps = page.map((served, i) => ({
      served,
      next: states[i] ?? null,
      erasedBy: this.#erasures.erasedBy(served),
    }));
    return { steps, skipped };
  }

  /** What was trusted before, for who comes after: another call on this client was ahead, maybe over a gap. */
  async #trustedPage(claim: ProvenClaim, from: number, bounds: RequestBounds): Promise<Page> {
    const state = this.#state;
    const passOver = (known: TrustedState): Page => ({
      steps: [],
      skipped: { gap: { from, to: known.chain.version }, head: headOf(known) },
    });
    if (state !== null && acceptedGap(state, from) !== undefined) return passOver(state);
    try {
      const page = await this.#claims.page(claim, from, bounds);
      const gap = page.findIndex(({ version }) => acceptedGap(state, version) !== undefined);
      const known = gap === -1 ? page : page.slice(0, gap);
      const trusted = known.filter(({ version }) => version < this.#nextVersion);
      const steps = trusted.map((served) => ({ served, next: null, erasedBy: null }));
      return { steps, skipped: null };
    } catch (error) {
      const isPruned = error instanceof RegistryError && error.code === 'pruned';
      if (!isPruned || state === null || this.#options.acceptPruned !== true) throw error;
      return passOver(state);
    }
  }

  /** Over entries that were pruned: what they give must be the claim's, too, before it is saved. */
  async #pass(
    claim: ProvenClaim,
    state: WalkedState | null,
    bounds: RequestBounds,
  ): Promise<VerifiedHead> {
    if (state === null) throw new RegistryError('internal', 'expected pruned entries, got none');
    await this.#claims.assertLeadsTo(state.chain, claim, bounds);
    return headOf(await this.#trust(state, claim));
  }

  /** Saved, then believed. `steps`: consecutive, the last one is kept. */
  async #keep(claim: Claim, steps: readonly Step[]): Promise<void> {
    const walked = steps.at(-1)?.next ?? null;
    if (walked === null) return;
    await this.#trust(walked, claim);
    for (const { next } of steps) if (next !== null) this.#hashes.add(next.chain);
  }

  async #trust(walked: WalkedState, claim: Claim): Promise<TrustedState> {
    this.#tellFirstUse(walked);
    return this.#save(walked, claim);
  }

  #tellFirstUse({ chain: { origin, registry } }: WalkedState): void {
    if (this.#reached === null && this.#options.registry === undefined)
      this.#options.onFirstUse?.({ origin, registry });
  }

  async #adopt(claim: Claim): Promise<void> {
    const state = this.#state;
    if (state === null || state.chain.tree.size !== claim.size) return;
    const { root, freshAt } = state.checkpoint;
    const isNewer = (claim.freshAt ?? 0) > (freshAt ?? 0);
    if (isNewer && isEqualBytes(root, claim.root)) await this.#save(state, claim);
  }

  async #save(
    walked: WalkedState,
    { size, root, note, freshAt }: TrustedCheckpoint,
  ): Promise<TrustedState> {
    const state = { ...walked, checkpoint: { size, root, note, freshAt } };
    await this.#options.trust.save(encodeTrustedState(state));
    this.#state = state;
    this.#ahead = null;
    return state;
  }
}

/** In what a save writes most of. */
function sizeOf(state: TrustedState | null): number {
  return state === null ? 0 : state.chain.set.size + state.recent.size;
}
