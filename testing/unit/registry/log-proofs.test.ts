/** Proofs out of stored nodes, of which the high ones are kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { LogTree } from '../../../src/core/tlog/log-tree.ts';
import { isIncluded, type NodePlace } from '../../../src/core/tlog/merkle.ts';
import { LogProofs } from '../../../src/registry/log-proofs.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import { lying } from '../../support/lying-store.ts';

const SIZE = 10_000;
const keyOf = ({ level, index }: NodePlace): string => `${level}/${index}`;

function recordOf(version: number): Uint8Array {
  return new TextEncoder().encode(`record ${version}`);
}

function grow() {
  const nodes = new Map<string, Uint8Array>();
  let tree = LogTree.EMPTY;
  for (let version = 0; version < SIZE; version++) {
    const grown = tree.with(recordOf(version));
    tree = grown.tree;
    for (const node of grown.nodes) nodes.set(keyOf(node), node.hash);
  }
  return { tree, nodes };
}

const { tree, nodes } = grow();

/** Proofs over a store that counts what it is asked for, and may lie about it. */
function proofsOver(tell: (place: NodePlace) => Uint8Array | undefined) {
  const asked: NodePlace[] = [];
  const store: Store = lying(createMemoryStore(), {
    nodes: async (places) => {
      asked.push(...places);
      return places.map(tell);
    },
  });
  return { proofs: new LogProofs(store, () => tree), asked };
}

async function assertProves(proofs: LogProofs, version: number): Promise<void> {
  const proof = await proofs.inclusion({ version, size: SIZE });
  assert.ok(proof !== undefined);
  const record = nodes.get(keyOf({ level: 0, index: version }));
  assert.ok(record !== undefined);
  assert.ok(isIncluded({ index: version, size: SIZE, record, proof, root: tree.root }));
}

test('a high node is read from the store once, a low one each time', async () => {
  const { proofs, asked } = proofsOver((place) => nodes.get(keyOf(place)));
  for (let i = 0; i < 3; i++)
    for (const version of [0, 1, 2_047, 2_048, 4_096, 9_999]) await assertProves(proofs, version);
  const counts = Map.groupBy(asked, keyOf);
  const high = asked.filter(({ level }) => level >= 11);
  assert.ok(high.length > 0);
  for (const place of high) assert.equal(counts.get(keyOf(place))?.length, 1, keyOf(place));
  assert.equal(counts.get('0/0')?.length, 6);
});

test('a node that was damaged when it was read is read again', async () => {
  let isDamaged = true;
  const { proofs } = proofsOver((place) => {
    const hash = nodes.get(keyOf(place));
    return isDamaged && place.level === 11 ? hash?.map((byte) => byte ^ 1) : hash;
  });
  const refused = (error: unknown): boolean =>
    error instanceof RegistryError && error.code === 'storage_damaged';
  await assert.rejects(proofs.inclusion({ version: 5, size: SIZE }), refused);
  await assert.rejects(proofs.consistency({ from: 3_000, size: SIZE }), refused);
  isDamaged = false;
  await assertProves(proofs, 5);
  assert.ok((await proofs.consistency({ from: 3_000, size: SIZE })) !== undefined);
});
