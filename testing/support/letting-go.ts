/** A small registry that has something to let go of. */
import assert from 'node:assert/strict';
import type { Hash } from '../../src/core/hash.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestRegistry, put, remove, type TestRegistry } from './registry.ts';
import { erasePayload } from './signers.ts';

/** Versions 1 to 4: `a` is put, replaced and removed, and `b` put beside. */
export async function openChanged(store: Store = createMemoryStore()): Promise<TestRegistry> {
  const real = await openTestRegistry({ store });
  await real.change(put('a', { n: 1 }));
  await real.change(put('a', { n: 2 }, { n: 1 }));
  await real.change(put('b', { n: 1 }));
  await real.change(remove('a', { n: 2 }));
  return real;
}

export async function entryHashOf({ store }: TestRegistry, version: number): Promise<Hash> {
  const entry = await store.entry(version);
  assert.ok(entry);
  return entry.entryHash;
}

/** Approved and committed as any other. */
export async function erase(real: TestRegistry, version: number): Promise<void> {
  const entryHash = await entryHashOf(real, version);
  await real.commit(erasePayload(real.registryHash, { version, erases: entryHash }));
}
