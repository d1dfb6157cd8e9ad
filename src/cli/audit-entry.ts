/** An entry as an audit meets it: whole, without its payload where that was erased, or its leaf alone where it was pruned. */
import { type ApprovalCheck, approvalChecks } from '../core/approved.ts';
import { type AppliedChange, type DecodedEntry, decodeEntry } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import { decodeLeaf, type EntryBytes, type ErasedBytes, type Leaf } from '../core/leaf.ts';
import type { Chain } from '../core/rules.ts';
import {
  type DecodedErased,
  decodeErased,
  erasedChecks,
  type Followed,
} from '../core/without-payload.ts';

export interface PrunedBytes {
  readonly leaf: Uint8Array;
  readonly payload: null;
  readonly approvals: null;
}

export type AuditedBytes = EntryBytes | ErasedBytes | PrunedBytes;

export type AuditedEntry =
  | ({ readonly kind: 'whole' } & DecodedEntry)
  | ({ readonly kind: 'erased' } & DecodedErased)
  | { readonly kind: 'pruned'; readonly leaf: Leaf; readonly bytes: PrunedBytes };

/** An entry that was judged, and the state of the log after it. */
export interface Replayed extends Followed {
  readonly kind: AuditedEntry['kind'];
  /** Empty where nobody can say. */
  readonly changes: readonly AppliedChange[];
  /** How many the entry carries. */
  readonly approvals: number;
}

/** Throws what `decodeEntry` throws. */
export function decodeAudited(bytes: AuditedBytes): AuditedEntry {
  const { approvals, payload, leaf } = bytes;
  if (payload !== null) return { kind: 'whole', ...decodeEntry({ leaf, payload, approvals }) };
  if (approvals !== null)
    return { kind: 'erased', ...decodeErased({ leaf, payload: null, approvals }) };
  return { kind: 'pruned', leaf: decodeLeaf(leaf), bytes: { leaf, payload, approvals } };
}

/** The signatures that it must have. Throws `unknown_signer`, and `not_initialised` for an erased genesis. */
export function checksOf(chain: Chain | null, entry: AuditedEntry): readonly ApprovalCheck[] {
  if (entry.kind === 'whole') return approvalChecks(chain, entry);
  // What it must follow is missing: that is told when it is followed.
  if (entry.kind === 'pruned' || chain === null) return [];
  return erasedChecks(chain, entry);
}

/** For who needs every payload. Throws `erased`. */
export function wholeBytes(bytes: AuditedBytes): EntryBytes {
  const { leaf, payload, approvals } = bytes;
  if (payload !== null) return { leaf, payload, approvals };
  const { version } = decodeLeaf(leaf);
  throw new RegistryError(
    'erased',
    `expected every entry with its payload, got version ${version} without`,
    { details: { version } },
  );
}
