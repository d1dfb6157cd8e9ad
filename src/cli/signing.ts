/** A signer's approval of a payload, made and checked under the rule by which it will be judged. */
import { sign } from 'node:crypto';
import { type Approval, approvalStatement, isApprovalValid } from '../core/approval.ts';
import { encodeBase64 } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import { type DecodedPayload, registryOf } from '../core/payload.ts';
import { formatTime } from '../core/time.ts';
import type { Verifier } from '../core/verifier.ts';
import type { KeyPair } from './key-file.ts';

/** `now`: milliseconds since 1970. Throws `invalid_signature` when the key's own signature does not verify. */
export async function signApproval(
  { payload, payloadB3, bytes }: DecodedPayload,
  {
    signerId,
    key,
    now,
    verifier,
  }: {
    readonly signerId: string;
    readonly key: KeyPair;
    readonly now: number;
    readonly verifier: Verifier;
  },
): Promise<Approval> {
  const registry = registryOf({ payload, payloadB3, bytes });
  const statement = { origin: payload.origin, registry, payloadB3 };
  const signedAt = formatTime(now);
  const signature = sign(null, approvalStatement({ ...statement, signedAt }), key.privateKey);
  const approval: Approval = {
    signer_id: signerId,
    algo: 'ed25519',
    sig: encodeBase64(signature),
    signed_at: signedAt,
  };
  const publicKey = encodeBase64(key.publicKey);
  // A fault while signing gives the private key away: such a signature must not leave the machine.
  if (!(await isApprovalValid(verifier, { approval, publicKey, statement })))
    throw new RegistryError(
      'invalid_signature',
      `expected a signature that verifies under ${publicKey}, got one that does not`,
    );
  return approval;
}

/** Which of `eligible` (signer id to base64 key) has this key. */
export function signerOf(
  publicKey: Uint8Array,
  eligible: ReadonlyMap<string, string>,
): string | undefined {
  const text = encodeBase64(publicKey);
  return [...eligible].find(([, key]) => key === text)?.[0];
}
