/**
 * Whether a checkpoint may be taken as a claim about the log: its origin, who signed it, which
 * witnesses vouch for it and for when; and whether it is too small. Decides and asks nothing; that the trusted
 * checkpoint leads to it is proven by `claims`.
 */
import { encodeBase64, isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { Governance } from '../core/governance.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from '../core/tlog/note-signatures.ts';
import type { WitnessPolicy } from '../core/tlog/policy.ts';
import { assertWitnessed } from '../core/tlog/witnessed.ts';
import { parseLogKeys } from '../core/vkey.ts';
import type { TrustedState } from './trusted-state.ts';

export interface ClaimRules {
  readonly verifier: NoteVerifier;
  readonly policy: WitnessPolicy;
  /** `undefined`: a checkpoint of any age will do. */
  readonly maxStaleMs: number | undefined;
  readonly maxSkewMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface Claim extends SignedCheckpoint {
  /** POSIX seconds for which enough witnesses vouch; `null` when none are asked for. */
  readonly freshAt: number | null;
  /**
   * `false`: none of the log keys known so far signed it, which is as it should be after they were
   * rotated, and before genesis is known. The entries that it claims must show a key that did.
   */
  readonly isSigned: boolean;
}

/**
 * Throws, in this order: `invalid_checkpoint`, `wrong_registry`, `invalid_signature`, `unwitnessed`,
 * `stale`. `state`: what is trusted, `null` for nothing.
 */
export async function judgeClaim(
  note: string,
  state: TrustedState | null,
  rules: ClaimRules,
): Promise<Claim> {
  const checkpoint = readSignedCheckpoint(note);
  if (checkpoint.size === 0 && state === null)
    throw new RegistryError(
      'not_initialised',
      'expected a checkpoint after genesis, got one of 0 leaves',
    );
  assertOrigin(checkpoint, state, rules.policy);
  const isSigned =
    state !== null && (await isSignedUnder(checkpoint, state.chain.governance, rules.verifier));
  // What it signs for later entries may be another key's right; for these it is not.
  if (state !== null && !isSigned && checkpoint.size <= state.chain.tree.size)
    throw unsigned(checkpoint);
  const freshAt = await witnessedAt(checkpoint, rules);
  const known = state?.checkpoint;
  const isKnown = known !== undefined && isSameTree(checkpoint, known);
  const newest = isKnown ? Math.max(freshAt ?? 0, known.freshAt ?? 0) : freshAt;
  if (!isFresh(newest, rules))
    throw new RegistryError(
      'stale',
      `expected witnesses to have seen this head within ${rules.maxStaleMs} ms, got ${rules.now() - (newest ?? 0) * 1000} ms`,
      { details: { fresh_at: newest, max_stale_ms: rules.maxStaleMs } },
    );
  return { ...checkpoint, freshAt, isSigned };
}

/** Whether a key that `governance` lists signed. Throws `invalid_signature` when one of them did, wrongly. */
export async function isSignedUnder(
  checkpoint: Omit<SignedCheckpoint, 'note'>,
  { log_keys }: Governance,
  verifier: NoteVerifier,
): Promise<boolean> {
  return (await signersOf(checkpoint, parseLogKeys(log_keys), verifier)).size > 0;
}

export function unsigned({ origin, size }: SignedCheckpoint): RegistryError {
  return new RegistryError(
    'invalid_signature',
    `expected the checkpoint of ${size} leaves to be signed by a log key of ${origin} in force, got no such signature`,
    { details: { size } },
  );
}

/** `freshAt`: POSIX seconds, `null` for no time at all. */
export function isFresh(
  freshAt: number | null,
  { maxStaleMs, now }: Pick<ClaimRules, 'maxStaleMs' | 'now'>,
): boolean {
  return maxStaleMs === undefined || now() - (freshAt ?? 0) * 1000 <= maxStaleMs;
}

function isSameTree(
  a: Pick<SignedCheckpoint, 'size' | 'root'>,
  b: Pick<SignedCheckpoint, 'size' | 'root'>,
): boolean {
  return a.size === b.size && isEqualBytes(a.root, b.root);
}

function assertOrigin(
  { origin }: SignedCheckpoint,
  state: TrustedState | null,
  { logs }: WitnessPolicy,
): void {
  const expected = state === null ? logs.map(({ key }) => key.name) : [state.chain.origin];
  if (expected.length === 0 || expected.includes(origin)) return;
  throw new RegistryError(
    'wrong_registry',
    `expected a checkpoint of ${expected.join(' or ')}, got one of another log`,
    { details: { origin } },
  );
}

/** The newest time for which the policy's witnesses vouch. Throws `unwitnessed`, or `invalid_checkpoint` for the future. */
async function witnessedAt(
  checkpoint: SignedCheckpoint,
  { policy, verifier, maxSkewMs, now }: ClaimRules,
): Promise<number | null> {
  if (policy.quorum === null) return null;
  const { time } = await assertWitnessed(checkpoint, policy, verifier);
  // A time to come would hide for as long that the head no longer moves.
  const aheadMs = (time ?? 0) * 1000 - now();
  if (aheadMs > maxSkewMs)
    throw new RegistryError(
      'invalid_checkpoint',
      `expected cosignatures from before now, got a quorum of them ${aheadMs} ms ahead: a witness's clock is wrong, or this one`,
      { details: { fresh_at: time } },
    );
  return time;
}

/** Throws `rollback`. The tree that is trusted may be behind: what was signed of the log is more. */
export function assertNoRollback(
  { checkpoint: known }: TrustedState,
  claim: SignedCheckpoint,
): void {
  if (claim.size >= known.size) return;
  throw new RegistryError(
    'rollback',
    `expected a checkpoint of ${known.size} leaves or more, got one of ${claim.size}: entries were lost, or an old state is shown`,
    {
      details: {
        trusted: known.size - 1,
        version: claim.size - 1,
        trusted_root: encodeBase64(known.root),
        newer: claim.note,
      },
    },
  );
}
