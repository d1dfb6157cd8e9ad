/** A whole set without a tree: every row is held to its hash, and all of them to the set root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWholeSet } from '../../../src/registry/whole-set.ts';
import type { Store, StoredDescriptor } from '../../../src/store/store.ts';
import { lying } from '../../support/lying-store.ts';
import { openTestRegistry, put, remove } from '../../support/registry.ts';

async function openSet() {
  const real = await openTestRegistry();
  await real.change(put('a', { v: 1 }), put('b', { v: 1 }), put('c', { v: 1 }));
  await real.change(put('a', { v: 2 }, { v: 1 }), remove('b', { v: 1 }));
  const set = async (version: number) => {
    const found = await real.registry.reader.set(version);
    assert.ok(found);
    return { version, setRoot: found.setRoot, size: found.size };
  };
  return { ...real, set };
}

async function textsOf(pages: AsyncIterable<readonly Uint8Array[]>): Promise<string[]> {
  const texts: string[] = [];
  for await (const page of pages) texts.push(...page.map((bytes) => Buffer.from(bytes).toString()));
  return texts;
}

test('it is the set at its version, at every version', async () => {
  const { registry, store, set } = await openSet();
  for (const version of [0, 1, 2]) {
    const served = await registry.reader.set(version);
    assert.ok(served);
    assert.deepEqual(
      await textsOf(readWholeSet(store, await set(version))),
      await textsOf(served.pages),
    );
  }
});

test('any row that is another, missing, moved or too many is damage', async () => {
  const { store, set } = await openSet();
  const at = async (version: number): Promise<readonly StoredDescriptor[]> => {
    const rows: StoredDescriptor[] = [];
    for await (const page of store.set(version)) rows.push(...page);
    return rows;
  };
  const [rows, older] = [await at(2), await at(1)];
  const [a, c] = rows;
  assert.ok(a && c && rows.length === 2);
  const lies: readonly (readonly StoredDescriptor[])[] = [
    [],
    [a],
    [c],
    older,
    [...rows, ...older.slice(1, 2)],
    [{ ...a, bytes: c.bytes }, c],
    [{ ...a, bytes: c.bytes, valueHash: c.valueHash }, c],
    [{ ...a, id: 'x' }, c],
  ];
  for (const lie of lies) {
    const liar: Store = lying(store, {
      set: async function* () {
        yield lie;
      },
    });
    await assert.rejects(textsOf(readWholeSet(liar, await set(2))), { code: 'storage_damaged' });
  }
});
