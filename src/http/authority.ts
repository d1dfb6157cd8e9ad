/**
 * The seam to access tokens: what a write must bring beside signatures. Which tokens there are and how
 * they are checked is `server`'s. A token alone never commits: it only opens the door to the rules.
 */
import type { Hash } from '../core/hash.ts';

export const OPERATIONS = ['propose', 'approve', 'commit', 'supersede', 'blob'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What a token is asked about. All of it is known to the server; nothing is taken from the caller's word. */
export interface Attempt {
  readonly operation: Operation;
  /** The genesis payload hash; of a genesis itself its own. */
  readonly registry: Hash;
  /** `null`: the write is about none. */
  readonly proposal: Hash | null;
  /** The kinds its changes touch, sorted; empty for a payload without changes. */
  readonly kinds: readonly string[];
  /** The longest beginning that all touched ids share; `null` for a payload without changes. */
  readonly idPrefix: string | null;
}

export interface Principal {
  /** The revocation id of the token's first block: what limits and the audit log know it by. */
  readonly id: string;
  /** Throws `forbidden`; `unauthenticated` when the token has ended or was revoked meanwhile; `overloaded` when there was no time to check it. */
  authorize(attempt: Attempt): Promise<void>;
}

export interface Authority {
  /** Signature, lifetime, revocation; nothing of what it allows. Throws `unauthenticated`. */
  authenticate(token: string): Promise<Principal>;
}
