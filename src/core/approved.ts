/**
 * Whether approvals carry a payload: their signers may approve it, their signatures hold, they are
 * enough, and every key that a governance names can be used. The order of entries is `chain`'s.
 */
import {
  type Approval,
  approvalStatement,
  assertSignedInTime,
  type Statement,
} from './approval.ts';
import { decodeBase64, parseBase64 } from './bytes.ts';
import { RegistryError } from './error.ts';
import type { Governance } from './governance.ts';
import { type DecodedPayload, type Payload, registryOf } from './payload.ts';
import { assertQuorum, countQuorum, eligibleSigners } from './quorum.ts';
import type { SignedMessage, Verifier } from './verifier.ts';
import { parseVerifierKey } from './vkey.ts';

/** What decides about approvals: the governance in force, `null` before genesis. */
type Governed = { readonly governance: Governance } | null;

/** A payload and the approvals that came with it. */
interface Approved {
  readonly proposal: DecodedPayload;
  readonly approvals: readonly Approval[];
}

export interface ApprovedInput {
  readonly payload: Payload;
  readonly approvals: readonly Approval[];
  readonly committedAt: string;
}

/** Signatures apart: each approval is by a signer that may approve this payload, in time, and they are enough. */
export function assertApproved(
  governance: Governance | null,
  { payload, approvals, committedAt }: ApprovedInput,
): void {
  const keys = eligibleSigners(payload, governance);
  for (const approval of approvals) {
    eligibleKey(keys, approval);
    assertSignedInTime(approval, { createdAt: payload.created_at, now: committedAt });
  }
  const approved = approvals.map((approval) => approval.signer_id);
  assertQuorum(countQuorum(payload, governance, approved));
}

function eligibleKey(keys: ReadonlyMap<string, string>, { signer_id }: Approval): string {
  const key = keys.get(signer_id);
  if (key === undefined)
    throw new RegistryError(
      'unknown_signer',
      `expected an approval by a signer in force, got one by ${signer_id}`,
      { details: { signer_id } },
    );
  return key;
}

/** One signature that must hold, and whose it is. */
export interface ApprovalCheck {
  readonly signerId: string;
  readonly signed: SignedMessage;
}

/** What has to be verified for an entry's approvals, in their order. Throws `unknown_signer`. */
export function approvalChecks(
  chain: Governed,
  { proposal, approvals }: Approved,
): readonly ApprovalCheck[] {
  const keys = eligibleSigners(proposal.payload, chain?.governance ?? null);
  const { origin } = proposal.payload;
  const statement = { origin, registry: registryOf(proposal), payloadB3: proposal.payloadB3 };
  return checksOf(approvals, keys, statement);
}

/** The same where the payload is known by what its approvals state of it. */
export function checksOf(
  approvals: readonly Approval[],
  keys: ReadonlyMap<string, string>,
  statement: Omit<Statement, 'signedAt'>,
): readonly ApprovalCheck[] {
  return approvals.map((approval) => ({
    signerId: approval.signer_id,
    signed: {
      publicKey: parseBase64(eligibleKey(keys, approval)),
      message: approvalStatement({ ...statement, signedAt: approval.signed_at }),
      signature: parseBase64(approval.sig),
    },
  }));
}

/** Every signature must hold, counted or not: an entry carries no unverified approval. */
export async function assertApprovals(
  chain: Governed,
  { proposal, approvals, verifier }: Approved & { readonly verifier: Verifier },
): Promise<void> {
  await assertSigned(approvalChecks(chain, { proposal, approvals }), verifier);
  assertAdmitted(chain, proposal, verifier);
}

/** Throws `invalid_signature` for the first that does not verify. */
export async function assertSigned(
  checks: readonly ApprovalCheck[],
  verifier: Pick<Verifier, 'verify'>,
): Promise<void> {
  await Promise.all(
    checks.map(async ({ signerId, signed }) => {
      if (!(await verifier.verify(signed))) throw unsigned(signerId);
    }),
  );
}

/** What a signature that does not verify is refused with. */
export function unsigned(signerId: string): RegistryError {
  return new RegistryError(
    'invalid_signature',
    `expected a signature by ${signerId} over this payload, got one that does not verify`,
    { details: { signer_id: signerId } },
  );
}

/** QV1 key admission for every key a governance names; throws `invalid_governance`. */
export function assertAdmitted(
  chain: Governed,
  { payload }: DecodedPayload,
  verifier: Pick<Verifier, 'admit'>,
): void {
  if (!('governance' in payload)) return;
  const known = new Set(chain?.governance.signers.map((s) => s.public_key));
  for (const { signer_id, public_key } of payload.governance.signers)
    if (!known.has(public_key) && !isAdmitted(verifier, decodeBase64(public_key)))
      throw new RegistryError(
        'invalid_governance',
        `expected an ed25519 key of prime order for ${signer_id}, got ${public_key}`,
        { details: { signer_id } },
      );
  assertLogKeysAdmitted(payload, verifier);
}

/**
 * The part of `assertAdmitted` that no approval implies: a signer's key is admitted when its approval
 * verifies, a log key approves nothing.
 */
export function assertLogKeysAdmitted(payload: Payload, verifier: Pick<Verifier, 'admit'>): void {
  if (!('governance' in payload)) return;
  for (const vkey of payload.governance.log_keys) {
    const key = parseVerifierKey(vkey);
    if (key?.type !== 'ml-dsa-44' && !isAdmitted(verifier, key?.publicKey))
      throw new RegistryError(
        'invalid_governance',
        `expected an ed25519 log key of prime order, got ${vkey}`,
      );
  }
}

function isAdmitted(verifier: Pick<Verifier, 'admit'>, key: Uint8Array | undefined): boolean {
  return key !== undefined && verifier.admit(key);
}
