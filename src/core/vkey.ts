/**
 * C2SP verifier keys of every kind that signs notes here (`name+keyid+base64(type||key)`): the log's
 * own, cosigners' and post-quantum ones. Reading and writing the key only.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';
import { decodeBase64, encodeBase64, encodeUtf8 } from './bytes.ts';

/** C2SP signed-note, "Signature types", and the bytes of a public key. */
const KEY_TYPES = {
  ed25519: { type: 0x01, bytes: 32 },
  cosigner: { type: 0x04, bytes: 32 },
  'ml-dsa-44': { type: 0x06, bytes: 1312 },
} as const;

/** `ed25519` signs a note's text; `cosigner` is Ed25519 over text and time; `ml-dsa-44` over a tree head and time. */
export type KeyType = keyof typeof KEY_TYPES;

export interface VerifierKey {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly keyId: string;
  readonly type: KeyType;
  /** 32 bytes, for `ml-dsa-44` 1,312; not yet admitted by QV1. */
  readonly publicKey: Uint8Array;
}

export function encodeVerifierKey({
  name,
  type = 'ed25519',
  publicKey,
}: {
  readonly name: string;
  readonly type?: KeyType;
  readonly publicKey: Uint8Array;
}): string {
  const typed = concatBytes(Uint8Array.of(KEY_TYPES[type].type), publicKey);
  return `${name}+${keyIdOf(name, typed)}+${encodeBase64(typed)}`;
}

/** `undefined` for anything but a well-formed key of a known type whose id fits its name and bytes. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  // C2SP: a name has no '+', the base64 part may.
  const match = /^([^+\s\p{Cc}]+)\+([0-9a-f]{8})\+(.+)$/u.exec(text);
  const [, name, keyId, encoded] = match ?? [];
  if (name === undefined || keyId === undefined || encoded === undefined) return undefined;
  const typed = decodeBase64(encoded);
  const type = NAMES.find((candidate) => KEY_TYPES[candidate].type === typed?.[0]);
  if (typed === undefined || type === undefined) return undefined;
  const isKey = typed.length === 1 + KEY_TYPES[type].bytes && keyIdOf(name, typed) === keyId;
  return isKey ? { name, keyId, type, publicKey: typed.subarray(1) } : undefined;
}

/** Verifier keys of a log, as far as they can sign checkpoints; what is none is left out. */
export function parseLogKeys(vkeys: readonly string[]): readonly VerifierKey[] {
  return vkeys
    .map(parseVerifierKey)
    .filter((key): key is VerifierKey => key !== undefined && key.type !== 'cosigner');
}

const NAMES = Object.keys(KEY_TYPES) as readonly KeyType[];

function keyIdOf(name: string, typed: Uint8Array): string {
  return bytesToHex(sha256(concatBytes(encodeUtf8(`${name}\n`), typed)).subarray(0, 4));
}
