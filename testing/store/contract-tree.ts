/** The contract's part on the tree over the leaves and on the checkpoint kept last. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { NodePlace, TreeNode } from '../../src/core/tlog/merkle.ts';
import { EMPTY_VERSION, type Store } from '../../src/store/store.ts';
import {
  appendHistory,
  leafAt,
  makeEntry,
  makeProposal,
  nodesAt,
} from '../support/store-entries.ts';

type Open = (t: TestContext) => Promise<Store>;

const sha256 = (...parts: Uint8Array[]): Uint8Array =>
  new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());

/** RFC 6962 2.1, as the definition says it. */
function subtreeHash({ level, index }: NodePlace): Uint8Array {
  if (level === 0) return sha256(Uint8Array.of(0), leafAt(index));
  const [left, right] = [2 * index, 2 * index + 1].map((at) =>
    subtreeHash({ level: level - 1, index: at }),
  );
  return sha256(Uint8Array.of(1), left!, right!);
}

/** All complete subtrees of the first `size` leaves, and on each level the first that is not. */
function placesOf(size: number): { there: NodePlace[]; missing: NodePlace[] } {
  const there: NodePlace[] = [];
  const missing: NodePlace[] = [];
  for (let level = 0; 2 ** level <= 2 * size; level++) {
    const count = Math.floor(size / 2 ** level);
    for (let index = 0; index < count; index++) there.push({ level, index });
    missing.push({ level, index: count });
  }
  return { there, missing };
}

async function assertTree(store: Store, size: number): Promise<void> {
  const { there, missing } = placesOf(size);
  assert.deepEqual(await store.nodes(there), there.map(subtreeHash), `${size} leaves`);
  const absent = await store.nodes(missing);
  assert.deepEqual(
    absent,
    missing.map(() => undefined),
    `beyond ${size} leaves`,
  );
}

export function treeTests(open: Open): void {
  test('leaves come alone, in order, and end with the log', async (t) => {
    const store = await open(t);
    const entries = [0, 1, 2, 3, 4].map((version) => makeEntry(version));
    await store.append({ expected: EMPTY_VERSION, entries });
    const leaves = entries.map(({ leaf }) => leaf);
    assert.deepEqual(await store.leaves({ from: 0, limit: 10 }), leaves);
    assert.deepEqual(await store.leaves({ from: 1, limit: 2 }), leaves.slice(1, 3));
    assert.deepEqual(await store.leaves({ from: 5, limit: 2 }), []);
  });

  readTests(open);
  writeTests(open);
  checkpointTests(open);
}

function readTests(open: Open): void {
  test('after appends of any size exactly the complete subtrees of the log are there', async (t) => {
    const store = await open(t);
    let size = 0;
    await assertTree(store, size);
    for (const count of [1, 1, 1, 2, 3, 1, 7, 1, 15, 1, 31, 5]) {
      const entries = Array.from({ length: count }, (_, i) => makeEntry(size + i));
      await store.append({ expected: size - 1, entries });
      size += count;
      await assertTree(store, size);
    }
    assert.equal(size, 69);
  });

  test('nodes come in the order asked for, however often, with a hole for each that is missing', async (t) => {
    const store = await open(t);
    await appendHistory(store, [[], [], []]);
    const [first, both, last] = [
      { level: 0, index: 0 },
      { level: 1, index: 0 },
      { level: 0, index: 2 },
    ];
    const asked = [last, { level: 9, index: 0 }, first, both, { level: 0, index: 3 }, first];
    const hashes = [last, undefined, first, both, undefined, first].map(
      (place) => place && subtreeHash(place),
    );
    assert.deepEqual(await store.nodes(asked), hashes);
    assert.deepEqual(await store.nodes([]), []);
  });

  test('a run is consecutive from its index, no longer than asked for, and ends where the level ends', async (t) => {
    const store = await open(t);
    await appendHistory(
      store,
      Array.from({ length: 21 }, () => []),
    );
    const lengths = [];
    for (const level of [0, 1, 2, 3, 4, 5, 6])
      for (const index of [0, 1, 2, 9, 20, 21])
        for (const count of [1, 2, 256]) {
          const run = await store.nodeRun({ level, index, count });
          const length = Math.max(0, Math.min(count, Math.floor(21 / 2 ** level) - index));
          const places = Array.from({ length }, (_, i) => ({ level, index: index + i }));
          assert.deepEqual(run, places.map(subtreeHash), `${count} of level ${level} at ${index}`);
          lengths.push(length);
        }
    assert.ok(lengths.includes(21) && lengths.includes(0));
    assert.deepEqual(await store.nodeRun({ level: 0, index: 0, count: 0 }), []);
  });
}

/** Appends of one entry to a log of one, whose nodes break the log's rules. */
const BROKEN: readonly (readonly [string, (own: readonly TreeNode[]) => readonly TreeNode[]])[] = [
  ['repeats a node that is there', () => nodesAt(0)],
  ['replaces a node that is there', () => [{ level: 0, index: 0, hash: new Uint8Array(32) }]],
  ['brings a node twice', (own) => [...own, own[0]!]],
  ['skips a node', () => nodesAt(2)],
];

function writeTests(open: Open): void {
  test('hashes are kept as they come, not judged', async (t) => {
    const store = await open(t);
    const hash = new Uint8Array(32).fill(7);
    const nodes = [{ level: 0, index: 0, hash }];
    await store.append({ expected: EMPTY_VERSION, entries: [makeEntry(0, { nodes })] });
    assert.deepEqual(await store.nodes([{ level: 0, index: 0 }]), [hash]);
  });

  test('a conflict adds no nodes', async (t) => {
    const store = await open(t);
    await appendHistory(store, [[]]);
    const answer = await store.append({ expected: EMPTY_VERSION, entries: [makeEntry(1)] });
    assert.equal(answer.outcome, 'conflict');
    await assertTree(store, 1);
  });

  test('a batch that fails at its last entry leaves no nodes of its first', async (t) => {
    const store = await open(t);
    await appendHistory(store, [[]]);
    const entries = [makeEntry(1), makeEntry(2, { payload: makeEntry(0).payload })];
    await assert.rejects(store.append({ expected: 0, entries }), { code: 'outcome_unknown' });
    await assertTree(store, 1);
  });

  for (const [fault, breakNodes] of BROKEN)
    test(`an append that ${fault} writes nothing and ends all writing`, async (t) => {
      const store = await open(t);
      await appendHistory(store, [[]]);
      await store.putCheckpoint('kept');
      const entry = makeEntry(1, { nodes: breakNodes(nodesAt(1)) });
      const append = store.append({ expected: 0, entries: [entry] });
      await assert.rejects(append, { code: 'outcome_unknown' });
      await assert.rejects(store.putCheckpoint('lost'), { code: 'outcome_unknown' });
      const sound = { expected: 0, entries: [makeEntry(1)] };
      await assert.rejects(store.append(sound), { code: 'outcome_unknown' });
      assert.equal((await store.head())?.version, 0);
      assert.equal(await store.checkpoint(), 'kept');
      await assertTree(store, 1);
    });
}

function checkpointTests(open: Open): void {
  test('the checkpoint is the one kept last, to the letter', async (t) => {
    const store = await open(t);
    assert.equal(await store.checkpoint(), undefined);
    for (const note of ['log.example\n1\nroot\n\n\u2014 log.example c2ln\n', 'shorter\n', '']) {
      assert.equal(await store.putCheckpoint(note), undefined);
      assert.equal(await store.checkpoint(), note);
    }
  });

  test('checkpoints and entries that are written at once all stand, the last checkpoint on top', async (t) => {
    const store = await open(t);
    const writes = [0, 1, 2, 3].flatMap((version) => [
      store.append({ expected: version - 1, entries: [makeEntry(version)] }),
      store.putCheckpoint(`checkpoint of ${version}`),
      store.putProposal(makeProposal(`${version}`)),
    ]);
    await Promise.all(writes);
    await assertTree(store, 4);
    assert.equal(await store.checkpoint(), 'checkpoint of 3');
    assert.equal((await store.proposals()).length, 4);
  });

  test('a closed store keeps no checkpoint', async (t) => {
    const store = await open(t);
    await store[Symbol.asyncDispose]();
    await assert.rejects(store.putCheckpoint('late'), { code: 'storage_failed' });
  });
}
