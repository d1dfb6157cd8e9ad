/**
 * Ed25519 cases on which libraries differ, made from seeds: torsion in R or A, small order, identity,
 * other encodings of a point, S beyond the group order, wrong lengths. Every case says what QV1 says.
 */
import { createHash, sign } from 'node:crypto';
import { Point } from '@noble/ed25519';
import type { SignedMessage } from '../../src/core/verifier.ts';
import { keyFromSeed, publicKeyOf } from './core-registry.ts';

export interface Ed25519Case extends SignedMessage {
  /** What is wrong with it. */
  readonly family: string;
  /** The verdict of QV1. */
  readonly isValid: boolean;
}

const { n: L, p: P } = Point.CURVE();

/** A point of order 8; its multiples are all eight points of small order. */
const ORDER_8 = Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a');
const MULTIPLES = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const TORSION = MULTIPLES.map((k) => times(ORDER_8, k));

/** Every 32 bytes that a lenient decoder reads as a point of small order. */
const SMALL_ORDER_ENCODINGS: readonly Uint8Array[] = [
  ...TORSION.map((point) => encode(point)),
  // y of the identity and of the two points of order 4, plus p: what a reader that reduces accepts.
  littleEndian(P + 1n),
  littleEndian(P),
  ...[littleEndian(1n), littleEndian(P + 1n), littleEndian(P - 1n), littleEndian(P)].map(withSign),
];

interface Secret {
  readonly seed: Uint8Array;
  readonly scalar: bigint;
  readonly publicKey: Uint8Array;
}

function secretOf(index: number): Secret {
  const seed = createHash('sha256').update(`signer ${index}`).digest();
  const half = createHash('sha512').update(seed).digest().subarray(0, 32);
  half[0] = (half[0] ?? 0) & 248;
  half[31] = ((half[31] ?? 0) & 127) | 64;
  return { seed, scalar: toNumber(half) % L, publicKey: publicKeyOf(keyFromSeed(seed)) };
}

const SECRETS = Array.from({ length: 40 }, (_, i) => secretOf(i));
const messageOf = (index: number): Uint8Array => new TextEncoder().encode(`message ${index}`);

/** All cases, always the same ones in the same order. */
export function ed25519Cases(): readonly Ed25519Case[] {
  return [
    ...honest(),
    ...flippedBits(),
    ...swapped(),
    ...largeS(),
    ...smallOrderInR(),
    ...otherEncodingsOfR(),
    ...mixedKeys(),
    ...smallKeys(),
    ...keysThatAreNoPoint(),
    ...wrongLengths(),
  ];
}

function honestOf(index: number): SignedMessage {
  const { seed, publicKey } = SECRETS[index % 40]!;
  const message = messageOf(index);
  return { publicKey, message, signature: Uint8Array.from(sign(null, message, keyFromSeed(seed))) };
}

function honest(): Ed25519Case[] {
  return SECRETS.map((_, i) => ({ ...honestOf(i), family: 'honest', isValid: true }));
}

function flippedBits(): Ed25519Case[] {
  const signed = honestOf(0);
  const flip = (bytes: Uint8Array, bit: number): Uint8Array =>
    bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
  const of = (member: 'signature' | 'message' | 'publicKey'): Ed25519Case[] =>
    Array.from({ length: signed[member].length * 8 }, (_, bit) => ({
      ...signed,
      [member]: flip(signed[member], bit),
      family: `flipped bit in ${member}`,
      isValid: false,
    }));
  return [...of('signature'), ...of('message'), ...of('publicKey')];
}

function swapped(): Ed25519Case[] {
  return SECRETS.map((_, i) => ({
    ...honestOf(i),
    signature: honestOf(i + 1).signature,
    family: "another's signature",
    isValid: false,
  }));
}

/** S + nL satisfies the equation as S does; 15 is the largest n that 32 bytes hold. */
function largeS(): Ed25519Case[] {
  return SECRETS.flatMap((_, i) =>
    [1n, 2n, 15n].map((n) => {
      const signed = honestOf(i);
      const s = toNumber(signed.signature.subarray(32)) + n * L;
      const signature = concat(signed.signature.subarray(0, 32), littleEndian(s));
      return { ...signed, signature, family: 'S beyond the group order', isValid: false };
    }),
  );
}

/** Signatures by a good key whose R has, or is nothing but, a point of small order. */
function smallOrderInR(): Ed25519Case[] {
  return SECRETS.flatMap((secret, i) => {
    const r = nonceOf(i);
    return MULTIPLES.flatMap((k) => {
      const torsion = TORSION[k]!;
      const pure = signWith(secret, messageOf(i), { r: 0n, encodedR: encode(torsion) });
      const family = k === 0 ? 'R is the identity' : 'R of small order';
      const cases: Ed25519Case[] = [{ ...pure, family, isValid: false }];
      if (k !== 0) {
        const encodedR = encode(Point.BASE.multiply(r).add(torsion));
        const mixed = signWith(secret, messageOf(i), { r, encodedR });
        cases.push({ ...mixed, family: 'R with torsion', isValid: false });
      }
      return cases;
    });
  });
}

function otherEncodingsOfR(): Ed25519Case[] {
  const others = SMALL_ORDER_ENCODINGS.slice(8);
  return SECRETS.slice(0, 20).flatMap((secret, i) =>
    others.map((encodedR) => ({
      ...signWith(secret, messageOf(i), { r: 0n, encodedR }),
      family: 'non-canonical R',
      isValid: false,
    })),
  );
}

/** A + T for a good A: half of the messages are chosen so that the torsion cancels without a cofactor. */
function mixedKeys(): Ed25519Case[] {
  return SECRETS.slice(0, 20).flatMap((secret, i) =>
    MULTIPLES.slice(1).flatMap((k) => {
      const point = Point.fromBytes(secret.publicKey).add(TORSION[k]!);
      const mixed = { ...secret, publicKey: encode(point) };
      return [true, false].map((isCancelling) => ({
        ...signWithResidue(mixed, { index: i, torsion: TORSION[k]!, isCancelling }),
        family: isCancelling ? 'mixed-order A, cancelled' : 'mixed-order A, residue',
        isValid: false,
      }));
    }),
  );
}

/** A of small order in each encoding, S = 0, R of small order in each encoding. */
function smallKeys(): Ed25519Case[] {
  return SMALL_ORDER_ENCODINGS.flatMap((publicKey, i) =>
    SMALL_ORDER_ENCODINGS.map((encodedR, j) => ({
      publicKey,
      message: messageOf(i * 100 + j),
      signature: concat(encodedR, new Uint8Array(32)),
      family: 'small-order A',
      isValid: false,
    })),
  );
}

/** y beyond the field, or without an x. */
function keysThatAreNoPoint(): Ed25519Case[] {
  const beyond = Array.from({ length: 19 }, (_, i) => littleEndian(P + BigInt(i)));
  const offCurve = Array.from({ length: 200 }, (_, i) => littleEndian(BigInt(i))).filter(
    (key) => decode(key) === undefined,
  );
  return [...beyond, ...beyond.map(withSign), ...offCurve.slice(0, 40)].map((publicKey, i) => ({
    ...honestOf(i),
    publicKey,
    family: 'a key that is no point',
    isValid: false,
  }));
}

function wrongLengths(): Ed25519Case[] {
  const signed = honestOf(1);
  const resized = (bytes: Uint8Array, length: number): Uint8Array => {
    const other = new Uint8Array(length);
    other.set(bytes.subarray(0, length));
    return other;
  };
  return [
    ...[0, 1, 32, 63, 65, 96, 128].map((length) => ({
      ...signed,
      signature: resized(signed.signature, length),
    })),
    ...[0, 1, 31, 33, 64].map((length) => ({
      ...signed,
      publicKey: resized(signed.publicKey, length),
    })),
  ].map((each) => ({ ...each, family: 'a wrong length', isValid: false }));
}

/** The textbook signature, with the R that the caller wants hashed and sent. */
function signWith(
  { scalar, publicKey }: Secret,
  message: Uint8Array,
  { r, encodedR }: { r: bigint; encodedR: Uint8Array },
): SignedMessage {
  const k = challenge(encodedR, publicKey, message);
  const s = (r + k * scalar) % L;
  return { publicKey, message, signature: concat(encodedR, littleEndian(s)) };
}

/** Tries nonces until k times the torsion in A is, or is not, the identity. */
function signWithResidue(
  secret: Secret,
  { index, torsion, isCancelling }: { index: number; torsion: Point; isCancelling: boolean },
): SignedMessage {
  for (let attempt = 0; ; attempt++) {
    const r = nonceOf(index * 1000 + attempt);
    const encodedR = encode(Point.BASE.multiply(r));
    const k = challenge(encodedR, secret.publicKey, messageOf(index));
    if (times(torsion, Number(k % 8n)).is0() === isCancelling)
      return signWith(secret, messageOf(index), { r, encodedR });
  }
}

function nonceOf(index: number): bigint {
  return toNumber(createHash('sha512').update(`nonce ${index}`).digest()) % L;
}

function challenge(encodedR: Uint8Array, publicKey: Uint8Array, message: Uint8Array): bigint {
  const hash = createHash('sha512').update(encodedR).update(publicKey).update(message);
  return toNumber(hash.digest()) % L;
}

function times(point: Point, count: number): Point {
  return Array.from({ length: count }).reduce<Point>((sum) => sum.add(point), Point.ZERO);
}

function encode(point: Point): Uint8Array {
  return point.toBytes();
}

function decode(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes, true);
  } catch {
    return undefined;
  }
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function littleEndian(value: bigint): Uint8Array {
  const hex = value.toString(16).padStart(64, '0');
  return Uint8Array.from(Buffer.from(hex, 'hex').reverse());
}

/** The same y with the other sign of x. */
function withSign(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (i === 31 ? byte ^ 0x80 : byte));
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.of(...a, ...b);
}
