/** Which blobs a text of canonical JSON names: a string that is an address and nothing else. */
import { type Hash, isHash } from '../../core/hash.ts';

const BEGINNING = Buffer.from('"b3:');
const QUOTED = /^"(b3:[0-9a-f]{64})"$/;
const QUOTED_BYTES = 'b3:'.length + 64 + 2;

/**
 * Canonical JSON escapes no quote that ends a string and no letter of an address, so bytes are enough. What is
 * found may also be the name of a member, or a hash of something else: then a blob of that address is kept for nothing.
 */
export function* namedBlobs(text: Uint8Array): Generator<Hash, undefined> {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  for (let at = bytes.indexOf(BEGINNING); at >= 0; at = bytes.indexOf(BEGINNING, at + 1)) {
    const [, address] = QUOTED.exec(bytes.toString('latin1', at, at + QUOTED_BYTES)) ?? [];
    if (isHash(address)) yield address;
  }
}
