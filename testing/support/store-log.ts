/** The log that store children write, and the check that what is left of it after a crash is whole. */
import assert from 'node:assert/strict';
import { type DescriptorChange, EMPTY_VERSION, type Store } from '../../src/store/store.ts';
import { collect, makeEntry, put, remove } from './store-entries.ts';

/** A few keys, so that values replace each other and go. */
export function changesAt(version: number): readonly DescriptorChange[] {
  const id = `key-${version % 5}`;
  return version % 7 === 6
    ? [remove(id)]
    : [put(id, String(version)), put('newest', String(version))];
}

/**
 * Every version up to the head has the bytes that were appended, and the set at head is what they
 * make. Answers the head's version.
 */
export async function assertWholeLog(
  store: Pick<Store, 'head' | 'entry' | 'set'>,
): Promise<number> {
  const head = (await store.head())?.version ?? EMPTY_VERSION;
  const set = new Map<string, string>();
  for (let version = 0; version <= head; version++) {
    const { leaf, payload, approvals, entryHash } = makeEntry(version);
    assert.deepEqual(await store.entry(version), { version, leaf, payload, approvals, entryHash });
    for (const { id, bytes } of changesAt(version))
      if (bytes === null) set.delete(id);
      else set.set(id, Buffer.from(bytes).toString());
  }
  const found = await collect(store.set(head));
  assert.deepEqual(
    found.map(({ id, bytes }) => [id, Buffer.from(bytes).toString()]),
    [...set].sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  return head;
}
