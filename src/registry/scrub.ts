/** Walks the whole log once after a start: every entry hashes to itself and follows the one before. */
import type { Hash } from '../core/hash.ts';
import type { Store } from '../store/store.ts';
import { assertStoredEntry, damaged } from './stored.ts';

const PAGE = 256;

/**
 * Throws `storage_damaged` at the first entry that is missing, altered or does not follow. `head` is
 * the entry everything must lead to. The event loop gets a turn after each page.
 */
export async function scrubLog(
  store: Store,
  {
    head,
    onProgress,
    signal,
  }: {
    readonly head: { readonly version: number; readonly entryHash: Hash };
    readonly onProgress: (checked: number) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  let previous: Hash | null = null;
  for (let version = 0; version <= head.version; ) {
    const page = await store.entries({
      from: version,
      limit: Math.min(PAGE, head.version + 1 - version),
    });
    if (signal.aborted) return;
    if (page.length === 0) throw damaged(`expected version ${version} in the log, got nothing`);
    for (const entry of page) {
      const leaf = assertStoredEntry(entry);
      if (leaf.version !== version || leaf.prev_hash !== previous)
        throw damaged(
          `expected version ${version} to follow ${previous ?? 'nothing'}, got version ${leaf.version} after ${leaf.prev_hash ?? 'nothing'}`,
        );
      previous = entry.entryHash;
      version++;
    }
    onProgress(version);
  }
  if (previous !== head.entryHash)
    throw damaged(`expected the log to lead to ${head.entryHash}, got ${previous}`);
}
