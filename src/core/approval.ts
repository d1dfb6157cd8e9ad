/** A signer's signature over a payload: the statement that is signed, and the approval's strict form. */
import { decodeBase64, encodeUtf8 } from './bytes.ts';
import { canonicalBytes, type Json, parseCanonical } from './canonical.ts';
import { Check, SIGNER_ID } from './check.ts';
import { RegistryError } from './error.ts';
import { MAX_SIGNERS } from './governance.ts';
import type { Hash } from './hash.ts';
import { SKEW_MS } from './time.ts';
import type { Verifier } from './verifier.ts';

export interface Approval {
  readonly signer_id: string;
  readonly algo: 'ed25519';
  /** Base64 of 64 bytes, over `approvalStatement`. */
  readonly sig: string;
  readonly signed_at: string;
}

export interface Statement {
  readonly origin: string;
  readonly registry: Hash;
  readonly payloadB3: Hash;
  readonly signedAt: string;
}

/** The five lines a signer signs. The first line keeps it apart from every other kind of statement. */
export function approvalStatement({
  origin,
  registry,
  payloadB3,
  signedAt,
}: Statement): Uint8Array {
  return encodeUtf8(`quorate/approval/v1\n${origin}\n${registry}\n${payloadB3}\n${signedAt}\n`);
}

const check = new Check('invalid_approval');

/** Throws `invalid_approval`. */
export function readApproval(value: Json, pointer = ''): Approval {
  const object = check.members(value, pointer, ['algo', 'sig', 'signed_at', 'signer_id']);
  return {
    signer_id: check.text(object.signer_id, `${pointer}/signer_id`, SIGNER_ID),
    algo: check.literal(object.algo, `${pointer}/algo`, 'ed25519'),
    sig: check.base64(object.sig, `${pointer}/sig`, 64),
    signed_at: check.time(object.signed_at, `${pointer}/signed_at`),
  };
}

/** The stored array: sorted by signer id. Throws `invalid_approval` when a signer is there twice. */
export function encodeApprovals(approvals: readonly Approval[]): Uint8Array {
  const sorted = [...approvals].sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1));
  assertSorted(sorted);
  return canonicalBytes(sorted);
}

/** Throws what `parseCanonical` throws, and `invalid_approval` when unsorted or repeated. */
export function decodeApprovals(bytes: Uint8Array): readonly Approval[] {
  const approvals = check
    .array(parseCanonical(bytes), '', { min: 1, max: MAX_SIGNERS * 2 })
    .map((value, i) => readApproval(value, `/${i}`));
  assertSorted(approvals);
  return approvals;
}

function assertSorted(approvals: readonly Approval[]): void {
  approvals.forEach((approval, i) => {
    const before = approvals[i - 1];
    if (before !== undefined && before.signer_id >= approval.signer_id)
      check.fail(`/${i}`, 'approvals sorted by signer_id, one for each', approval.signer_id);
  });
}

/** Throws `invalid_approval` unless it was signed between creation and `now`, each with 5 minutes of skew. */
export function assertSignedInTime(
  approval: Approval,
  { createdAt, now }: { createdAt: string; now: string },
): void {
  const signed = Date.parse(approval.signed_at);
  if (signed < Date.parse(createdAt) - SKEW_MS || signed > Date.parse(now) + SKEW_MS)
    throw new RegistryError(
      'invalid_approval',
      `expected signed_at from ${createdAt} to ${now} with 5 minutes of skew, got ${approval.signed_at} from ${approval.signer_id}`,
      { details: { signer_id: approval.signer_id } },
    );
}

/** A verdict under QV1; `publicKey` is the base64 key that governance gives the signer. */
export async function isApprovalValid(
  verifier: Pick<Verifier, 'verify'>,
  {
    approval,
    publicKey,
    statement,
  }: { approval: Approval; publicKey: string; statement: Omit<Statement, 'signedAt'> },
): Promise<boolean> {
  const key = decodeBase64(publicKey);
  const signature = decodeBase64(approval.sig);
  if (key === undefined || signature === undefined) return false;
  const message = approvalStatement({ ...statement, signedAt: approval.signed_at });
  return verifier.verify({ publicKey: key, message, signature });
}
