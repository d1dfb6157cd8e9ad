/** What a database says of itself, for the header of its snapshot: read, and judged by nobody yet. */
import { RegistryError } from '../../core/error.ts';
import { loadTree } from '../../registry/log-nodes.ts';
import { assertStoredEntry } from '../../registry/stored.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import type { SnapshotFacts } from './header.ts';

/** Throws `not_initialised` for an empty database, and `storage_damaged`. */
export async function readFacts(store: ReadStore): Promise<SnapshotFacts> {
  const [head, genesis] = [await store.head(), await store.entry(0)];
  if (head === undefined || genesis === undefined) throw emptyRegistry();
  const leaf = assertStoredEntry(head);
  const tree = await loadTree(store, leaf.version + 1);
  return {
    origin: leaf.origin,
    registry: assertStoredEntry(genesis).payload_b3,
    version: leaf.version,
    entryHash: head.entryHash,
    setRoot: leaf.set_root,
    setSize: leaf.set_size,
    oldest: (await store.retention()).oldest,
    // They are numbered from 1 on.
    governanceVersion: (await store.governanceEntries()).length,
    checkpoint: (await store.checkpoint()) ?? null,
    treeRoot: tree.root,
    proposals: (await store.proposals()).length,
  };
}

export function emptyRegistry(): RegistryError {
  return new RegistryError('not_initialised', 'expected a registry to copy, got an empty one');
}
