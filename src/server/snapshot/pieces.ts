/** Columns that were read in one piece: they end where the lengths of their rows say. */
import { damaged } from '../../registry/stored.ts';
import { HASH_BYTES } from '../fast-hash/hash-each.ts';

/** Throws `storage_damaged`. */
export function assertPieces(bytes: Uint8Array, lengths: readonly number[]): void {
  let expected = 0;
  for (const length of lengths) expected += length;
  assertLength(bytes, expected);
}

/** Throws `storage_damaged`. */
export function assertHashes(bytes: Uint8Array, count: number): void {
  assertLength(bytes, count * HASH_BYTES);
}

function assertLength({ length }: Uint8Array, expected: number): void {
  if (length !== expected) throw damaged(`expected ${expected} bytes in a column, got ${length}`);
}
