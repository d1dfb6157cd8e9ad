/**
 * The state after the next entry, for a client that may know the set by its root alone: where the
 * entry touches what is hidden, proofs are asked for, or the whole set. Nothing is kept here.
 */
import { RegistryError } from '../core/error.ts';
import type { EntryBytes } from '../core/leaf.ts';
import { changesOf, decodePayload } from '../core/payload.ts';
import type { SetTree } from '../core/set-tree.ts';
import type { Answers } from './answers.ts';
import { unknownKeys, withProof } from './known-set.ts';
import type { ServedEntry } from './served-entry.ts';
import { askSetBefore, orGone } from './set-before.ts';
import type { RequestBounds } from './transport.ts';
import {
  type AdvanceOptions,
  advance,
  advanceErased,
  type WalkedState,
  withSet,
} from './trusted-state.ts';

/** More proofs than this for one entry, and the whole set is asked for instead. */
const MAX_PROOFS = 32;
/** A proof costs about as much as this many descriptors of the whole set. */
const PROOF_WEIGHT = 8;

export class NextState {
  readonly #answers: Answers;
  readonly #options: AdvanceOptions;
  #proofs = 0;

  constructor(answers: Answers, options: AdvanceOptions) {
    this.#answers = answers;
    this.#options = options;
  }

  /**
   * `state`: `null` before genesis. Throws what `advance` throws. That an erased entry was erased is for
   * the caller to find out.
   */
  async after(
    state: WalkedState | null,
    { leaf, bytes }: ServedEntry,
    bounds: RequestBounds,
  ): Promise<WalkedState> {
    if (bytes.payload === null) return advanceErased(state, bytes, this.#options);
    const first = await this.#try(state, bytes);
    if (first !== undefined) return first;
    if (state === null)
      throw new RegistryError('internal', 'expected the empty set to be known, got only its hash');
    const proven = await this.#reveal(state, bytes, bounds);
    // A removal may need what no proof of the removed descriptor shows.
    const second =
      proven === undefined ? undefined : await this.#try(withSet(state, proven), bytes);
    if (second !== undefined) return second;
    const after = { root: leaf.set_root, size: leaf.set_size };
    const { payload } = decodePayload(bytes.payload);
    const set = await askSetBefore(this.#answers, { chain: state.chain, payload, after }, bounds);
    return advance(withSet(state, set), bytes, this.#options);
  }

  /** `undefined`: everything holds so far, but the set is not known where the entry touches it. */
  async #try(state: WalkedState | null, bytes: EntryBytes): Promise<WalkedState | undefined> {
    try {
      return await advance(state, bytes, this.#options);
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'invalid_proof') return undefined;
      throw error;
    }
  }

  /** `undefined`: proofs cost more than the whole set, are not to be had, or show nothing new. */
  async #reveal(
    { chain }: WalkedState,
    { payload }: EntryBytes,
    bounds: RequestBounds,
  ): Promise<SetTree | undefined> {
    const keys = unknownKeys(chain.set, changesOf(decodePayload(payload).payload));
    const weight = (this.#proofs + keys.length) * PROOF_WEIGHT;
    const isDear = weight > Math.max(chain.set.size, MAX_PROOFS * PROOF_WEIGHT);
    if (keys.length === 0 || keys.length > MAX_PROOFS || isDear) return undefined;
    this.#proofs += keys.length;
    const { version } = chain;
    const served = await orGone(
      Promise.all(
        keys.map(async (key) => ({
          key,
          answer: await this.#answers.descriptor({ version, ...key }, bounds),
        })),
      ),
    );
    if (typeof served === 'string') return undefined;
    return served.reduce((set, { key, answer }) => withProof(set, key, answer), chain.set);
  }
}
