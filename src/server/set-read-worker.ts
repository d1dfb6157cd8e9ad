/** The thread that reads the set at the head, on a connection of its own: a column at a time, as snapshots are read. */
import { excerpt, type RegistryError } from '../core/error.ts';
import { SetRows } from '../core/set-rows.ts';
import { damaged } from '../registry/stored.ts';
import { SMALL_CACHE_BYTES } from '../store/sqlite-open.ts';
import { DatabaseScan, type SetPage } from '../store/sqlite-scan.ts';
import { HASH_BYTES, hashEach } from './fast-hash/hash-each.ts';
import { reportOutcome } from './reporting-thread.ts';
import type { SetReadData } from './set-read.ts';
import { assertHashes, assertPieces } from './snapshot/pieces.ts';

/** Some twenty milliseconds. */
const TELL_EVERY = 4_096;

reportOutcome(
  async ({ path, size }: SetReadData, onProgress): Promise<Uint8Array<ArrayBuffer>> => {
    using scan = new DatabaseScan(path, { cacheBytes: SMALL_CACHE_BYTES });
    const rows = new SetRows(size);
    let told = 0;
    for (const page of scan.setPages()) {
      addRows(rows, page);
      if (rows.count - told < TELL_EVERY) continue;
      told = rows.count;
      onProgress({ done: told, total: size });
    }
    return rows.bytes;
  },
  ({ buffer }) => [buffer],
);

/** Throws `storage_damaged`. */
function addRows(rows: SetRows, page: SetPage): void {
  const { keys, keyLengths, hashes, bytes, lengths } = page;
  assertPieces(keys, keyLengths);
  assertPieces(bytes, lengths);
  assertHashes(hashes, lengths.length);
  const values = hashEach(bytes, lengths);
  const paths = hashEach(keys, keyLengths);
  assertHashes(paths, lengths.length);
  if (!hashes.equals(values)) throw damagedAmong(page, values);
  for (let at = 0; at < paths.length; at += HASH_BYTES)
    rows.add(paths.subarray(at, at + HASH_BYTES), values.subarray(at, at + HASH_BYTES));
}

/** `values`: what its values hash to. */
function damagedAmong({ keys, keyLengths, hashes }: SetPage, values: Uint8Array): RegistryError {
  const isOther = (row: number): boolean => {
    const [begin, end] = [row * HASH_BYTES, (row + 1) * HASH_BYTES];
    return !hashes.subarray(begin, end).equals(values.subarray(begin, end));
  };
  const row = keyLengths.findIndex((_, i) => isOther(i));
  const at = keyLengths.slice(0, row).reduce((total, length) => total + length, 0);
  const key = keys.toString('utf8', at, at + (keyLengths[row] ?? 0));
  return damaged(`expected ${excerpt(key)} to hash to its value hash, got other bytes`);
}
