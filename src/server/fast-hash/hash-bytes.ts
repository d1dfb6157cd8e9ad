/** The hash of bytes that are all there, short or long, by whichever way is quicker. */
import { blake3Bytes } from '../../core/hash.ts';
import { createHasher } from './hasher.ts';

/** From here on the kernel gains more than its start costs. */
const LARGE_BYTES = 2_048;

/** 32 bytes. */
export function hashBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length < LARGE_BYTES) return blake3Bytes(bytes);
  const hasher = createHasher();
  hasher.update(bytes);
  return hasher.digest();
}
