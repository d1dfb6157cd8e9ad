/**
 * A log replayed from genesis: every rule along the chain on this thread, every signature on others,
 * some pages behind. Nothing counts as verified before `settled` says so.
 */
import { approvalChecks, assertAdmitted, unsigned } from '../core/approved.ts';
import { type Appended, type DecodedEntry, decodeEntry, replayEntry } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { EntryBytes } from '../core/leaf.ts';
import type { Chain } from '../core/rules.ts';
import type { SignedMessage, Verifier } from '../core/verifier.ts';

/** Asked about many signatures at once: the place of the first that does not verify, -1 for none. */
export type VerifySignatures = (batch: readonly SignedMessage[]) => Promise<number>;

export interface ReplayOptions {
  readonly verifySignatures: VerifySignatures;
  /** Admits the keys that a governance names. */
  readonly verifier: Pick<Verifier, 'admit'>;
  /** The pin; `undefined`: whichever registry comes first. */
  readonly registry: Hash | undefined;
}

/** Where a replay stands, enough to go on from. */
export interface ReplayState {
  readonly chain: Chain;
  /** Canonical leaf bytes of `chain.version`. */
  readonly leaf: Uint8Array;
  readonly committed: CommittedPayloads;
}

/** One page's signatures while they are verified: whose they are, in the order they were sent. */
interface Batch {
  readonly owners: readonly { readonly version: number; readonly signerId: string }[];
  readonly failed: Promise<number>;
}

/** Pages whose signatures may be open: enough to keep other threads busy, little to hold in memory. */
const MAX_OPEN = 8;

export class Replay {
  readonly #options: ReplayOptions;
  readonly #committed: CommittedPayloads;
  #open: Batch[] = [];
  #chain: Chain | null;
  #leaf: Uint8Array | undefined;

  constructor(options: ReplayOptions, from?: ReplayState) {
    this.#options = options;
    this.#chain = from?.chain ?? null;
    this.#leaf = from?.leaf;
    this.#committed = from?.committed ?? new CommittedPayloads();
  }

  get chain(): Chain | null {
    return this.#chain;
  }

  /** `undefined` before genesis. To be kept only when `settled` resolved and nothing was added since. */
  get state(): ReplayState | undefined {
    if (this.#chain === null || this.#leaf === undefined) return undefined;
    return { chain: this.#chain, leaf: this.#leaf, committed: this.#committed };
  }

  /**
   * The next entries, by every rule but their signatures, which are on their way when it resolves.
   * Throws what `verifyEntry` throws, with the version, of the first entry that does not hold.
   */
  async add(entries: readonly EntryBytes[]): Promise<readonly Replayed[]> {
    const replayed: Replayed[] = [];
    const owners: Batch['owners'][number][] = [];
    const signed: SignedMessage[] = [];
    let failure: unknown;
    for (const entry of entries) {
      try {
        const read = decodeEntry(entry);
        for (const check of approvalChecks(this.#chain, read)) {
          owners.push({ version: read.leaf.version, signerId: check.signerId });
          signed.push(check.signed);
        }
        replayed.push({ ...this.#next(read), approvals: read.approvals.length });
      } catch (error) {
        failure = at(this.#version + 1, error);
        break;
      }
    }
    this.#send(owners, signed);
    if (failure !== undefined) {
      // An entry before it may have a signature that fails: the first is told.
      await this.settled();
      throw failure;
    }
    while (this.#open.length > MAX_OPEN) await this.#settleOldest();
    return replayed;
  }

  /** Every signature of what was added holds. Throws `invalid_signature`, with the version, of the first that does not. */
  async settled(): Promise<void> {
    while (this.#open.length > 0) await this.#settleOldest();
  }

  get #version(): number {
    return this.#chain?.version ?? -1;
  }

  #next(read: DecodedEntry): Appended {
    const { registry, verifier } = this.#options;
    const before = this.#chain;
    const appended = replayEntry(before, read, (hash) => this.#committed.has(hash));
    assertAdmitted(before, read.proposal, verifier);
    if (registry !== undefined && appended.chain.registry !== registry)
      throw new RegistryError(
        'wrong_registry',
        `expected registry ${registry}, got ${appended.chain.registry}`,
      );
    const { payload, payloadB3 } = read.proposal;
    this.#committed.add(payloadB3, payload.expires_at, appended.chain.committedAt);
    this.#chain = appended.chain;
    this.#leaf = read.bytes.leaf;
    return appended;
  }

  #send(owners: Batch['owners'], signed: readonly SignedMessage[]): void {
    if (signed.length === 0) return;
    const failed = this.#options.verifySignatures(signed);
    // Awaited in its turn; until then a rejection has an owner already.
    failed.catch(() => undefined);
    this.#open.push({ owners, failed });
  }

  async #settleOldest(): Promise<void> {
    const batch = this.#open.shift();
    const owner = batch?.owners[await batch.failed];
    if (owner === undefined) return;
    this.#open = [];
    throw at(owner.version, unsigned(owner.signerId));
  }
}

export interface Replayed extends Appended {
  /** How many the entry carries. */
  readonly approvals: number;
}

/** Payload hashes that could be committed again: what has expired is refused for that. */
export class CommittedPayloads {
  readonly #expiries: Map<Hash, string>;
  #pruneAt = 1024;

  constructor(entries: Iterable<readonly [Hash, string]> = []) {
    this.#expiries = new Map(entries);
  }

  has(payloadB3: Hash): boolean {
    return this.#expiries.has(payloadB3);
  }

  /** `committedAt`: the log's time from now on. */
  add(payloadB3: Hash, expiresAt: string, committedAt: string): void {
    this.#expiries.set(payloadB3, expiresAt);
    if (this.#expiries.size < this.#pruneAt) return;
    for (const [hash, expires] of this.#expiries)
      if (expires < committedAt) this.#expiries.delete(hash);
    this.#pruneAt = Math.max(1024, this.#expiries.size * 2);
  }

  /** Sorted by hash. */
  get entries(): readonly (readonly [Hash, string])[] {
    return [...this.#expiries].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** The rule's own code and reason, with the version it was broken at. */
export function at(version: number, cause: unknown): unknown {
  if (!(cause instanceof RegistryError)) return cause;
  return new RegistryError(cause.code, `entry ${version}: ${cause.message}`, {
    cause,
    details: { ...cause.details, version },
  });
}
