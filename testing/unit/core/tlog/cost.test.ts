/** The cost of the tree in hashes and reads, counted under it: `core` gets a sha256 that counts its calls. */
import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';
import type { NodePlace, ReadNodes } from '../../../../src/core/tlog/merkle.ts';

const real = import.meta.resolve('@noble/hashes/sha2.js');
const counting = `data:text/javascript,${encodeURIComponent(
  `import { sha256 as real } from ${JSON.stringify(real)};
   export const calls = { count: 0 };
   export const sha256 = (bytes) => { calls.count++; return real(bytes); };`,
)}`;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@noble/hashes/sha2.js' && context.parentURL?.endsWith('/tlog/merkle.ts')
      ? { url: counting, shortCircuit: true }
      : next(specifier, context),
});

const { calls }: { calls: { count: number } } = await import(counting);
// Imported after the hook, as everything that leads to merkle.ts must be.
const {
  isConsistent,
  isIncluded,
  proveConsistency,
  proveInclusion,
  recordHash,
  rootAt,
  subtreesOf,
} = await import('../../../../src/core/tlog/merkle.ts');
const { LogTree } = await import('../../../../src/core/tlog/log-tree.ts');
const { SparseTree } = await import('../../../support/core-tlog.ts');

const SIZES = [1_000, 10_000, 100_000, 1_000_000];
const sparse = new SparseTree([]);
const places = (size: number): readonly number[] => [
  ...[0, 1, size - 1, size - 2, Math.floor(size / 2), Math.floor(size / 3)],
  ...Array.from({ length: 40 }, (_, i) => Math.floor((size * i) / 40)),
];

interface Cost {
  hashes: number;
  reads: number;
  calls: number;
}

/** `act` reads through a reader that counts; the synthetic tree's own hashes are not counted. */
async function costOf(act: (read: ReadNodes) => unknown): Promise<Cost> {
  const cost = { hashes: 0, reads: 0, calls: 0 };
  const before = calls.count;
  await act((asked: readonly NodePlace[]) => {
    cost.calls++;
    cost.reads += asked.length;
    return sparse.read(asked);
  });
  return { ...cost, hashes: calls.count - before };
}

function worst(costs: readonly Cost[]): Cost {
  const most = (name: keyof Cost): number => Math.max(...costs.map((cost) => cost[name]));
  return { hashes: most('hashes'), reads: most('reads'), calls: most('calls') };
}

/** Each value is at most `slope` for each doubling, and what is counted was counted. */
function assertLogarithmic(values: readonly number[], slope: number): void {
  values.forEach((value, i) => {
    const log = Math.log2(SIZES[i]!);
    assert.ok(value > 0, 'nothing was counted');
    assert.ok(value <= slope * log + 2, `${value} at ${SIZES[i]} leaves`);
  });
  // 10^6 leaves are twice the doublings of 10^3, not a thousand times the work.
  assert.ok(values.at(-1)! <= 3 * values[0]! + 6, `${values}`);
}

async function treeOf(size: number): Promise<typeof LogTree.EMPTY> {
  return LogTree.fromEdge({
    size,
    edge: await sparse.read(subtreesOf({ begin: 0, end: size })),
  });
}

test('an append costs two hashes on average and log n at worst, whatever the size', async () => {
  const atWorst: number[] = [];
  for (const size of SIZES) {
    let tree = await treeOf(size);
    let [most, all] = [0, 0];
    const appends = 1024;
    for (let i = 0; i < appends; i++) {
      const { hashes } = await costOf(() => {
        ({ tree } = tree.with(Uint8Array.of()));
      });
      most = Math.max(most, hashes);
      all += hashes;
    }
    assert.ok(all >= appends && all <= 2 * appends + 24, `${all} hashes for ${appends} appends`);
    atWorst.push(most);
  }
  assertLogarithmic(atWorst, 1);
});

test('an append and its root, what a commit needs, cost at most log n hashes and no read', async () => {
  const atWorst: number[] = [];
  for (const size of SIZES) {
    let tree = await treeOf(size);
    const costs: Cost[] = [];
    for (let i = 0; i < 1024; i++)
      costs.push(
        await costOf(() => {
          ({ tree } = tree.with(Uint8Array.of()));
          return tree.root;
        }),
      );
    assert.equal(worst(costs).reads, 0);
    atWorst.push(worst(costs).hashes);
    assert.ok(tree.edge.length <= Math.log2(tree.size) + 1);
  }
  assertLogarithmic(atWorst, 1);
});

test('the root of a size is read from log n nodes', async () => {
  const costs = [];
  for (const size of SIZES) costs.push(await costOf((read) => rootAt(size - 1, read)));
  assertLogarithmic(
    costs.map(({ reads }) => reads),
    1,
  );
  assertLogarithmic(
    costs.map(({ hashes }) => hashes),
    1,
  );
});

test('a proof of inclusion is one read of at most 2 log n nodes, and log n hashes to check', async () => {
  const [made, checked]: [Cost[], Cost[]] = [[], []];
  for (const size of SIZES) {
    const root = sparse.root(0n, BigInt(size));
    const costs: Cost[] = [];
    for (const index of places(size)) {
      let proof: readonly Uint8Array[] = [];
      costs.push(
        await costOf(async (read) => {
          proof = await proveInclusion({ index, size }, read);
        }),
      );
      const claim = { record: recordHash(Uint8Array.of()), index, size, proof, root };
      checked.push(await costOf(() => assert.ok(isIncluded(claim))));
      assert.ok(proof.length <= Math.ceil(Math.log2(size)));
    }
    made.push(worst(costs));
    assert.equal(made.at(-1)?.calls, 1);
  }
  assertLogarithmic(
    made.map(({ reads }) => reads),
    2,
  );
  assertLogarithmic(
    made.map(({ hashes }) => hashes),
    1,
  );
  // Both roots of a fold: two hashes for each left sibling.
  assert.ok(worst(checked).hashes <= 2 * 20, `${worst(checked).hashes} hashes`);
});

test('a proof of consistency is one read of at most 2 log n nodes, and 2 log n hashes to check', async () => {
  const [made, checked]: [Cost[], Cost[]] = [[], []];
  for (const size of SIZES) {
    const root = sparse.root(0n, BigInt(size));
    const costs: Cost[] = [];
    for (const from of places(size).filter((each) => each > 0)) {
      let proof: readonly Uint8Array[] = [];
      costs.push(
        await costOf(async (read) => {
          proof = await proveConsistency({ from, size }, read);
        }),
      );
      const fromRoot = sparse.root(0n, BigInt(from));
      checked.push(
        await costOf(() => assert.ok(isConsistent({ from, size, proof, fromRoot, root }))),
      );
      assert.ok(proof.length <= Math.ceil(Math.log2(size)) + 1);
    }
    made.push(worst(costs));
    assert.equal(made.at(-1)?.calls, 1);
  }
  assertLogarithmic(
    made.map(({ reads }) => reads),
    2,
  );
  assertLogarithmic(
    made.map(({ hashes }) => hashes),
    1,
  );
  assert.ok(worst(checked).hashes <= 2 * 21, `${worst(checked).hashes} hashes`);
});
