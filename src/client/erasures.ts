/**
 * Which erased entries may be believed: those that a verified entry of the same tree erases, by their
 * entry hash. Where it stands further on than what is being verified, it is walked to in memory first.
 */
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { entryHash } from '../core/leaf.ts';
import { decodePayload } from '../core/payload.ts';
import type { Claims, ProvenClaim } from './claims.ts';
import type { NextState } from './next-state.ts';
import type { ServedEntry } from './served-entry.ts';
import type { RequestBounds } from './transport.ts';
import type { WalkedState } from './trusted-state.ts';

interface Erasure {
  readonly entryHash: Hash;
  readonly erasedBy: number;
}

/** Entries that passed every rule, and the state after the last of them. */
interface Walked {
  readonly page: readonly ServedEntry[];
  readonly state: WalkedState;
}

export interface ErasuresParts {
  readonly claims: Pick<Claims, 'page' | 'assertLeadsTo'>;
  readonly next: Pick<NextState, 'after'>;
  /** The entry hash of a version that was verified, where it is remembered. */
  readonly hashAt: (version: number) => Hash | undefined;
}

export class Erasures {
  readonly #claims: Pick<Claims, 'page' | 'assertLeadsTo'>;
  readonly #next: Pick<NextState, 'after'>;
  readonly #hashAt: ErasuresParts['hashAt'];
  /** By the version that they erase. Each stands in a tree that a claim vouched for. */
  readonly #found = new Map<number, Erasure>();

  constructor({ claims, next, hashAt }: ErasuresParts) {
    this.#claims = claims;
    this.#next = next;
    this.#hashAt = hashAt;
  }

  /** The version of the entry that erased this one; `null` for one that was not. */
  erasedBy({ version, bytes }: ServedEntry): number | null {
    if (bytes.payload !== null) return null;
    const found = this.#found.get(version);
    return found?.entryHash === entryHash(bytes.leaf) ? found.erasedBy : null;
  }

  /**
   * `walked`: entries whose tree the claim vouches for. Throws `invalid_entry` unless each of them that
   * was erased is named by an entry that the claim vouches for too, `fence_broken` for one that names
   * what does not stand there, or was erased before, or what its verification throws.
   */
  async vouch(claim: ProvenClaim, walked: Walked, bounds: RequestBounds): Promise<void> {
    this.#note(walked.page);
    const waiting = walked.page.filter((entry) => this.#isUnnamed(entry));
    let { state } = walked;
    while (waiting.some((entry) => this.#isUnnamed(entry))) {
      const from = state.chain.tree.size;
      if (from >= claim.size) throw unnamed(waiting.find((entry) => this.#isUnnamed(entry)));
      const page = await this.#claims.page(claim, from, bounds);
      for (const entry of page) state = await this.#next.after(state, entry, bounds);
      await this.#claims.assertLeadsTo(state.chain, claim, bounds);
      this.#note(page);
    }
  }

  #isUnnamed(entry: ServedEntry): boolean {
    return entry.bytes.payload === null && this.erasedBy(entry) === null;
  }

  #note(page: readonly ServedEntry[]): void {
    for (const { version, leaf, bytes } of page) {
      if (leaf.type !== 'erase' || bytes.payload === null) continue;
      const { payload } = decodePayload(bytes.payload);
      if (payload.type !== 'erase') continue;
      const inPage = page.find((entry) => entry.version === payload.version);
      const known = inPage ? entryHash(inPage.bytes.leaf) : this.#hashAt(payload.version);
      const { erasedBy = version } = this.#found.get(payload.version) ?? {};
      if ((known ?? payload.erases) !== payload.erases || erasedBy !== version)
        throw wrongErasure(version, payload.version);
      this.#found.set(payload.version, { entryHash: payload.erases, erasedBy: version });
    }
  }
}

function wrongErasure(version: number, erased: number): RegistryError {
  return new RegistryError(
    'fence_broken',
    `entry ${version}: expected it to erase the entry of version ${erased}, once, got another or the same again`,
    { details: { version } },
  );
}

function unnamed(entry: ServedEntry | undefined): RegistryError {
  return new RegistryError(
    'invalid_entry',
    `entry ${entry?.version}: expected its payload, or an entry that erases it, got neither`,
    { details: { version: entry?.version } },
  );
}
