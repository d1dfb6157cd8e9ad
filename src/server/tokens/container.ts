/**
 * The packing of a token (protobuf `Biscuit` of the Biscuit specification), as far as the library leaves
 * it to us: it reads a token only with the root key that signed it, and who holds a token to inspect or to
 * attenuate it need not know that key. Nothing here decides whether a token is to be believed.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { TokenKey } from '../token-key.ts';

/** A token as if a key made for the moment had signed its first block. */
export interface Borrowed {
  readonly bytes: Uint8Array;
  readonly key: TokenKey;
  /** Of the first block, hex: its revocation id. */
  readonly signature: string;
  /** The same token, or one attenuated from `bytes`, with the signature it came with. */
  restore(bytes: Uint8Array): Uint8Array;
}

/** `undefined`: not packed like a token, or signed in a way that this cannot stand in for. */
export function borrow(token: Uint8Array): Borrowed | undefined {
  try {
    return borrowFrom(token);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function borrowFrom(token: Uint8Array): Borrowed | undefined {
  const parts = readFields(token, { start: 0, end: token.length });
  const blocks = parts
    .filter(({ field }) => field === AUTHORITY || field === BLOCK)
    .map((place) => readFields(token, place));
  const [first] = blocks;
  const block = first?.find(({ field }) => field === CONTENT);
  const nextKey = first?.find(({ field }) => field === NEXT_KEY);
  const place = first?.find(({ field }) => field === SIGNATURE);
  const proof = parts.find(({ field }) => field === PROOF);
  const isOpen = proof !== undefined && readFields(token, proof)[0]?.field === NEXT_SECRET;
  // Of a later version or with a second signature, a block is signed together with the one before it.
  const isPlain = blocks.every((fields) => fields.every(({ field }) => field <= SIGNATURE));
  if (block === undefined || nextKey === undefined || place === undefined) return undefined;
  if (!isOpen || !isPlain) return undefined;
  const next = readFields(token, nextKey).find(({ field }) => field === KEY_BYTES);
  if (next === undefined || place.end - place.start !== SIGNATURE_BYTES) return undefined;
  const { key, signature } = signAnew(token.subarray(block.start, block.end), {
    nextKey: token.subarray(next.start, next.end),
  });
  const original = token.slice(place.start, place.end);
  const replace = (bytes: Uint8Array, by: Uint8Array) => {
    const copy = Uint8Array.from(bytes);
    copy.set(by, place.start);
    return copy;
  };
  return {
    bytes: replace(token, signature),
    key,
    signature: Buffer.from(original).toString('hex'),
    restore: (bytes) => replace(bytes, original),
  };
}

/** Biscuit specification, "Signature (one block)", version 0: block, algorithm, next key. */
function signAnew(
  block: Uint8Array,
  { nextKey }: { readonly nextKey: Uint8Array },
): { readonly key: TokenKey; readonly signature: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const message = Buffer.concat([block, ED25519, nextKey]);
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return {
    key: `ed25519/${spki.subarray(-32).toString('hex')}`,
    signature: Uint8Array.from(sign(null, message, privateKey)),
  };
}

const VARINT = 0;
const BYTES = 2;
const AUTHORITY = 2;
const BLOCK = 3;
const PROOF = 4;
/** What a sealed token no longer has: it ends with a signature over the last block's. */
const NEXT_SECRET = 1;
const CONTENT = 1;
const NEXT_KEY = 2;
const SIGNATURE = 3;
const KEY_BYTES = 2;
const SIGNATURE_BYTES = 64;
/** Little-endian, of 4 bytes. */
const ED25519 = Uint8Array.of(0, 0, 0, 0);

interface Place {
  readonly start: number;
  readonly end: number;
}

interface Field extends Place {
  readonly field: number;
}

/** Protobuf: varints and what has a length; tokens hold nothing else. Throws `RangeError`. */
function readFields(bytes: Uint8Array, { start, end }: Place): readonly Field[] {
  const fields: Field[] = [];
  let at = start;
  const readVarint = () => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = at < end ? bytes[at++] : undefined;
      if (byte === undefined) throw new RangeError('expected more bytes');
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('expected a small number');
  };
  while (at < end) {
    const tag = readVarint();
    const value = readVarint();
    const type = tag & 7;
    if (type !== VARINT && type !== BYTES) throw new RangeError('expected another type');
    const begin = at;
    if (type === BYTES) at += value;
    if (at > end) throw new RangeError('expected more bytes');
    fields.push({ field: tag >> 3, start: begin, end: at });
  }
  return fields;
}
