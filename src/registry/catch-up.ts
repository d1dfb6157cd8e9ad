/** Entries that stand in the store but not yet in the chain: verified like a stranger's before they count. */
import { type Appended, type Chain, verifyEntry } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import { hashOf } from '../core/hash.ts';
import type { Verifier } from '../core/verifier.ts';
import type { Store } from '../store/store.ts';
import { assertStoredEntry } from './stored.ts';

const PAGE = 256;

export async function catchUp(
  store: Store,
  verifier: Verifier,
  chain: Chain | null,
): Promise<readonly Appended[]> {
  const appended: Appended[] = [];
  let current = chain;
  for (;;) {
    const page = await store.entries({ from: (current?.version ?? -1) + 1, limit: PAGE });
    if (page.length === 0) return appended;
    for (const entry of page) {
      assertStoredEntry(entry);
      // An earlier version with the same payload is a replay, whoever wrote it.
      const committedAt = await store.committedVersion(hashOf(entry.payload));
      const isReplayed = committedAt !== undefined && committedAt < entry.version;
      const next = await verifyEntry(current, entry, { verifier, isCommitted: () => isReplayed });
      if (next.chain.entryHash !== entry.entryHash)
        throw new RegistryError(
          'storage_damaged',
          `expected version ${entry.version} to be ${entry.entryHash}, got ${next.chain.entryHash}`,
        );
      appended.push(next);
      current = next.chain;
    }
  }
}
