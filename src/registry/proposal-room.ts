/** How many proposals may be in flight, and which expired ones make room for a new one. */
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { RegistryLimits } from './options.ts';
import type { Pending } from './proposal-view.ts';

/** Expired proposals stay visible this long, unless their room is needed. */
const EXPIRED_KEPT_MS = 24 * 3_600_000;

/** Proposals by id, with what is asked of all of them at every new one. */
export class ProposalShelf {
  readonly #proposals = new Map<Hash, Pending>();
  #bytes = 0;
  /** Not after the first of them expires. */
  #expiresFrom = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#proposals.size;
  }

  /** Of all payloads. */
  get bytes(): number {
    return this.#bytes;
  }

  get(id: Hash): Pending | undefined {
    return this.#proposals.get(id);
  }

  /** In the order in which they came. */
  values(): readonly Pending[] {
    return [...this.#proposals.values()];
  }

  set(id: Hash, pending: Pending): void {
    this.delete(id);
    this.#proposals.set(id, pending);
    this.#bytes += pending.proposal.bytes.length;
    this.#expiresFrom = Math.min(this.#expiresFrom, expiryOf(pending));
  }

  delete(id: Hash): void {
    this.#bytes -= this.#proposals.get(id)?.proposal.bytes.length ?? 0;
    this.#proposals.delete(id);
  }

  /** Whether one of them expired before `ms`. Looks at all of them only when one may have. */
  hasExpiredBefore(ms: number): boolean {
    if (this.#expiresFrom >= ms) return false;
    this.#expiresFrom = Math.min(...this.values().map(expiryOf));
    return this.#expiresFrom < ms;
  }
}

/** The ids to drop before `proposal` is kept too. Throws `too_many_proposals` when that is not enough. */
export function expiredToDrop(
  shelves: readonly ProposalShelf[],
  { proposal, limits, now }: { proposal: Pending['proposal']; limits: RegistryLimits; now: number },
): readonly Hash[] {
  const { maxPendingProposals, maxPendingBytes } = limits;
  const isFull = (count: number, bytes: number): boolean =>
    count >= maxPendingProposals || bytes + proposal.bytes.length > maxPendingBytes;
  const isFullNow = isFull(sumOf(shelves, 'size'), sumOf(shelves, 'bytes'));
  const keptFrom = now - EXPIRED_KEPT_MS;
  if (!isFullNow && shelves.every((shelf) => !shelf.hasExpiredBefore(keptFrom))) return [];
  const others = new Map(shelves.flatMap((s) => s.values()).map((p) => [p.proposal.payloadB3, p]));
  others.delete(proposal.payloadB3);
  const bytesOf = (all: readonly Pending[]): number =>
    all.reduce((sum, { proposal: { bytes } }) => sum + bytes.length, 0);
  const all = [...others.values()];
  const from = isFull(all.length, bytesOf(all)) ? now : keptFrom;
  const kept = all.filter((pending) => expiryOf(pending) >= from);
  if (isFull(kept.length, bytesOf(kept)))
    throw new RegistryError(
      'too_many_proposals',
      `expected at most ${maxPendingProposals} proposals and ${maxPendingBytes} bytes in flight, got one more`,
    );
  return all.filter((pending) => expiryOf(pending) < from).map((p) => p.proposal.payloadB3);
}

/** Dropped together; what is dropped is overwritten, and others write in between. */
const STEP = { bytes: 1024 * 1024, count: 64 };

/** The same ids, in groups of about a mebibyte. */
export function* inSteps(
  ids: readonly Hash[],
  shelf: Pick<ProposalShelf, 'get'>,
): Generator<readonly Hash[]> {
  let step: Hash[] = [];
  let bytes = 0;
  for (const id of ids) {
    step.push(id);
    bytes += shelf.get(id)?.proposal.bytes.length ?? 0;
    if (bytes < STEP.bytes && step.length < STEP.count) continue;
    yield step;
    [step, bytes] = [[], 0];
  }
  if (step.length > 0) yield step;
}

function expiryOf({ proposal }: Pending): number {
  return Date.parse(proposal.payload.expires_at);
}

function sumOf(shelves: readonly ProposalShelf[], what: 'size' | 'bytes'): number {
  return shelves.reduce((sum, shelf) => sum + shelf[what], 0);
}
