/** Believes nothing of a store: verifies every entry from genesis and holds the rows against the result. */
import assert from 'node:assert/strict';
import { type Chain, verifyEntry } from '../../src/core/chain.ts';
import { descriptorPath, descriptorValueHash } from '../../src/core/descriptor.ts';
import { type Hash, hashOf } from '../../src/core/hash.ts';
import { SetTree } from '../../src/core/set-tree.ts';
import type { Checkpoint } from '../../src/core/tlog/checkpoint.ts';
import { readSignedCheckpoint } from '../../src/core/tlog/note-signatures.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import type { Store } from '../../src/store/store.ts';

export type LogReads = Pick<
  Store,
  'head' | 'entries' | 'set' | 'committedVersion' | 'nodes' | 'checkpoint'
>;

/** Answers the chain at the head; throws at the first thing that is wrong. */
export async function checkLog(store: LogReads): Promise<Chain | null> {
  const verifier = createNativeVerifier();
  const committed = new Set<Hash>();
  const kept = await keptCheckpoint(store);
  let chain: Chain | null = null;
  for (;;) {
    const page = await store.entries({ from: (chain?.version ?? -1) + 1, limit: 100 });
    for (const entry of page) {
      const next = await verifyEntry(chain, entry, {
        verifier,
        isCommitted: (hash) => committed.has(hash),
      });
      assert.equal(next.chain.entryHash, entry.entryHash);
      committed.add(hashOf(entry.payload));
      assert.equal(await store.committedVersion(hashOf(entry.payload)), entry.version);
      assert.equal(
        await rootOf(store, entry.version),
        next.leaf.set_root,
        `set rows at version ${entry.version}`,
      );
      assert.deepEqual(
        await store.nodes(next.nodes),
        next.nodes.map(({ hash }) => hash),
        `tree nodes of version ${entry.version}`,
      );
      if (kept?.size === next.chain.tree.size) assert.deepEqual(next.chain.tree.root, kept.root);
      chain = next.chain;
    }
    if (page.length === 0) break;
  }
  assert.equal((await store.head())?.entryHash, chain?.entryHash);
  assert.ok(
    (kept?.size ?? 0) <= (chain?.tree.size ?? 0),
    'no checkpoint covers more than there is',
  );
  return chain;
}

async function keptCheckpoint(store: LogReads): Promise<Checkpoint | undefined> {
  const note = await store.checkpoint();
  return note === undefined ? undefined : readSignedCheckpoint(note);
}

async function rootOf(store: LogReads, version: number): Promise<Hash> {
  let tree = SetTree.EMPTY;
  for await (const page of store.set(version))
    tree = tree.with(
      page.map((row) => ({ path: descriptorPath(row), valueHash: descriptorValueHash(row.bytes) })),
    );
  return tree.root;
}
