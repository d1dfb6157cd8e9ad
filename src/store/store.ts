/**
 * The contract of every backend: durability and compare-and-swap for the log, and the indexes that
 * make reads cheap. A store keeps bytes and never judges them; rules are `core`'s, order and
 * publication are `registry`'s. One suite (`testing/store`) holds for all backends.
 */
import type { Approval } from '../core/approval.ts';
import type { Hash } from '../core/hash.ts';
import type { EntryBytes } from '../core/leaf.ts';
import type { PayloadType } from '../core/payload.ts';
import type { NodePlace, TreeNode } from '../core/tlog/merkle.ts';

/** The version of an empty log's head. */
export const EMPTY_VERSION = -1;

/**
 * Bytes exactly as appended, and the hash kept beside them; the reader re-hashes. Of a pruned entry `payload`
 * and `approvals` are empty, of an erased one `payload`.
 */
export interface StoredEntry extends EntryBytes {
  readonly version: number;
  readonly entryHash: Hash;
}

export interface DescriptorKey {
  readonly kind: string;
  readonly id: string;
}

export interface StoredDescriptor extends DescriptorKey {
  /** Canonical descriptor bytes; empty where the entry that put them was erased. */
  readonly bytes: Uint8Array;
  /** 32 bytes. */
  readonly valueHash: Uint8Array;
  /** The version that put this value. */
  readonly setVersion: number;
}

export interface HistoryQuery extends DescriptorKey {
  readonly limit: number;
  readonly before?: number | undefined;
}

/** One value of a descriptor through time: current from `setVersion` up to, not including, `endVersion`. */
export interface DescriptorSpan extends StoredDescriptor {
  /** `null`: still current. */
  readonly endVersion: number | null;
}

/** A net change between two versions; `null` where the descriptor is absent. */
export interface StoredDifference extends DescriptorKey {
  readonly before: StoredDescriptor | null;
  readonly after: StoredDescriptor | null;
}

/** What one entry does to the descriptor index; `null`s remove. */
export interface DescriptorChange extends DescriptorKey {
  readonly bytes: Uint8Array | null;
  readonly valueHash: Uint8Array | null;
}

export interface AppendEntry extends StoredEntry {
  readonly payloadB3: Hash;
  readonly type: PayloadType;
  /** The payload's `expires_at`. */
  readonly expiresAt: string;
  readonly changes: readonly DescriptorChange[];
  /** The nodes of the log's tree that this entry's leaf completed. */
  readonly nodes: readonly TreeNode[];
  /**
   * The version that this entry erases: of type `descriptors` or `supersede`, and no value that it put is
   * current. Its payload and those values go with the append; when they have left the write-ahead log is the store's matter, soon.
   */
  readonly erases?: number;
}

/** An entry whose payload, and the values that it put, are gone. */
export interface Erasure {
  readonly version: number;
  /** The entry that says so. */
  readonly erasedBy: number;
  /** Sets from `version` up to, not including, this one have lost a value; `version` itself where none has. */
  readonly until: number;
}

/** What of the log was let go of: hashes, leaves and nodes never are. */
export interface Retention {
  /**
   * Of versions below it payloads and approvals are gone or going, and values that no version from here on
   * has; entries of type `genesis`, `governance` and `erase` stay whole.
   */
  readonly oldest: number;
  /** Versions below it have been let go of; `prune` goes on from there up to `oldest`. */
  readonly reached: number;
  /** By version. */
  readonly erasures: readonly Erasure[];
}

/** How far a pruning has come. */
export interface PruneProgress {
  /** Versions below it are done. */
  readonly reached: number;
  readonly oldest: number;
}

/** `head`: the version of the newest entry, `EMPTY_VERSION` when there is none. */
export type AppendOutcome =
  | { readonly outcome: 'appended'; readonly head: number }
  | { readonly outcome: 'conflict'; readonly head: number };

/** A proposal in flight, kept so that a restart loses no approval. */
export interface StoredProposal {
  readonly payloadB3: Hash;
  readonly payload: Uint8Array;
  readonly receivedAt: string;
  readonly expiresAt: string;
  /** In the order they arrived, one for each signer id. */
  readonly approvals: readonly Approval[];
}

/** Where a copy of the store goes, and who is told how far it is. */
export interface SnapshotTarget {
  /** A file that is not there yet, in a directory of this user alone. */
  readonly path: string;
  readonly onProgress?: (progress: SnapshotProgress) => void;
  /** Gives the copy up. */
  readonly signal?: AbortSignal;
}

export interface SnapshotProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What a compaction did. */
export interface Compaction {
  /** Expired proposals that were dropped. */
  readonly droppedProposals: number;
  readonly before: StoreSizes;
  readonly after: StoreSizes;
  /** In the main file, holding nothing: what is written next goes there first. */
  readonly freeBytes: number;
  /** `false`: somebody was reading the log, so it was kept and the next fold takes it. */
  readonly isLogFolded: boolean;
}

export interface StoreSizes {
  readonly mainBytes: number;
  /** The write-ahead log. */
  readonly logBytes: number;
}

export interface Store extends AsyncDisposable {
  /** The newest durable entry; `undefined` when empty. */
  head(): Promise<StoredEntry | undefined>;
  entry(version: number): Promise<StoredEntry | undefined>;
  /** Ascending from `from`; at most `limit`, and fewer when their bytes pass about 4 MiB (at least one). */
  entries(range: {
    readonly from: number;
    readonly limit: number;
  }): Promise<readonly StoredEntry[]>;
  /** Leaf bytes alone, ascending from `from`, at most `limit`: what the tree is made of. */
  leaves(range: { readonly from: number; readonly limit: number }): Promise<readonly Uint8Array[]>;
  /** Genesis and every governance entry, ascending: a registry has few. */
  governanceEntries(): Promise<readonly StoredEntry[]>;
  /** The version that committed a payload; `undefined` when none did. */
  committedVersion(payloadB3: Hash): Promise<number | undefined>;

  /** The hashes of complete subtrees (32 bytes), in the order asked for; `undefined` where none stands. */
  nodes(places: readonly NodePlace[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Nodes of one level from `index` on, at most `count`; ends before the first that is missing. */
  nodeRun(range: NodePlace & { readonly count: number }): Promise<readonly Uint8Array[]>;
  /** The signed checkpoint kept last, as `putCheckpoint` got it. */
  checkpoint(): Promise<string | undefined>;

  /**
   * Appends consecutive entries as one durable transaction if the head is still `expected`, and in it
   * adds their tree nodes, moves the descriptor index and drops the proposals that became entries. Answers:
   * - resolves `appended`: durable (survives power loss) and readable before the promise resolves;
   * - resolves `conflict`: certainly nothing was written;
   * - rejects `read_only` (no space, or another process holds the write lock): certainly nothing was
   *   written, later appends may succeed;
   * - rejects anything else: OUTCOME UNKNOWN. The caller must stop writing; the store answers every
   *   later write with `outcome_unknown` and never closes the database file.
   * Calls must not overlap.
   */
  append(batch: {
    readonly expected: number;
    readonly entries: readonly AppendEntry[];
  }): Promise<AppendOutcome>;

  /** The value current at `version`. */
  descriptor(
    key: DescriptorKey & { readonly version: number },
  ): Promise<StoredDescriptor | undefined>;
  /** The set at `version` in pages, sorted by kind, then id. Not replayed: cost follows the set's size. */
  set(version: number): AsyncIterable<readonly StoredDescriptor[]>;
  /** Net changes from one version to another (either may be the older), sorted, in pages. */
  diff(range: {
    readonly from: number;
    readonly to: number;
  }): AsyncIterable<readonly StoredDifference[]>;
  /**
   * Values that a descriptor had and that are kept, newest first: at most `limit`, possibly fewer. With `before`, those
   * that lower versions put. None: there is no other.
   */
  history(query: HistoryQuery): Promise<readonly DescriptorSpan[]>;

  retention(): Promise<Retention>;
  /** The keys of those values that an entry put which are current, sorted. */
  currentOf(version: number): Promise<readonly DescriptorKey[]>;

  /**
   * Durable when it resolves. `known` when the same payload is in flight already, or committed: a
   * late request does not bring it back. Rejects like `append`.
   */
  putProposal(proposal: StoredProposal): Promise<'added' | 'known'>;
  /**
   * Durable when it resolves. `known`: this signer approved already, the first approval stays; `isReplacing`: the
   * one that stands there gives way, for a caller who knows that it does not verify.
   */
  putApproval(
    payloadB3: Hash,
    approval: Approval,
    options?: { readonly isReplacing: boolean },
  ): Promise<'added' | 'known' | 'no_proposal'>;
  dropProposals(payloadB3s: readonly Hash[]): Promise<void>;
  /** All that are in flight, in order of arrival. */
  proposals(): Promise<readonly StoredProposal[]>;

  /** Durable when it resolves; replaces the one before. Rejects like `append`. */
  putCheckpoint(note: string): Promise<void>;

  /**
   * Copies everything, as it is at one moment, into a file at `path`, while reads and writes go on. Whether it is
   * sound, and a whole registry, and durable, is for who hands it on. Rejects `invalid_request` (nothing here is on
   * disk), `overloaded` (one copy at a time), `read_only` (no space), `unavailable` (given up), `storage_damaged` or
   * `storage_failed`; then a part of the file may be left, and the store is as it was.
   */
  snapshot(target: SnapshotTarget): Promise<void>;
  /**
   * Drops proposals that had expired by `expiredBefore`, and gives back the space that can be given back
   * at once; never overlaps a transaction. Rejects like `append`.
   */
  compact(options: { readonly expiredBefore: string }): Promise<Compaction>;

  /**
   * Moves `oldest` up, durable when it resolves, and drops nothing yet: reads of what is below must be refused
   * before `prune` begins. One that is not above the one that stands changes nothing. Rejects like `append`.
   */
  setOldest(oldest: number): Promise<void>;
  /**
   * Drops what is below `oldest`, in transactions of some milliseconds between which others are written; a crash
   * leaves it to the next call. `signal` ends it between two. Rejects like `append`.
   */
  prune(options?: {
    readonly onProgress?: (progress: PruneProgress) => void;
    readonly signal?: AbortSignal;
  }): Promise<void>;

  /** Bytes on disk (or held in memory). */
  storageBytes(): Promise<number>;
}
