/** What a whole set costs to read, in hashes: its own size, whichever way, and nothing of its history. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exponentOf, hashesOf } from '../../support/counted-hashes.ts';

const { openTestRegistry, put } = await import('../../support/registry.ts');
const { readWholeSet } = await import('../../../src/registry/whole-set.ts');

/** `size` descriptors, each put `releases` times. */
async function openSet(size: number, releases: number) {
  const real = await openTestRegistry();
  for (let release = 0; release < releases; release++)
    await real.change(
      ...Array.from({ length: size }, (_, i) =>
        put(`d${i}`, { release }, release === 0 ? undefined : { release: release - 1 }),
      ),
    );
  return real;
}

async function readAll(pages: AsyncIterable<readonly Uint8Array[]>): Promise<number> {
  let rows = 0;
  for await (const page of pages) rows += page.length;
  return rows;
}

async function costsOf(size: number, releases: number) {
  const { registry, store } = await openSet(size, releases);
  const { reader } = registry;
  const version = releases;
  const set = await reader.set(version);
  assert.ok(set);
  const expected = { version, setRoot: set.setRoot, size };
  return {
    streamed: await hashesOf(async () => assert.equal(await readAll(set.pages), size)),
    whole: await hashesOf(async () =>
      assert.equal(await readAll(readWholeSet(store, expected)), size),
    ),
  };
}

test('a set of N costs two hashes a descriptor to stream, and to read whole its tree beside', async () => {
  const costs: [number, number][] = [];
  for (const size of [250, 1_000, 4_000]) {
    const { streamed, whole } = await costsOf(size, 1);
    assert.equal(streamed, 2 * size);
    assert.ok(whole > 4 * size - 2 && whole < 5 * size, `${whole} hashes for ${size}`);
    costs.push([size, whole]);
  }
  const exponent = exponentOf(costs);
  assert.ok(exponent > 0.97 && exponent < 1.03, `n^${exponent}`);
});

test('how often its descriptors were released costs nothing', async () => {
  assert.deepEqual(await costsOf(300, 8), await costsOf(300, 1));
});

test('a proof at an old version costs three to four hashes for each descriptor that has changed since, whatever the pages', async () => {
  const costs: [number, number][] = [];
  for (const size of [500, 1_000, 4_000]) {
    const { store } = await openSet(size, 2);
    // One that starts now has no tree but the head's.
    const restarted = await openTestRegistry({ store });
    const proof = { version: 1, kind: 'service', id: 'd7', isProofWanted: true };
    const hashes = await hashesOf(() => restarted.registry.reader.descriptor(proof));
    assert.ok(hashes < 3.7 * size, `${hashes} hashes for ${size}`);
    costs.push([size, hashes]);
  }
  const exponent = exponentOf(costs);
  assert.ok(exponent > 0.9 && exponent < 1.05, `n^${exponent}`);
});
