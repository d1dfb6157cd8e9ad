/**
 * Claims about the log, asked for and proven: a signed checkpoint by a log key in force, that continues
 * what is trusted. Keeps nothing; what entries a claim covers is verified by `trusted-log`.
 */
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { Governance } from '../core/governance.ts';
import type { Chain } from '../core/rules.ts';
import { parseCheckpoint } from '../core/tlog/checkpoint.ts';
import { isConsistent } from '../core/tlog/merkle.ts';
import { parseNote } from '../core/tlog/note.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import type { Answers } from './answers.ts';
import {
  assertNoRollback,
  type Claim,
  type ClaimRules,
  isSignedUnder,
  judgeClaim,
  unsigned,
} from './claim.ts';
import type { ClientOptions, PrunedGap } from './client.ts';
import { type Clock, sleep } from './clock.ts';
import { contradictionOf } from './fork.ts';
import type { NextState } from './next-state.ts';
import type { PrunedGaps } from './pruned-gap.ts';
import { jitteredDelayMs } from './retry.ts';
import type { ServedEntry } from './served-entry.ts';
import type { RequestBounds } from './transport.ts';
import type { TrustedCheckpoint, TrustedState, WalkedState } from './trusted-state.ts';

export interface ClaimsOptions extends Pick<ClientOptions, 'onFork'> {
  readonly answers: Answers;
  readonly next: NextState;
  readonly gaps: PrunedGaps;
  readonly rules: ClaimRules;
  readonly clock: Clock;
  /** A checkpoint that waits for its cosigners is asked for so often. */
  readonly maxAttempts: number;
}

/** A claim, and the entries that were asked for to find who may sign it. */
export interface ProvenClaim extends Claim {
  readonly held: readonly ServedEntry[];
  /** The note of the trusted checkpoint that it was proven to continue; `null` for none. */
  readonly after: string | null;
}

export interface Reached {
  readonly page: readonly ServedEntry[];
  readonly state: WalkedState | null;
  /** What was passed over; `null` for nothing. */
  readonly gap: PrunedGap | null;
}

export class Claims {
  readonly #options: ClaimsOptions;

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /**
   * `note`: the claim, `undefined` for the checkpoint that the server has now. Throws what `judgeClaim`
   * throws, `rollback`, `fork`, `invalid_proof`, and what the rules say of entries that are to name the signer.
   */
  async prove(
    note: string | undefined,
    state: TrustedState | null,
    bounds: RequestBounds,
  ): Promise<ProvenClaim> {
    const claim =
      note === undefined
        ? await this.#ask(state, bounds)
        : await judgeClaim(note, state, this.#options.rules);
    const found = claim.isSigned ? undefined : await this.#findSigner(claim, state, bounds);
    const governances = [state?.chain.governance, found?.governance];
    const logKeys = new Set(governances.flatMap((governance) => governance?.log_keys ?? []));
    if (state !== null)
      await this.#assertContinues(state, { claim, logKeys: [...logKeys] }, bounds);
    return { ...claim, held: found?.held ?? [], after: state?.checkpoint.note ?? null };
  }

  /** What vouches now: where other work believed another claim meanwhile, this one must continue that, or gives way to it. */
  async current(
    claim: ProvenClaim,
    state: TrustedState | null,
    bounds: RequestBounds,
  ): Promise<ProvenClaim> {
    const known = state?.checkpoint;
    if (known === undefined || known.note === claim.note || known.note === claim.after)
      return claim;
    return known.size > claim.size ? trustedClaim(known) : this.prove(claim.note, state, bounds);
  }

  /** Entries from `from` on, none beyond the claim. Throws `unexpected_answer` when they end before it does. */
  async page(
    { held, size }: Pick<ProvenClaim, 'held' | 'size'>,
    from: number,
    bounds: RequestBounds,
  ): Promise<readonly ServedEntry[]> {
    const isHeld = held[0]?.version === from;
    const page = isHeld ? held : await this.#options.answers.entries(from, bounds);
    const claimed = page.filter(({ version }) => version < size);
    if (claimed.length > 0) return claimed;
    throw new RegistryError(
      'unexpected_answer',
      `expected entries up to version ${size - 1}, got none from ${from}`,
      { details: { version: size - 1 } },
    );
  }

  /** The page after `state` (`null`: before genesis), and the state that it follows: past what was pruned, if that is accepted. */
  async reach(
    claim: ProvenClaim,
    state: WalkedState | null,
    bounds: RequestBounds,
  ): Promise<Reached> {
    try {
      const page = await this.page(claim, state?.chain.tree.size ?? 0, bounds);
      return { page, state, gap: null };
    } catch (refusal) {
      const crossing = await this.#options.gaps.cross(state, { refusal, claim }, bounds);
      const page = await this.page(claim, crossing.state.chain.tree.size, bounds);
      return { page, ...crossing };
    }
  }

  /**
   * Throws unless the tree of `chain` is the claim's, or its beginning: the rules of the log cannot see
   * a changed `committed_at`, the tree can. Throws also `invalid_signature`, when the governance at the
   * end of it does not list a key that signed.
   */
  async assertLeadsTo(chain: Chain, claim: Claim, bounds: RequestBounds): Promise<void> {
    const { version, governance } = chain;
    assertOrigin(claim, chain.origin);
    const details = { version, size: claim.size };
    const isLast = chain.tree.size === claim.size;
    if (!(await this.#leadsTo(chain.tree, claim, bounds)))
      throw isLast
        ? new RegistryError(
            'invalid_entry',
            `expected entries up to ${version} to give the root of the signed checkpoint, got others`,
            { details },
          )
        : new RegistryError(
            'invalid_proof',
            `expected a proof that the entries up to ${version} lead to the checkpoint of ${claim.size} leaves, got one that fails`,
            { details },
          );
    if (isLast && !(await isSignedUnder(claim, governance, this.#options.rules.verifier)))
      throw unsigned(claim);
  }

  /** Asked again while it is only short of cosignatures, as it is just after a commit. */
  async #ask(state: TrustedState | null, bounds: RequestBounds): Promise<Claim> {
    const { clock, rules, maxAttempts } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await judgeClaim(await this.#askNote(state, attempt > 1, bounds), state, rules);
      } catch (error) {
        const isShort = error instanceof RegistryError && error.code === 'unwitnessed';
        if (!isShort || attempt >= (bounds.maxAttempts ?? maxAttempts)) throw error;
      }
      await sleep(clock, jitteredDelayMs(clock, attempt), bounds.signal);
    }
  }

  /** A cache on the way may be older than what was verified already. That is no attack: ask past it. */
  async #askNote(
    state: TrustedState | null,
    isFresh: boolean,
    bounds: RequestBounds,
  ): Promise<string> {
    const note = await this.#askCheckpoint(state, { ...bounds, isFresh });
    const { size } = parseCheckpoint(parseNote(note).text);
    const isBehind = state !== null && size < state.checkpoint.size && !isFresh;
    return isBehind ? this.#askCheckpoint(state, { ...bounds, isFresh: true }) : note;
  }

  /** A log without a checkpoint where there was one before has lost it. */
  async #askCheckpoint(
    state: TrustedState | null,
    question: RequestBounds & { readonly isFresh: boolean },
  ): Promise<string> {
    try {
      return await this.#options.answers.checkpoint(question);
    } catch (cause) {
      const isNone =
        cause instanceof RegistryError && ['not_found', 'not_initialised'].includes(cause.code);
      if (!isNone) throw cause;
      throw state === null
        ? new RegistryError(
            'not_initialised',
            'expected a checkpoint, got none: nothing was committed yet',
            { cause },
          )
        : new RegistryError(
            'rollback',
            `expected a checkpoint of ${state.checkpoint.size} leaves or more, got none`,
            { cause },
          );
    }
  }

  /**
   * Before genesis is known, and after log keys were rotated, the entries tell who may sign: they are
   * walked in memory until one of them lists a key that signed the claim.
   */
  async #findSigner(
    claim: Claim,
    trusted: TrustedState | null,
    bounds: RequestBounds,
  ): Promise<{ readonly governance: Governance; readonly held: readonly ServedEntry[] }> {
    const first = trusted?.chain.tree.size ?? 0;
    let state: WalkedState | null = trusted;
    for (let from = first; from < claim.size; from = state?.chain.tree.size ?? 0) {
      const { page, ...reached } = await this.reach(
        { ...claim, held: [], after: null },
        state,
        bounds,
      );
      state = reached.state;
      if (reached.gap !== null && state !== null && (await this.#isNamed(claim, state)))
        return { governance: state.chain.governance, held: [] };
      for (const entry of page) {
        state = await this.#options.next.after(state, entry, bounds);
        const isNaming = entry.leaf.type === 'genesis' || entry.leaf.type === 'governance';
        if (isNaming && (await this.#isNamed(claim, state)))
          // Most often there is one page, and it is asked for once.
          return { governance: state.chain.governance, held: from === first ? page : [] };
      }
    }
    throw unsigned(claim);
  }

  #isNamed(claim: Claim, { chain }: WalkedState): Promise<boolean> {
    assertOrigin(claim, chain.origin);
    return isSignedUnder(claim, chain.governance, this.#options.rules.verifier);
  }

  /** The trusted checkpoint is of the trusted tree, or continues it: who continues the one continues both. */
  async #assertContinues(
    state: TrustedState,
    { claim, logKeys }: { readonly claim: Claim; readonly logKeys: readonly string[] },
    bounds: RequestBounds,
  ): Promise<void> {
    assertNoRollback(state, claim);
    if (await this.#leadsTo(state.checkpoint, claim, bounds)) return;
    const { answers, onFork, rules } = this.#options;
    const { verifier } = rules;
    throw await contradictionOf(
      state,
      { newer: claim, logKeys },
      { answers, verifier, bounds, ...(onFork !== undefined && { onFork }) },
    );
  }

  async #leadsTo(
    tree: Pick<TrustedCheckpoint, 'size' | 'root'>,
    { size, root }: Claim,
    bounds: RequestBounds,
  ): Promise<boolean> {
    if (tree.size === size) return isEqualBytes(tree.root, root);
    const sizes = { from: tree.size, size };
    const proof = await this.#options.answers.consistencyProof(sizes, bounds);
    return isConsistent({ ...sizes, proof, fromRoot: tree.root, root });
  }
}

/** Nothing of it is to be judged again. */
function trustedClaim({ note, freshAt }: TrustedCheckpoint): ProvenClaim {
  return { ...readSignedCheckpoint(note), freshAt, isSigned: true, held: [], after: note };
}

function assertOrigin(claim: Claim, origin: string): void {
  if (claim.origin === origin) return;
  throw new RegistryError(
    'wrong_registry',
    `expected a checkpoint of ${origin}, got one of another log`,
    { details: { origin: claim.origin } },
  );
}
