/**
 * C2SP tlog-cosignature: what a cosigner signs, and the form in which its time and signature stand in
 * a note. Also what an ML-DSA key of the log itself signs, which has the same form.
 */
import { concatBytes } from '@noble/hashes/utils.js';
import { encodeUtf8 } from '../bytes.ts';
import { RegistryError } from '../error.ts';
import type { Checkpoint } from './checkpoint.ts';

export interface Cosignature {
  /** POSIX seconds; 0: says nothing about time. */
  readonly timestamp: number;
  /** 64 bytes, for ML-DSA-44 2,420. */
  readonly signature: Uint8Array;
}

/** The message of an Ed25519 cosigner over a note's text at a time. */
export function cosignedMessage(text: string, timestamp: number): Uint8Array {
  return encodeUtf8(`cosignature/v1\ntime ${timestamp}\n${text}`);
}

/** The message of an ML-DSA-44 key named `cosigner` over a checkpoint at a time. */
export function cosignedSubtree(
  { origin, size, root }: Checkpoint,
  { cosigner, timestamp }: { readonly cosigner: string; readonly timestamp: number },
): Uint8Array {
  return concatBytes(
    encodeUtf8('subtree/v1\n\0'),
    shortText(cosigner),
    uint64(timestamp),
    shortText(origin),
    uint64(0),
    uint64(size),
    root,
  );
}

/** What follows the key id in a signature line. */
export function encodeCosignature({ timestamp, signature }: Cosignature): Uint8Array {
  return concatBytes(uint64(timestamp), signature);
}

/** `undefined` for anything but 8 bytes of a time and `signatureBytes` more. */
export function decodeCosignature(
  bytes: Uint8Array,
  signatureBytes: number,
): Cosignature | undefined {
  if (bytes.length !== 8 + signatureBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const timestamp = Number(view.getBigUint64(0));
  if (!Number.isSafeInteger(timestamp)) return undefined;
  return { timestamp, signature: bytes.subarray(8) };
}

function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** TLS presentation: the length in one byte. */
function shortText(text: string): Uint8Array {
  const bytes = encodeUtf8(text);
  if (bytes.length > 255)
    throw new RegistryError(
      'invalid_request',
      `expected a name of at most 255 bytes, got ${bytes.length}`,
    );
  return concatBytes(Uint8Array.of(bytes.length), bytes);
}
