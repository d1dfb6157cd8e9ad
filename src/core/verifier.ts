/**
 * QV1, the one rule by which an Ed25519 key is admitted and a signature accepted, and its portable
 * form. Libraries disagree on torsion, small order and non-canonical encodings, and Node changed its
 * answer within a release line; so the rule is ours and every implementation must give its verdicts.
 */
import { Point } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import { isEqualBytes } from './bytes.ts';

export interface SignedMessage {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** Both answers are verdicts: neither method throws, whatever the bytes are. */
export interface Verifier {
  /** QV1 key admission: 32 bytes, canonical, on the curve, not the identity, torsion-free. */
  admit(publicKey: Uint8Array): boolean;
  /** QV1 signature rule; `false` for a key that is not admitted. */
  verify(signed: SignedMessage): Promise<boolean>;
}

const GROUP_ORDER = Point.CURVE().n;

/** The encoding of the identity point: as R, some Node versions accept it and others do not. */
export const IDENTITY_ENCODING: Uint8Array = Uint8Array.of(1, ...new Uint8Array(31));

// Far more keys than one governance names; a flood of others only costs their admission again.
const MAX_CACHED_KEYS = 4096;

/** The rule over @noble/ed25519 points; runs anywhere, a few milliseconds for each answer. */
export function createPortableVerifier(): Verifier {
  const admitted = new Map<string, Point | undefined>();
  const admittedPoint = (publicKey: Uint8Array): Point | undefined => {
    const key = publicKey.join();
    if (admitted.has(key)) return admitted.get(key);
    if (admitted.size === MAX_CACHED_KEYS) admitted.clear();
    const point = admitKey(publicKey);
    admitted.set(key, point);
    return point;
  };
  return {
    admit: (publicKey) => admittedPoint(publicKey) !== undefined,
    verify: async ({ publicKey, message, signature }) => {
      const point = admittedPoint(publicKey);
      return point !== undefined && isValidSignature({ point, publicKey, message, signature });
    },
  };
}

/** The point of an admitted key, `undefined` for a key that QV1 refuses. */
export function admitKey(publicKey: Uint8Array): Point | undefined {
  if (publicKey.length !== 32) return undefined;
  try {
    const point = Point.fromBytes(publicKey, false);
    return !point.is0() && point.isTorsionFree() ? point : undefined;
  } catch {
    return undefined;
  }
}

function isValidSignature(signed: SignedMessage & { point: Point }): boolean {
  const { point, publicKey, message, signature } = signed;
  if (signature.length !== 64) return false;
  const encodedR = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= GROUP_ORDER || isEqualBytes(encodedR, IDENTITY_ENCODING)) return false;
  const k = littleEndian(sha512(concatBytes(encodedR, publicKey, message))) % GROUP_ORDER;
  const r = Point.BASE.multiply(s, false).subtract(point.multiply(k, false));
  return isEqualBytes(r.toBytes(), encodedR);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
