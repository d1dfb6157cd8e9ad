/** The log that store children write, and the check that what is left of it after a crash is whole. */
import assert from 'node:assert/strict';
import { type DescriptorChange, EMPTY_VERSION, type Store } from '../../src/store/store.ts';
import { collect, makeEntry, nodesAt, put, remove } from './store-entries.ts';

/** A few keys, so that values replace each other and go. */
export function changesAt(version: number): readonly DescriptorChange[] {
  const id = `key-${version % 5}`;
  return version % 7 === 6
    ? [remove(id)]
    : [put(id, String(version)), put('newest', String(version))];
}

/** Kept after the append of a version. */
export function checkpointAt(version: number): string {
  return `checkpoint of ${version}\n`;
}

export interface WholeLog {
  /** The version of its newest entry. */
  readonly head: number;
  /** The version whose checkpoint it keeps; `EMPTY_VERSION` for none. */
  readonly kept: number;
}

/**
 * Every version up to the head has the bytes that were appended, the set at head is what they make,
 * and so is the tree; the checkpoint is one that was kept, to the letter.
 */
export async function assertWholeLog(
  store: Pick<Store, 'head' | 'entry' | 'set' | 'nodes' | 'nodeRun' | 'checkpoint'>,
): Promise<WholeLog> {
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
  await assertWholeTree(store, head + 1);
  const note = await store.checkpoint();
  const kept = note === undefined ? EMPTY_VERSION : Number(/\d+/.exec(note)?.[0]);
  if (note !== undefined) assert.equal(note, checkpointAt(kept));
  return { head, kept };
}

/** The nodes of a log of `size` leaves and no others. */
export async function assertWholeTree(
  store: Pick<Store, 'nodes' | 'nodeRun'>,
  size: number,
): Promise<void> {
  const levels: Uint8Array[][] = [];
  for (let version = 0; version < size; version++)
    for (const { level, hash } of nodesAt(version))
      levels[level] = [...(levels[level] ?? []), hash];
  for (const [level, hashes] of [...levels, []].entries()) {
    const count = hashes.length + 1;
    assert.deepEqual(await store.nodeRun({ level, index: 0, count }), hashes, `level ${level}`);
    const places = hashes.map((_, index) => ({ level, index }));
    assert.deepEqual(await store.nodes(places), hashes, `level ${level}`);
  }
}
