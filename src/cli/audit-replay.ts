/**
 * A log replayed from genesis: every rule along the chain on this thread, every signature on others,
 * some pages behind. Nothing counts as verified before `settled` says so.
 */
import { assertAdmitted, unsigned } from '../core/approved.ts';
import { type DecodedEntry, replayEntry } from '../core/chain.ts';
import { assertErasable } from '../core/erasure.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { decodeLeaf, entryHash } from '../core/leaf.ts';
import { changesOf, type ErasePayload } from '../core/payload.ts';
import type { Chain } from '../core/rules.ts';
import type { SetTree } from '../core/set-tree.ts';
import type { SignedMessage, Verifier } from '../core/verifier.ts';
import { followErased, followLeaf, latestExpiry } from '../core/without-payload.ts';
import {
  type AuditedBytes,
  type AuditedEntry,
  checksOf,
  decodeAudited,
  type Replayed,
} from './audit-entry.ts';
import { AuditedErasures, type ErasureState } from './audit-erasures.ts';

/** Asked about many signatures at once: the place of the first that does not verify, -1 for none. */
export type VerifySignatures = (batch: readonly SignedMessage[]) => Promise<number>;

export interface ReplayOptions {
  readonly verifySignatures: VerifySignatures;
  /** Admits the keys that a governance names. */
  readonly verifier: Pick<Verifier, 'admit'>;
  /** The pin; `undefined`: whichever registry comes first. */
  readonly registry: Hash | undefined;
}

/** What a log is asked for besides its entries, when some of them are gone. */
export interface ReplaySource {
  /** The set that `next` was committed on, whole: `chain` knows it by its root. Throws `invalid_proof`. */
  setBefore(chain: Chain, next: DecodedEntry): Promise<SetTree>;
  /** Of a version before, proven to be in the log. */
  leafAt(version: number): Promise<Uint8Array>;
}

/** Where a replay stands, enough to go on from. */
export interface ReplayState {
  readonly chain: Chain;
  /** Canonical leaf bytes of `chain.version`. */
  readonly leaf: Uint8Array;
  readonly committed: CommittedPayloads;
  readonly erasures: ErasureState;
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
  readonly #source: ReplaySource;
  readonly #committed: CommittedPayloads;
  readonly #erasures: AuditedErasures;
  #isSetKnown: boolean;
  #open: Batch[] = [];
  #chain: Chain | null;
  #leaf: Uint8Array | undefined;

  /** `from`: its set is known by root alone, and asked for when an entry needs it. */
  constructor(options: ReplayOptions, source: ReplaySource, from?: ReplayState) {
    this.#options = options;
    this.#source = source;
    this.#isSetKnown = from === undefined;
    this.#erasures = new AuditedErasures(from?.erasures);
    this.#chain = from?.chain ?? null;
    this.#leaf = from?.leaf;
    this.#committed = from?.committed ?? new CommittedPayloads();
  }

  /** `false`: the next entry that changes something asks for it. */
  get isSetKnown(): boolean {
    return this.#isSetKnown;
  }

  get chain(): Chain | null {
    return this.#chain;
  }

  /** `undefined` before genesis. To be kept only when `settled` resolved and nothing was added since. */
  get state(): ReplayState | undefined {
    if (this.#chain === null || this.#leaf === undefined) return undefined;
    return {
      chain: this.#chain,
      leaf: this.#leaf,
      committed: this.#committed,
      erasures: this.#erasures.state,
    };
  }

  /**
   * The next entries, by every rule but their signatures, which are on their way when it resolves.
   * Throws what `verifyEntry` throws, with the version, of the first entry that does not hold.
   */
  async add(entries: readonly AuditedBytes[]): Promise<readonly Replayed[]> {
    const replayed: Replayed[] = [];
    const owners: Batch['owners'][number][] = [];
    const signed: SignedMessage[] = [];
    let failure: unknown;
    for (const entry of entries) {
      try {
        const read = decodeAudited(entry);
        for (const check of checksOf(this.#chain, read)) {
          owners.push({ version: read.leaf.version, signerId: check.signerId });
          signed.push(check.signed);
        }
        replayed.push(await this.#next(read));
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

  /** An entry that was added whole has lost its payload since, which an entry to come must have erased. */
  expectErased(version: number, entryHash: Hash): void {
    if (!this.#erasures.isErased(version)) this.#erasures.expect(version, entryHash);
  }

  /** Every signature of what was added holds. Throws `invalid_signature`, with the version, of the first that does not. */
  async settled(): Promise<void> {
    while (this.#open.length > 0) await this.#settleOldest();
  }

  /** After the last entry: everything that was added holds. Throws also `invalid_entry`, for a payload that is missing. */
  async end(): Promise<ErasureState> {
    await this.settled();
    this.#erasures.assertSettled();
    return this.#erasures.state;
  }

  get #version(): number {
    return this.#chain?.version ?? -1;
  }

  async #next(read: AuditedEntry): Promise<Replayed> {
    const replayed = read.kind === 'whole' ? await this.#replay(read) : this.#follow(read);
    this.#chain = replayed.chain;
    this.#leaf = read.bytes.leaf;
    return replayed;
  }

  async #replay(read: DecodedEntry): Promise<Replayed> {
    const { registry, verifier } = this.#options;
    const { payload, payloadB3 } = read.proposal;
    const before = await this.#withSet(read);
    const appended = replayEntry(before, read, (hash) => this.#committed.has(hash));
    assertAdmitted(before, read.proposal, verifier);
    if (registry !== undefined && appended.chain.registry !== registry)
      throw new RegistryError(
        'wrong_registry',
        `expected registry ${registry}, got ${appended.chain.registry}`,
      );
    if (payload.type === 'erase') await this.#erase(before, payload, read.leaf.version);
    this.#committed.add(payloadB3, payload.expires_at, appended.chain.committedAt);
    return { ...appended, kind: 'whole', approvals: read.approvals.length };
  }

  /** An entry without its payload: the set after it is known by root alone. */
  #follow(read: Exclude<AuditedEntry, { kind: 'whole' }>): Replayed {
    const before = this.#chain;
    if (before === null)
      throw new RegistryError('invalid_entry', 'expected a genesis with its payload, got none');
    const isCommitted = (hash: Hash) => this.#committed.has(hash);
    const { kind, leaf, bytes } = read;
    const followed =
      kind === 'erased'
        ? followErased(before, read, isCommitted)
        : followLeaf(before, bytes.leaf, isCommitted);
    if (kind === 'erased') this.#erasures.expect(leaf.version, followed.chain.entryHash);
    this.#isSetKnown = false;
    this.#committed.add(leaf.payload_b3, latestExpiry(leaf), leaf.committed_at);
    const approvals = kind === 'erased' ? read.approvals.length : 0;
    return { ...followed, kind, changes: [], approvals };
  }

  async #withSet(next: DecodedEntry): Promise<Chain | null> {
    const chain = this.#chain;
    const isNeeded = changesOf(next.proposal.payload).length > 0;
    if (chain === null || this.#isSetKnown || !isNeeded) return chain;
    const set = await this.#source.setBefore(chain, next);
    this.#isSetKnown = true;
    return { ...chain, set };
  }

  async #erase(before: Chain | null, payload: ErasePayload, by: number): Promise<void> {
    const leaf = await this.#source.leafAt(payload.version);
    assertErasable(before, payload, {
      entryHash: entryHash(leaf),
      type: decodeLeaf(leaf).type,
      isErased: this.#erasures.isErased(payload.version),
      // Whether its values still stood is seen by who has its payload.
      current: [],
    });
    this.#erasures.note(payload.version, by);
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
