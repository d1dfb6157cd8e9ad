/** BLAKE3-256, the hash of everything but the C2SP tree, and its wire form `b3:` and 64 hex digits. */
import { blake3 } from '@noble/hashes/blake3.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { hashBlake3, IS_LITTLE_ENDIAN } from './blake3.ts';
import { RegistryError } from './error.ts';

export type Hash = `b3:${string}`;

/** The library's form is slower, and right on every machine. */
export function blake3Of({
  isLittleEndian,
}: {
  readonly isLittleEndian: boolean;
}): (bytes: Uint8Array) => Uint8Array {
  return isLittleEndian ? hashBlake3 : blake3;
}

/** 32 bytes. */
export const blake3Bytes: (bytes: Uint8Array) => Uint8Array = blake3Of({
  isLittleEndian: IS_LITTLE_ENDIAN,
});

/** Takes input in pieces, and may change none of them. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** 32 bytes, over all that came so far; more may come. */
  digest(): Uint8Array;
}

/** The library's form: some 20 MB/s, and right on every machine. */
export function createBlake3(): Hasher {
  const hasher = blake3.create();
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => hasher.clone().digest(),
  };
}

export function hashOf(bytes: Uint8Array): Hash {
  return formatHash(blake3Bytes(bytes));
}

/** `bytes`: 32. */
export function formatHash(bytes: Uint8Array): Hash {
  return `b3:${bytesToHex(bytes)}`;
}

export function isHash(text: unknown): text is Hash {
  return typeof text === 'string' && /^b3:[0-9a-f]{64}$/.test(text);
}

/** The 32 bytes behind a wire hash; throws `malformed`. */
export function parseHash(text: string): Uint8Array {
  if (!isHash(text))
    throw new RegistryError(
      'malformed',
      `expected b3: and 64 lower-case hex digits, got ${text.length} characters`,
    );
  return hexToBytes(text.slice(3));
}
