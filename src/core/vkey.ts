/**
 * C2SP signed-note verifier keys (`name+keyid+base64(type||key)`), as governance lists them for the
 * log. Reading and writing the key only; notes and their signatures belong to the transparency log.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';
import { decodeBase64, encodeBase64, encodeUtf8 } from './bytes.ts';

/** C2SP signed-note: algorithm 0x01, Ed25519 over the note's text. */
const ED25519 = 0x01;

export interface VerifierKey {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly keyId: string;
  /** 32 bytes, not yet admitted by QV1. */
  readonly publicKey: Uint8Array;
}

/** `publicKey`: 32 bytes. */
export function encodeVerifierKey({
  name,
  publicKey,
}: {
  name: string;
  publicKey: Uint8Array;
}): string {
  const typed = concatBytes(Uint8Array.of(ED25519), publicKey);
  return `${name}+${keyIdOf(name, typed)}+${encodeBase64(typed)}`;
}

/** `undefined` for anything but a well-formed Ed25519 key whose id fits its name and bytes. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  // C2SP: a name has no '+', the base64 part may.
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+(.+)$/.exec(text);
  const [, name, keyId, encoded] = match ?? [];
  if (name === undefined || keyId === undefined || encoded === undefined) return undefined;
  const typed = decodeBase64(encoded);
  if (typed?.length !== 33 || typed[0] !== ED25519) return undefined;
  return keyIdOf(name, typed) === keyId ? { name, keyId, publicKey: typed.subarray(1) } : undefined;
}

function keyIdOf(name: string, typed: Uint8Array): string {
  return bytesToHex(sha256(concatBytes(encodeUtf8(`${name}\n`), typed)).subarray(0, 4));
}
