/**
 * The way over entries that a registry has pruned, for a reader who accepts that: leaf by leaf from the
 * entry bundles, linked and added to the tree, and each governance entry whole, for those are never
 * pruned. Nothing is kept here; that the tree is the claim's is for the caller to hold it against.
 */
import { isEqualBytes } from '../core/bytes.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { decodeLeaf } from '../core/leaf.ts';
import { TILE_WIDTH } from '../core/tlog/tiles.ts';
import { followLeaf } from '../core/without-payload.ts';
import type { Answers } from './answers.ts';
import type { Claim } from './claim.ts';
import type { PrunedGap } from './client.ts';
import type { NextState } from './next-state.ts';
import type { ServedEntry } from './served-entry.ts';
import type { RequestBounds } from './transport.ts';
import { committedBy, type WalkedState } from './trusted-state.ts';

export interface Crossing {
  readonly state: WalkedState;
  readonly gap: PrunedGap;
}

export class PrunedGaps {
  readonly #answers: Answers;
  readonly #next: NextState;
  readonly #isAccepted: boolean;
  /** Where the last one led: who signed a claim is looked for over the same gap before it is crossed. */
  #last:
    | {
        readonly from: WalkedState | null;
        readonly note: string;
        readonly crossing: Crossing;
      }
    | undefined;

  constructor(answers: Answers, next: NextState, isAccepted: boolean) {
    this.#answers = answers;
    this.#next = next;
    this.#isAccepted = isAccepted;
  }

  /**
   * From `state` (`null`: before genesis) to the oldest version that `refusal` says is there, which the
   * claim must cover. Rethrows it unless gaps are accepted, or it is no word of a pruned version. Throws what the
   * rules of the log say of leaves and of governance entries.
   */
  async cross(
    state: WalkedState | null,
    { refusal, claim }: { readonly refusal: unknown; readonly claim: Claim },
    bounds: RequestBounds,
  ): Promise<Crossing> {
    const { size, note } = claim;
    const from = (state?.chain.version ?? -1) + 1;
    const oldest = oldestOf(refusal, { from, size });
    if (oldest === undefined) throw refusal;
    if (!this.#isAccepted) throw notAccepted(refusal, { from, oldest });
    const last = this.#last;
    if (last?.from === state && last.note === note && last.crossing.gap.to === oldest - 1)
      return last.crossing;
    const crossing = await this.#cross(state, { from, oldest, size }, bounds);
    this.#last = { from: state, note, crossing };
    return crossing;
  }

  async #cross(
    start: WalkedState | null,
    { from, oldest, size }: { from: number; oldest: number; size: number },
    bounds: RequestBounds,
  ): Promise<Crossing> {
    let state = start;
    for (let version = from; version < oldest; ) {
      const index = Math.floor(version / TILE_WIDTH);
      const first = index * TILE_WIDTH;
      const leaves = await this.#answers.leaves(
        { index, width: Math.min(TILE_WIDTH, size - first) },
        bounds,
      );
      for (const leaf of leaves.slice(version - first, oldest - first)) {
        state = await this.#after(state, leaf, bounds);
        version++;
      }
    }
    if (state === null) throw new RegistryError('internal', 'expected pruned entries, got none');
    const gap = { from, to: oldest - 1 };
    return { gap, state: { ...state, accepted: [...state.accepted, gap] } };
  }

  async #after(
    state: WalkedState | null,
    bytes: Uint8Array,
    bounds: RequestBounds,
  ): Promise<WalkedState> {
    const version = (state?.chain.version ?? -1) + 1;
    const { type } = decodeLeaf(bytes);
    if (state === null || type === 'governance')
      return this.#next.after(state, await this.#whole(version, bytes, bounds), bounds);
    const { chain, leaf } = followLeaf(state.chain, bytes, (hash) => state.recent.has(hash));
    return { ...state, chain, leaf: bytes, recent: state.recent.with(committedBy(leaf)) };
  }

  async #whole(version: number, leaf: Uint8Array, bounds: RequestBounds): Promise<ServedEntry> {
    const entry = await this.#answers.entry(version, bounds);
    if (isEqualBytes(entry.bytes.leaf, leaf)) return entry;
    throw new RegistryError(
      'invalid_entry',
      `entry ${version}: expected the leaf of its entry bundle, got an entry with another`,
      { details: { version } },
    );
  }
}

/** `undefined`: no word of pruned versions. Throws `unexpected_answer` for one that cannot be true. */
export function oldestOf(
  refusal: unknown,
  { from, size }: { readonly from: number; readonly size: number },
): number | undefined {
  if (!(refusal instanceof RegistryError) || refusal.code !== 'pruned') return undefined;
  const { oldest } = refusal.details;
  if (Number.isSafeInteger(oldest) && Number(oldest) > from && Number(oldest) < size)
    return Number(oldest);
  throw new RegistryError(
    'unexpected_answer',
    `expected the oldest version after ${from} of ${size} entries, got ${String(oldest)}`,
    { cause: refusal, details: { version: from } },
  );
}

/** What a reader is told who does not accept it. */
export function notAccepted(
  cause: unknown,
  { from, oldest }: { readonly from: number; readonly oldest: number },
): RegistryError {
  const archive = cause instanceof RegistryError ? cause.details.archive : null;
  const where = typeof archive === 'string' ? ` (the registry says: ${excerpt(archive)})` : '';
  return new RegistryError(
    'pruned',
    `expected entries from version ${from} on, got word that those before ${oldest} were pruned: take the ${oldest - from} from a snapshot or a mirror${where}, or accept them by their leaves alone`,
    { cause, details: { version: from, oldest, entries: oldest - from, archive: archive ?? null } },
  );
}
