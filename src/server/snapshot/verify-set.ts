/** Descriptors held against the set root that an entry names: those at the head, and those at the oldest version that is kept. */
import { descriptorPath } from '../../core/descriptor.ts';
import { decodeLeaf } from '../../core/leaf.ts';
import { damaged } from '../../registry/stored.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import { DatabaseScan } from '../../store/sqlite-scan.ts';
import type { StoredEntry } from '../../store/store.ts';
import { HASH_BYTES, hashEach } from '../fast-hash/hash-each.ts';
import { assertHashes, assertPieces } from './pieces.ts';
import { SetRoot } from './set-root.ts';

/** What is current, as the rows have it: that they are right is for `verifyRows`. Throws `storage_damaged`. */
export async function verifyCurrent(path: string): Promise<void> {
  await using store = openSqliteReader({ path });
  using scan = new DatabaseScan(path);
  const current = new SetRoot();
  for (const { keys, keyLengths, hashes } of scan.currentPages()) {
    assertPieces(keys, keyLengths);
    assertHashes(hashes, keyLengths.length);
    const paths = hashEach(keys, keyLengths);
    for (let at = 0; at < hashes.length; at += HASH_BYTES)
      current.add(paths.subarray(at, at + HASH_BYTES), hashes.subarray(at, at + HASH_BYTES));
  }
  assertRoot(await store.head(), current);
}

/** The set whose payloads were pruned: what a checkpoint covers, it gives. Throws `storage_damaged`. */
export async function verifyOldest(path: string): Promise<void> {
  await using store = openSqliteReader({ path });
  const { oldest } = await store.retention();
  if (oldest === 0) return;
  const rows = new SetRoot();
  for await (const page of store.set(oldest))
    for (const row of page) rows.add(descriptorPath(row), row.valueHash);
  assertRoot(await store.entry(oldest), rows);
}

function assertRoot(entry: StoredEntry | undefined, rows: SetRoot): void {
  const leaf = entry && decodeLeaf(entry.leaf);
  const root = rows.root();
  if (root !== leaf?.set_root)
    throw damaged(
      `expected the descriptors at version ${leaf?.version} to give ${leaf?.set_root}, got ${root}`,
    );
  if (rows.size !== leaf.set_size)
    throw damaged(
      `expected ${leaf.set_size} descriptors at version ${leaf.version}, got ${rows.size}`,
    );
}
