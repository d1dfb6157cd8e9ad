/** Proofs out of stored nodes, each of which is proven, and the high ones kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { LogTree } from '../../../src/core/tlog/log-tree.ts';
import {
  EMPTY_ROOT,
  isConsistent,
  isIncluded,
  type NodePlace,
} from '../../../src/core/tlog/merkle.ts';
import { LogProofs } from '../../../src/registry/log-proofs.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import { lying } from '../../support/lying-store.ts';
import { makeRandom } from '../../support/random.ts';

const SIZE = 10_000;
const keyOf = ({ level, index }: NodePlace): string => `${level}/${index}`;

function recordOf(version: number): Uint8Array {
  return new TextEncoder().encode(`record ${version}`);
}

function grow() {
  const nodes = new Map<string, Uint8Array>();
  const trees = [LogTree.EMPTY];
  let tree = LogTree.EMPTY;
  for (let version = 0; version < SIZE; version++) {
    const grown = tree.with(recordOf(version));
    tree = grown.tree;
    trees.push(tree);
    for (const node of grown.nodes) nodes.set(keyOf(node), node.hash);
  }
  return { tree, trees, nodes };
}

const { tree, trees, nodes } = grow();

function told(place: NodePlace): Uint8Array | undefined {
  return nodes.get(keyOf(place));
}

/** Proofs over a store that counts what it is asked for, and may lie about it. */
function proofsOver(tell: (place: NodePlace) => Uint8Array | undefined, current = () => tree) {
  const asked: NodePlace[] = [];
  const calls: number[] = [];
  const store: Store = lying(createMemoryStore(), {
    nodes: async (places) => {
      asked.push(...places);
      calls.push(places.length);
      return places.map(tell);
    },
    nodeRun: async ({ level, index, count }) =>
      Array.from({ length: count }, (_, i) => tell({ level, index: index + i }) ?? EMPTY_ROOT),
  });
  return { proofs: new LogProofs(store, current), asked, calls };
}

async function assertProves(proofs: LogProofs, version: number, size = SIZE): Promise<void> {
  const proof = await proofs.inclusion({ version, size });
  assert.ok(proof !== undefined);
  const record = told({ level: 0, index: version });
  assert.ok(record !== undefined);
  const root = trees[size]?.root ?? EMPTY_ROOT;
  assert.ok(isIncluded({ index: version, size, record, proof, root }), `${version} in ${size}`);
}

async function assertContinues(proofs: LogProofs, from: number, size = SIZE): Promise<void> {
  const proof = await proofs.consistency({ from, size });
  assert.ok(proof !== undefined);
  const [fromRoot, root] = [from, size].map((leaves) => trees[leaves]?.root ?? EMPTY_ROOT);
  assert.ok(fromRoot !== undefined && root !== undefined);
  assert.ok(isConsistent({ from, size, proof, fromRoot, root }), `${from} to ${size}`);
}

const isDamage = (error: unknown): boolean =>
  error instanceof RegistryError && error.code === 'storage_damaged';

test('every proof of every size holds, whatever was asked for before and however the log grew', async () => {
  const seed = Date.now() % 2 ** 31;
  const random = makeRandom(seed);
  const below = (bound: number): number => Math.floor(random() * bound);
  let size = 1;
  const { proofs } = proofsOver(told, () => trees[size] ?? tree);
  for (; size <= SIZE; size += 1 + below(size / 4))
    for (let i = 0; i < 20; i++) {
      const of = i < 5 ? size : 1 + below(size);
      await assertProves(proofs, below(of), of);
      await assertContinues(proofs, i === 0 ? of : below(of + 1), of);
    }
  assert.equal(await proofs.inclusion({ version: 0, size: SIZE + 9_999 }), undefined, `${seed}`);
});

test('a node that a proof or a tile is made of or proven by is missed where it is damaged', async () => {
  const asks: readonly ((proofs: LogProofs) => Promise<unknown>)[] = [
    (proofs) => proofs.inclusion({ version: 5, size: SIZE }),
    (proofs) => proofs.inclusion({ version: 2_300, size: 7_777 }),
    (proofs) => proofs.inclusion({ version: 9_989, size: 9_990 }),
    (proofs) => proofs.consistency({ from: 3_001, size: SIZE }),
    (proofs) => proofs.consistency({ from: 513, size: 9_871 }),
    (proofs) => proofs.tile({ level: 0, index: 7, width: 256 }),
    (proofs) => proofs.tile({ level: 0, index: 39, width: 13 }),
    (proofs) => proofs.tile({ level: 1, index: 0, width: 37 }),
  ];
  for (const [i, ask] of asks.entries()) {
    const whole = proofsOver(told);
    await ask(whole.proofs);
    assert.ok(whole.asked.length > 0 && whole.calls.length === 1, `${i}: ${whole.calls}`);
    for (const damaged of whole.asked.map(keyOf)) {
      const flipped = proofsOver((place) =>
        keyOf(place) === damaged ? told(place)?.map((byte) => byte ^ 1) : told(place),
      );
      await assert.rejects(ask(flipped.proofs), isDamage, `${i}: ${damaged} flipped`);
      const lost = proofsOver((place) => (keyOf(place) === damaged ? undefined : told(place)));
      await assert.rejects(ask(lost.proofs), isDamage, `${i}: ${damaged} lost`);
    }
  }
});

test('a tile is held against what is kept of the nodes above it', async () => {
  let isLying = false;
  const { proofs, asked } = proofsOver((place) =>
    isLying && keyOf(place) === '0/517' ? EMPTY_ROOT : told(place),
  );
  await assertProves(proofs, 517);
  asked.length = 0;
  const tile = { level: 0, index: 2, width: 256 };
  assert.equal((await proofs.tile(tile))?.length, 256 * 32);
  assert.equal(asked.length, 0);
  isLying = true;
  await assert.rejects(proofs.tile(tile), isDamage);
});

test('once the high nodes are kept a proof is one read of what lies in one tile', async () => {
  const { proofs, calls } = proofsOver(told);
  const versions = Array.from({ length: 100 }, (_, i) => i * 97);
  for (const version of versions) await assertProves(proofs, version);
  calls.length = 0;
  for (const version of versions) await assertProves(proofs, version);
  for (const version of versions) await assertContinues(proofs, version + 1);
  assert.ok(calls.length <= 2 * versions.length && Math.max(...calls) === 9, `${calls}`);
});

test('a high node is read from the store once, a low one each time', async () => {
  const { proofs, asked } = proofsOver(told);
  for (let i = 0; i < 3; i++)
    for (const version of [0, 1, 2_047, 2_048, 4_096, 9_999]) await assertProves(proofs, version);
  const counts = Map.groupBy(asked, keyOf);
  const high = asked.filter(({ level }) => level >= 8);
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
  await assert.rejects(proofs.inclusion({ version: 5, size: SIZE }), isDamage);
  await assert.rejects(proofs.consistency({ from: 3_000, size: SIZE }), isDamage);
  isDamaged = false;
  await assertProves(proofs, 5);
  assert.ok((await proofs.consistency({ from: 3_000, size: SIZE })) !== undefined);
});
