/**
 * The registry as a service with no HTTP in it: what `http` calls and `server` opens. This file is the
 * contract; `open.ts` puts the parts together.
 */
import type { Approval } from '../core/approval.ts';
import type { BrokenFence } from '../core/chain.ts';
import type { Governance } from '../core/governance.ts';
import type { Hash } from '../core/hash.ts';
import type { EntryBytes, Leaf } from '../core/leaf.ts';
import type { DecodedPayload, PayloadType } from '../core/payload.ts';
import type { Quorum } from '../core/quorum.ts';
import type { SetProof } from '../core/set-proof.ts';
import type { SetLeaf } from '../core/set-rows.ts';
import type { Checkpoint } from '../core/tlog/checkpoint.ts';
import type { TileName } from '../core/tlog/tiles.ts';
import type { PruneOptions } from './pruning.ts';
import type { KeptRange } from './retained.ts';

/** The head as readers get it. */
export interface HeadObject {
  readonly origin: string;
  readonly registry: Hash;
  readonly version: number;
  readonly entry_hash: Hash;
  readonly payload_b3: Hash;
  readonly set_root: Hash;
  readonly set_size: number;
  readonly governance_version: number;
  readonly type: PayloadType;
  readonly committed_at: string;
}

/** Made once when an entry becomes visible, frozen, and shared by every read of head. */
export interface PublishedHead {
  readonly version: number;
  readonly object: HeadObject;
  /** Canonical JSON of `object`. */
  readonly bytes: Uint8Array;
  /** Strong, quoted: the entry hash. */
  readonly etag: string;
  /** The whole SSE frame of `registry.update`. */
  readonly frame: Uint8Array;
}

/** The newest signed checkpoint; replaced as a whole when the log grows or a cosigner has signed. Frozen. */
export interface PublishedCheckpoint extends Checkpoint {
  /** The note with all signatures, ours first. */
  readonly note: string;
  readonly bytes: Uint8Array;
  /** Strong, quoted. */
  readonly etag: string;
}

export type ProposalState = 'pending' | 'ready' | 'blocked' | 'expired' | 'committed';

export interface ProposalView {
  /** Its payload hash. */
  readonly id: Hash;
  readonly type: PayloadType;
  readonly state: ProposalState;
  readonly note: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly payloadBytes: number;
  readonly changes: number;
  readonly approvals: readonly Approval[];
  readonly quorum: Quorum;
  /** Why `blocked`: descriptor fences that no longer hold, of which a list has the first ten, or the fence on head or governance. */
  readonly fences: readonly BrokenFence[];
  readonly blockedBy: string | null;
  /** Once committed. */
  readonly version: number | null;
}

export interface Proposals {
  /**
   * `bytes`: the payload's canonical bytes. Durable when it resolves; the same bytes are the same
   * proposal, also once committed. Throws what `decodePayload` throws, `wrong_registry`, `expired`,
   * `invalid_governance`, `invalid_request` (type not in `types`), `too_many_proposals`.
   */
  propose(
    bytes: Uint8Array,
    options?: {
      readonly types?: readonly PayloadType[];
      /** Asked once the payload is decoded, before anything else is said of it; throws to refuse it. */
      readonly admit?: (proposal: DecodedPayload) => Promise<void>;
    },
  ): Promise<{ readonly isNew: boolean; readonly proposal: ProposalView }>;
  /**
   * Verified, then durable. The first approval of a signer stays. While a commit is on its way, answered after it: who is
   * not in the entry gets `conflict`. Throws `unknown_proposal`, `unknown_signer`, `invalid_signature`,
   * `invalid_approval`, `expired`, `conflict`.
   */
  approve(id: Hash, approval: Approval): Promise<ProposalView>;
  /**
   * `corrId` goes into the entry's event, not into the log. Resolves when the entry is durable and visible; `isNew: false` when it was committed before.
   * Throws `unknown_proposal`, `quorum_not_reached`, `fence_broken`, `expired`, `conflict`
   * (certainly not done) or `outcome_unknown` (repeat the request).
   */
  commit(
    id: Hash,
    options?: { readonly corrId?: string },
  ): Promise<{ readonly isNew: boolean; readonly head: PublishedHead }>;
  get(id: Hash): Promise<ProposalView | undefined>;
  /** In flight first, then recently committed; newest first. */
  list(): Promise<readonly ProposalView[]>;
  /** The exact bytes to hash and sign. */
  payload(id: Hash): Promise<DecodedPayload | undefined>;
}

export interface DescriptorQuery {
  readonly version: number;
  readonly kind: string;
  readonly id: string;
  readonly isProofWanted: boolean;
}

export interface DescriptorAnswer {
  readonly version: number;
  /** Of that version. */
  readonly leaf: Leaf;
  readonly setRoot: Hash;
  /** Canonical descriptor bytes; `null` when absent at that version. */
  readonly bytes: Uint8Array | null;
  readonly valueHash: Hash | null;
  /** The version that put it. */
  readonly setVersion: number | null;
  /** When asked for. */
  readonly proof: SetProof | null;
}

export interface SetHashes {
  readonly version: number;
  readonly setRoot: Hash;
  /** Sorted by path. */
  readonly leaves: Iterable<SetLeaf>;
}

export interface SetAnswer {
  readonly version: number;
  readonly setRoot: Hash;
  readonly size: number;
  /** Canonical descriptor bytes, sorted by kind, then id. */
  readonly pages: AsyncIterable<readonly Uint8Array[]>;
}

export interface Difference {
  readonly kind: string;
  readonly id: string;
  /** Canonical descriptor bytes, `null` where absent. */
  readonly before: Uint8Array | null;
  readonly after: Uint8Array | null;
}

export interface HistoryQuery {
  readonly kind: string;
  readonly id: string;
  readonly limit: number;
  /** Of values that lower versions put; without it: all. */
  readonly before?: number | undefined;
}

export interface HistoryItem {
  /** The version that put this value, and the one that ended it (`null`: current). */
  readonly setVersion: number;
  readonly endVersion: number | null;
  /** `null`: erased. */
  readonly bytes: Uint8Array | null;
  readonly valueHash: Hash;
}

/** Who waits for a read that may take long: where they are, and whether they still wait. Asked for only then. */
export interface Asker {
  readonly address?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EntryRange {
  readonly from: number;
  readonly limit: number;
}

export interface NamedLeaf {
  readonly leaf: Leaf;
  readonly entryHash: Hash;
}

/**
 * Reads at a version. Everything is re-hashed on its way out: damage is `storage_damaged`, never an
 * answer. Sets, descriptors and differences are held against the set roots of their versions; the rows
 * of a history against their own hashes, so who relies on those verifies them against the entries.
 * `undefined`: no such version is visible. Throws `pruned` or `erased` where what is asked for was let go of, and
 * `overloaded` where too many wait for sets of old versions.
 */
export interface Reader {
  entry(version: number): Promise<(EntryBytes & { readonly entryHash: Hash }) | undefined>;
  /** Leaves are never let go of. */
  leaf(version: number): Promise<Leaf | undefined>;
  /** The same of a version whose set is kept; throws `pruned` for others. */
  keptLeaf(version: number): Promise<Leaf | undefined>;
  /** Ascending; empty past the head. At most `limit`, possibly fewer. The payload of an erased one is empty. */
  entries(range: EntryRange): Promise<readonly EntryBytes[]>;
  /** Ascending; empty past the head. At most `limit`. Reads no payload, whatever its size. */
  leaves(range: EntryRange): Promise<readonly NamedLeaf[]>;
  governance(
    version: number,
  ): Promise<{ readonly version: number; readonly governance: Governance } | undefined>;
  /** Whether no value of the set was erased: another set is refused whole. */
  isWholeSet(version: number): boolean;
  set(version: number, asker?: Asker): Promise<SetAnswer | undefined>;
  /** The same set by its hashes, which stay when values are erased. */
  setHashes(version: number, asker?: Asker): Promise<SetHashes | undefined>;
  descriptor(query: DescriptorQuery, asker?: Asker): Promise<DescriptorAnswer | undefined>;
  diff(
    range: { readonly from: number; readonly to: number },
    asker?: Asker,
  ): Promise<readonly Difference[] | undefined>;
  /** Newest first: at most `limit`, possibly fewer. None: there is no other. */
  history(query: HistoryQuery): Promise<readonly HistoryItem[]>;
  /** A tile or an entry bundle, led up to the published checkpoint's root; `undefined` beyond its size. */
  tile(name: TileName): Promise<Uint8Array | undefined>;
  /** 32 bytes each; `undefined` unless `version < size <= ` the published checkpoint's size. */
  inclusionProof(place: {
    readonly version: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[] | undefined>;
  /** `undefined` unless `from <= size <= ` the published checkpoint's size. */
  consistencyProof(sizes: {
    readonly from: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[] | undefined>;
}

/** A frame is ready to be written as it is. */
export type FeedEvent =
  | { readonly type: 'update'; readonly version: number; readonly frame: Uint8Array }
  | { readonly type: 'reset'; readonly frame: Uint8Array }
  | { readonly type: 'progress'; readonly frame: Uint8Array }
  /** `frame` may be empty; the stream ends after it. */
  | {
      readonly type: 'end';
      readonly reason: 'slow' | 'age' | 'closing';
      readonly frame: Uint8Array;
    };

/** A cursor, not a queue: it holds a version and reads the next event when it is asked for it. */
export interface Subscription {
  /**
   * The next event: at once where it is at hand, a promise of it where it must be read first. `undefined`:
   * there is none yet, and `onEvent` is called, once, when there is. After `end` or `close` it answers `end`.
   */
  poll(onEvent: () => void): FeedEvent | Promise<FeedEvent> | undefined;
  /** The same, waited for. At most one call at a time. */
  next(): Promise<FeedEvent>;
  close(): void;
}

export interface Feed {
  /**
   * `after`: replay exactly after+1..head, then live; a cursor that is not in the log begins with
   * `reset`. Without it the current head comes first. `latest` skips to the newest head (counted).
   */
  subscribe(options: {
    readonly after?: number;
    readonly mode: 'all' | 'latest';
    readonly consumer: string;
  }): Subscription;
  readonly subscribers: number;
}

/** One condition of being ready, by a name of one word. */
export interface ReadinessCheck {
  readonly name: string;
  readonly isOk: boolean;
  /** When it is not: what is missing, in words an operator can act on. */
  readonly missing: string | null;
}

export interface Readiness {
  /** Reads are served. */
  readonly ready: boolean;
  readonly writeReady: boolean;
  /** Every condition, those that hold too; the first two are of reads, all are of writes. */
  readonly checks: readonly ReadinessCheck[];
  /** What is missing, in words an operator can act on. */
  readonly missing: readonly string[];
  /** `null` before genesis. */
  readonly version: number | null;
}

export interface Registry extends AsyncDisposable {
  /** `undefined` before genesis. Synchronous: a value in memory. */
  head(): PublishedHead | undefined;
  /** Never ahead of the head; `undefined` until one is signed. */
  checkpoint(): PublishedCheckpoint | undefined;
  /** The first head newer than `after`, or the current one when `waitMs` have passed or `signal` aborts. */
  waitForHead(options: {
    readonly after: number;
    readonly waitMs: number;
    readonly signal?: AbortSignal;
  }): Promise<PublishedHead | undefined>;
  readonly proposals: Proposals;
  readonly reader: Reader;
  readonly feed: Feed;
  readiness(): Readiness;
  /** Throws why nothing is to be written now, as a proposal would be refused. */
  assertWritable(): void;
  /** What of the log was let go of; another object when that is more. */
  retention(): KeptRange;
  /**
   * Lets go of payloads, approvals and old values below `oldest`, which never goes back: reads of them are refused
   * first. Throws `invalid_request` for more than a signed checkpoint covers, and what `Store.append` rejects with.
   * Calls must not overlap: the first would drop what the second has not refused yet.
   */
  prune(oldest: number, options?: PruneOptions): Promise<void>;
  /** Resolves when no commit is waiting: what was accepted before is visible then. */
  idle(): Promise<void>;
  /** From now on not ready, while everything is still served: so that balancers notice. */
  announceEnd(): void;
  /** Ends every subscription with `closing` and refuses new writes with `draining`. */
  drain(): void;
}
