/** The cost of an update in hashes, counted under the tree: `core` gets a hash that counts its calls. */
import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';

const real = import.meta.resolve('../../../src/core/blake3.ts');
const counting = `data:text/javascript,${encodeURIComponent(
  `import { hashBlake3 as real, IS_LITTLE_ENDIAN } from ${JSON.stringify(real)};
   export { IS_LITTLE_ENDIAN };
   export const calls = { count: 0 };
   export const hashBlake3 = (bytes) => { calls.count++; return real(bytes); };`,
)}`;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === './blake3.ts' && context.parentURL?.endsWith('/core/hash.ts')
      ? { url: counting, shortCircuit: true }
      : next(specifier, context),
});

const { calls }: { calls: { count: number } } = await import(counting);
const { SetTree } = await import('../../../src/core/set-tree.ts');
const { blake3Bytes } = await import('../../../src/core/hash.ts');

const path = (i: number): Uint8Array => blake3Bytes(new TextEncoder().encode(`service/${i}`));
const valueHash = (i: number): Uint8Array => new Uint8Array(32).fill(i);

function hashesOf(act: () => unknown): number {
  const before = calls.count;
  act();
  return calls.count - before;
}

function treeOf(size: number): typeof SetTree.EMPTY {
  return SetTree.EMPTY.with(
    Array.from({ length: size }, (_, i) => ({ path: path(i), valueHash: valueHash(i) })),
  );
}

test('building a set of N costs about two hashes for each descriptor', () => {
  const changes = Array.from({ length: 4096 }, (_, i) => ({
    path: path(i),
    valueHash: valueHash(i),
  }));
  const hashes = hashesOf(() => SetTree.EMPTY.with(changes));
  assert.ok(hashes >= 2 * 4096 - 1, `${hashes} hashes were counted`);
  assert.ok(hashes < 3 * 4096, `${hashes} hashes`);
});

test('one update costs hashes like log N: each doubling of N adds about one', () => {
  const sizes = [256, 512, 1024, 2048, 4096];
  const means = sizes.map((size) => {
    const tree = treeOf(size);
    const samples = Array.from({ length: 40 }, (_, i) => {
      const change = { path: path(i * 3), valueHash: valueHash(255) };
      return hashesOf(() => tree.with([change]));
    });
    return samples.reduce((sum, each) => sum + each, 0) / samples.length;
  });
  means.forEach((mean, i) => {
    const log = Math.log2(sizes[i] ?? 1);
    assert.ok(mean > log && mean < log + 5, `${mean} hashes for one of ${sizes[i]}`);
  });
  const perDoubling = ((means.at(-1) ?? 0) - (means[0] ?? 0)) / (sizes.length - 1);
  assert.ok(perDoubling > 0.7 && perDoubling < 1.3, `${perDoubling} more for each doubling`);
});

test('reading costs no hash', () => {
  const tree = treeOf(1000);
  const paths = [path(5), path(5000)];
  const reads = (): void => paths.forEach((each) => void [tree.get(each), tree.branch(each)]);
  assert.equal(hashesOf(reads), 0);
});
