/**
 * Whether a genesis really is carried by the quorum of the log it names: what it says of that log is
 * compared with what somebody knows of it, then its approvals are checked under both governances.
 */
import type { Approval } from '../core/approval.ts';
import { assertApprovals } from '../core/approved.ts';
import { encodeBase64, isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import { governanceHash } from '../core/governance.ts';
import type { Hash } from '../core/hash.ts';
import type { DecodedPayload } from '../core/payload.ts';
import type { Previous } from '../core/previous.ts';
import { assertQuorum, countQuorum } from '../core/quorum.ts';
import { nextGovernance } from '../core/rules.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  signersOf,
} from '../core/tlog/note-signatures.ts';
import type { Verifier } from '../core/verifier.ts';
import { parseLogKeys } from '../core/vkey.ts';

export interface Handover {
  readonly proposal: DecodedPayload;
  readonly approvals: readonly Approval[];
  /** The old registry's genesis hash. */
  readonly from: Hash;
  /** Where the old log stood, from a bundle or from trusted state. */
  readonly known: Previous;
}

/** Throws `invalid_payload`, `wrong_registry`, `invalid_governance`, `rollback`, `fork`, `invalid_signature`, `quorum_not_reached`. */
export async function assertHandover(
  { proposal, approvals, from, known }: Handover,
  verifier: Verifier & NoteVerifier,
): Promise<Previous> {
  const { payload } = proposal;
  const previous = payload.type === 'genesis' ? payload.previous : undefined;
  if (previous === undefined)
    throw new RegistryError(
      'invalid_payload',
      `expected a genesis that names the log it goes on from, got ${payload.type === 'genesis' ? 'one that begins anew' : payload.type}`,
    );
  if (previous.registry !== from || known.registry !== from || previous.origin !== known.origin)
    throw new RegistryError(
      'wrong_registry',
      `expected a genesis that goes on from ${known.origin} ${from}, got one from ${previous.origin} ${previous.registry}`,
    );
  assertEnd(previous, known);
  await assertSignedByOldKey(previous, verifier);
  nextGovernance(null, proposal);
  await assertApprovals(null, { proposal, approvals, verifier });
  const approved = approvals.map((approval) => approval.signer_id);
  assertQuorum(countQuorum(payload, null, approved));
  return previous;
}

/** The old log ends where it is known to, or later, and under the governance it is known to have. */
function assertEnd(previous: Previous, known: Previous): void {
  const end = readSignedCheckpoint(previous.checkpoint);
  const seen = readSignedCheckpoint(known.checkpoint);
  if (end.size < seen.size)
    throw new RegistryError(
      'rollback',
      `expected the old log to end at ${seen.size} entries or later, got ${end.size}: entries are left out`,
    );
  if (end.size === seen.size && !isEqualBytes(end.root, seen.root))
    throw new RegistryError(
      'fork',
      `expected the old log to end with root ${encodeBase64(seen.root)}, got ${encodeBase64(end.root)}`,
    );
  const [expected, got] = [governanceHash(known.governance), governanceHash(previous.governance)];
  if (got !== expected)
    throw new RegistryError(
      'invalid_governance',
      `expected the old governance to be version ${known.governance.version}, ${expected}, got version ${previous.governance.version}, ${got}`,
    );
}

async function assertSignedByOldKey(
  { checkpoint, governance }: Previous,
  verifier: NoteVerifier,
): Promise<void> {
  const keys = parseLogKeys(governance.log_keys);
  if ((await signersOf(readSignedCheckpoint(checkpoint), keys, verifier)).size > 0) return;
  throw new RegistryError(
    'invalid_signature',
    'expected the last checkpoint to be signed by a log key of the old governance, got no such signature',
  );
}
