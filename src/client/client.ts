/**
 * The verifying SDK's contract: what an application asks of a registry it does not trust. Every read
 * but the ones named `unverified` was checked down to the pinned genesis before it is returned.
 * `create.ts` puts the parts together.
 */
import type { Approval } from '../core/approval.ts';
import type { Chain } from '../core/chain.ts';
import type { Governance } from '../core/governance.ts';
import type { Hash } from '../core/hash.ts';
import type { EntryBytes, ErasedBytes, Leaf } from '../core/leaf.ts';
import type { DecodedPayload, Descriptor } from '../core/payload.ts';
import type { NoteVerifier } from '../core/tlog/note-signatures.ts';
import type { Verifier } from '../core/verifier.ts';
import type { BearerToken } from './bearer.ts';
import type { Retry } from './retry.ts';

/**
 * Where trusted state lives between runs. `save` replaces the whole text atomically and durably; the
 * client calls it only after everything in the state was verified.
 */
export interface TrustStore {
  load(): Promise<string | undefined>;
  save(state: string): Promise<void>;
}

export interface ClientOptions {
  /** Base URL of the registry, e.g. `http://127.0.0.1:7070`. */
  readonly url: string;
  /**
   * The genesis payload hash: which registry this is. Without it, and without trusted state, the
   * first answer is believed (trust on first use) and reported to `onFirstUse`.
   */
  readonly registry?: Hash;
  readonly onFirstUse?: (found: { readonly origin: string; readonly registry: Hash }) => void;
  /** Default: the portable QV1 verifier. On Node, `nativeVerifier()` from `quorate` is 15 times faster. */
  readonly verifier?: Verifier;
  /** Default: memory, forgotten with the client. */
  readonly trust?: TrustStore;
  /**
   * Which witnesses must vouch for a head, in C2SP tlog-policy grammar. Without it the log's own
   * signature is enough, and a log key in wrong hands can show two readers two heads.
   */
  readonly policy?: string;
  /** With `policy`: a head that enough witnesses have not seen for this long is `stale`. */
  readonly maxStaleMs?: number;
  /** How far cosignatures may be ahead of this clock. Default 300,000. */
  readonly maxSkewMs?: number;
  /** For notes. Default: `verifier`, to which post-quantum keys are unknown ones. */
  readonly noteVerifier?: NoteVerifier;
  /**
   * The log signed two histories: keep `evidence` (`quorate evidence verify` reads it) and show it to
   * others. Awaited before the read rejects with `fork`.
   */
  readonly onFork?: (evidence: string) => void | Promise<void>;
  /**
   * The access token that writes bring, where the registry wants one; a function is asked before each
   * write. Reads go without; no redirect is followed with it, and no error quotes it.
   */
  readonly token?: BearerToken;
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
  /** One attempt, headers and body. Default 30,000. */
  readonly timeoutMs?: number;
  /** Attempts of one read. Writes are repeated too: each is idempotent by payload hash. Default 4. */
  readonly maxAttempts?: number;
  /** Told before each wait for another attempt. */
  readonly onRetry?: (retry: Retry) => void;
  /** `follow` throws `stale` when nothing, not even a heartbeat, came for this long and reconnecting failed. Default 120,000. */
  readonly staleAfterMs?: number;
  /**
   * Entries that the registry has pruned are believed by their leaves: the governance and the approvals of
   * every change to it are verified, the tree and the links between entries too, and no other approval.
   * Without it such a registry is refused with `pruned`. What was accepted stays in the trusted state.
   */
  readonly acceptPruned?: boolean;
  /** Catching up: verified so far, and the head's version. */
  readonly onProgress?: (progress: { readonly version: number; readonly head: number }) => void;
}

interface AnyEntry {
  readonly version: number;
  readonly entryHash: Hash;
  readonly leaf: Leaf;
  readonly approvals: readonly Approval[];
}

export interface WholeEntry extends AnyEntry {
  readonly proposal: DecodedPayload;
  readonly erasedBy: null;
  readonly bytes: EntryBytes;
}

/**
 * An entry whose payload the signers had forgotten: who approved it and what set came of it are verified,
 * what it changed is known to nobody who did not read it before.
 */
export interface ErasedEntry extends AnyEntry {
  readonly proposal: null;
  /** The version of the verified entry that erased it. */
  readonly erasedBy: number;
  readonly bytes: ErasedBytes;
}

export type VerifiedEntry = WholeEntry | ErasedEntry;

/** Versions that were believed without their payloads, because the registry has pruned them: both ends included. */
export interface PrunedGap {
  readonly from: number;
  readonly to: number;
}

/** The signed checkpoint that the head was held against. */
export interface VerifiedCheckpoint {
  /** Leaves: `version + 1` of the newest head, more than that while following catches up. */
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** The C2SP note, as it was served. */
  readonly note: string;
  /** POSIX seconds for which enough witnesses vouched; `null` without a policy. */
  readonly freshAt: number | null;
}

export interface VerifiedHead {
  readonly origin: string;
  readonly registry: Hash;
  readonly version: number;
  readonly entryHash: Hash;
  readonly committedAt: string;
  readonly setRoot: Hash;
  readonly setSize: number;
  readonly governance: Governance;
  readonly checkpoint: VerifiedCheckpoint;
  /** What `acceptPruned` let pass on the way here, ascending; empty for a head verified in full. */
  readonly accepted: readonly PrunedGap[];
}

export interface VerifiedDescriptor {
  readonly head: VerifiedHead;
  /** `null`: proven absent at that head. */
  readonly descriptor: Descriptor | null;
}

export interface VerifiedSet {
  readonly head: VerifiedHead;
  /** Sorted by kind, then id. */
  readonly items: readonly Descriptor[];
}

export interface Update {
  readonly head: VerifiedHead;
  readonly entry: VerifiedEntry;
  /** Versions before this one that were not yielded, for `acceptPruned`: ask for the set, not for its changes. */
  readonly skipped?: PrunedGap;
}

/** JSON answers of the write plane, as on the wire (`api/schemas.ts` has their schemas). */
export interface QuorumJson {
  readonly reached: boolean;
  readonly approvals: readonly string[];
  readonly threshold: number;
  readonly missing: readonly string[];
  readonly rules: readonly {
    readonly rule: string;
    readonly threshold: number;
    readonly signers: readonly string[];
    readonly approved: readonly string[];
  }[];
}

export interface ProposalJson {
  readonly proposal_id: Hash;
  readonly payload_b3: Hash;
  readonly type: string;
  readonly state: 'pending' | 'ready' | 'blocked' | 'expired' | 'committed';
  readonly note: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly payload_bytes: number;
  readonly changes: number;
  readonly approvals: readonly Approval[];
  readonly quorum: QuorumJson;
  readonly fences: readonly {
    readonly kind: string;
    readonly id: string;
    readonly expected: Hash | null;
    readonly actual: Hash | null;
  }[];
  readonly blocked_by: string | null;
  readonly version: number | null;
}

export interface Client {
  /**
   * Catches up with the server's signed checkpoint and verifies every entry on the way. Throws
   * `invalid_checkpoint`, `wrong_registry`, `invalid_signature`, `unwitnessed`, `rollback` (older than
   * trusted), `fork` (another history), `invalid_proof`, `invalid_entry`, `quorum_not_reached` and
   * what else the rules of the log say, `unavailable` (no answer), `unexpected_answer`; or `stale`, when
   * what is trusted may be all there is, but nobody has vouched for it lately: `trusted()` holds it still;
   * or `pruned`: the registry no longer has what comes after the trusted head (see `acceptPruned`).
   */
  head(): Promise<VerifiedHead>;
  /**
   * Any version up to the trusted head, verified by its place in the tree; without its `proposal` when the
   * payload was erased. Throws `pruned` for one that the registry no longer has, and for one that was
   * accepted by its leaf alone, whoever serves it: nobody verified its approvals.
   */
  entry(version: number): Promise<VerifiedEntry>;
  /** By proof against the verified head; the set is not fetched. */
  descriptor(key: { readonly kind: string; readonly id: string }): Promise<VerifiedDescriptor>;
  set(): Promise<VerifiedSet>;
  /**
   * Every version after the trusted one (or after genesis, which is not yielded), each once, in order,
   * verified and saved before it is yielded; then live until `signal` aborts. Reconnects by itself.
   * Throws what `head` throws when repeating cannot mend it, and `stale`: the last update stays the last
   * good one, and following again goes on after it.
   * At most once: a crash between the save and what the application does with an update loses that
   * update to it, never to the trusted state; compare `entry.version` with what was last applied.
   */
  follow(options?: { readonly signal?: AbortSignal }): AsyncIterable<Update>;
  /** The trusted state reached so far; `undefined` before the first verified answer. */
  trusted(): Chain | undefined;

  /** Idempotent: the payload's hash is the proposal's id. `bytes` are canonical. */
  propose(bytes: Uint8Array): Promise<{
    readonly isNew: boolean;
    readonly proposal_id: Hash;
    readonly expires_at: string;
    readonly quorum: QuorumJson;
  }>;
  approve(id: Hash, approval: Approval): Promise<QuorumJson>;
  /** The head that holds the commit, as the server says; verify with `head()`. */
  commit(
    id: Hash,
  ): Promise<{ readonly isNew: boolean; readonly version: number; readonly entry_hash: Hash }>;
  unverifiedProposals(): Promise<readonly ProposalJson[]>;
  unverifiedProposal(id: Hash): Promise<ProposalJson>;
  /** The exact bytes to sign; checked to hash to `id`. */
  payload(id: Hash): Promise<DecodedPayload>;
  /** GET of a JSON route, with the client's limits and retries; nothing is verified. */
  unverifiedJson(path: string): Promise<unknown>;
}
