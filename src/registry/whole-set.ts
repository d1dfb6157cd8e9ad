/** A whole set as its rows come from a store, for who has no tree to hold each of them against. */
import { descriptorPath } from '../core/descriptor.ts';
import { formatHash, type Hash } from '../core/hash.ts';
import { rootOfRows, SetRows } from '../core/set-rows.ts';
import type { Store } from '../store/store.ts';
import { assertDescriptor } from './load.ts';
import { damaged } from './stored.ts';

export interface ExpectedSet {
  readonly version: number;
  readonly setRoot: Hash;
  readonly size: number;
}

/**
 * Canonical descriptor bytes, sorted by kind, then id. What was read is the set only once the last page
 * has come: throws `storage_damaged` instead of ending where it gives another root or size.
 */
export async function* readWholeSet(
  store: Pick<Store, 'set'>,
  { version, setRoot, size }: ExpectedSet,
): AsyncGenerator<readonly Uint8Array[]> {
  const rows = new SetRows(size);
  for await (const page of store.set(version)) {
    for (const row of page) {
      assertDescriptor(row);
      rows.add(descriptorPath(row), row.valueHash);
    }
    yield page.map((row) => row.bytes);
  }
  const found = formatHash(rootOfRows(rows.bytes));
  if (found !== setRoot || rows.count !== size)
    throw damaged(
      `expected the ${size} descriptors at version ${version} to give ${setRoot}, got ${rows.count} that give ${found}`,
    );
}
