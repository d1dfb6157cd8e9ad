/** What goes to a signature thread: many signatures in one piece of memory, handed over. */
import { RegistryError } from '../core/error.ts';
import type { SignedMessage } from '../core/verifier.ts';

const KEY = 32;
const SIGNATURE = 64;
const HEADER = KEY + SIGNATURE + 2;

/**
 * Each as its key, signature, length of message (two bytes) and message. Throws `internal` for what does
 * not fit: keys are 32 bytes, signatures 64, messages short of 64 KiB.
 */
export function packSigned(batch: readonly SignedMessage[]): Uint8Array {
  if (!batch.every(isPackable))
    throw new RegistryError('internal', 'expected signatures as approvals carry them, got others');
  const size = batch.reduce((sum, { message }) => sum + HEADER + message.length, 0);
  const packed = new Uint8Array(size);
  let at = 0;
  for (const { publicKey, message, signature } of batch) {
    packed.set(publicKey, at);
    packed.set(signature, at + KEY);
    packed[at + KEY + SIGNATURE] = message.length >> 8;
    packed[at + KEY + SIGNATURE + 1] = message.length;
    packed.set(message, at + HEADER);
    at += HEADER + message.length;
  }
  return packed;
}

function isPackable({ publicKey, message, signature }: SignedMessage): boolean {
  return publicKey.length === KEY && signature.length === SIGNATURE && message.length <= 0xffff;
}

export function unpackSigned(packed: Uint8Array): readonly SignedMessage[] {
  const batch: SignedMessage[] = [];
  for (let at = 0; at < packed.length; ) {
    const [high = 0, low = 0] = packed.subarray(at + KEY + SIGNATURE, at + HEADER);
    const end = at + HEADER + high * 256 + low;
    batch.push({
      publicKey: packed.subarray(at, at + KEY),
      signature: packed.subarray(at + KEY, at + KEY + SIGNATURE),
      message: packed.subarray(at + HEADER, end),
    });
    at = end;
  }
  return batch;
}
