/** What is let go of in the moment in which it is read is refused as gone, never taken for damage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrubLog } from '../../../src/registry/scrub.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import { entryHashOf, erase, openChanged } from '../../support/letting-go.ts';
import { lying } from '../../support/lying-store.ts';
import { openTestRegistry, put, type TestRegistry } from '../../support/registry.ts';
import { erasePayload } from '../../support/signers.ts';

type Read = 'entry' | 'entries' | 'descriptor' | 'set' | 'diff';

/** A store before whose next read of one kind something else happens. */
interface Interrupted {
  readonly store: Store;
  /** Answers how often it happened. */
  before(read: Read, act: () => Promise<unknown>): () => number;
}

function interrupted(inner: Store): Interrupted {
  let next: { readonly read: Read; readonly act: () => Promise<unknown> } | undefined;
  let acted = 0;
  const interrupt = async (read: Read): Promise<void> => {
    if (next?.read !== read) return;
    const { act } = next;
    next = undefined;
    acted++;
    await act();
  };
  const store = lying(inner, {
    entry: async (version) => {
      await interrupt('entry');
      return inner.entry(version);
    },
    entries: async (range) => {
      await interrupt('entries');
      return inner.entries(range);
    },
    descriptor: async (key) => {
      await interrupt('descriptor');
      return inner.descriptor(key);
    },
    async *set(version) {
      await interrupt('set');
      yield* inner.set(version);
    },
    async *diff(range) {
      await interrupt('diff');
      yield* inner.diff(range);
    },
  });
  return {
    store,
    before: (read, act) => {
      next = { read, act };
      acted = 0;
      return () => acted;
    },
  };
}

interface Raced extends TestRegistry, Pick<Interrupted, 'before'> {}

/** `isRestarted`: it has no tree of an older version at hand. */
async function openRaced({ isRestarted = false } = {}): Promise<Raced> {
  const inner = createMemoryStore();
  const { store, before } = interrupted(inner);
  const first = await openChanged(store);
  return { ...(isRestarted ? await openTestRegistry({ store }) : first), before };
}

async function readSet({ registry }: TestRegistry, version: number): Promise<number> {
  let count = 0;
  for await (const page of (await registry.reader.set(version))?.pages ?? []) count += page.length;
  return count;
}

const service = { kind: 'service', isProofWanted: true };

/** Each way to read something at version 1 or 2 that takes more than one read of the store. */
const READS: readonly {
  readonly what: string;
  readonly read: Read;
  readonly isRestarted?: boolean;
  readonly of: (real: TestRegistry) => Promise<unknown>;
}[] = [
  {
    what: 'a descriptor',
    read: 'descriptor',
    of: ({ registry }) => registry.reader.descriptor({ version: 1, id: 'a', ...service }),
  },
  {
    what: 'a descriptor, while the tree of its version is made',
    read: 'diff',
    isRestarted: true,
    of: ({ registry }) => registry.reader.descriptor({ version: 1, id: 'a', ...service }),
  },
  {
    what: 'a difference',
    read: 'diff',
    of: ({ registry }) => registry.reader.diff({ from: 1, to: 4 }),
  },
  {
    what: 'a difference backwards',
    read: 'diff',
    of: ({ registry }) => registry.reader.diff({ from: 4, to: 1 }),
  },
  {
    what: 'a set',
    read: 'set',
    of: (real) => readSet(real, 1),
  },
  {
    what: 'a set, while its tree is made',
    read: 'diff',
    isRestarted: true,
    of: (real) => readSet(real, 1),
  },
  {
    what: 'the hashes of a set',
    read: 'diff',
    isRestarted: true,
    of: ({ registry }) => registry.reader.setHashes(1),
  },
  {
    what: 'a page of entries',
    read: 'entries',
    of: ({ registry }) => registry.reader.entries({ from: 1, limit: 4 }),
  },
  {
    what: 'an entry',
    read: 'entry',
    of: ({ registry }) => registry.reader.entry(1),
  },
];

for (const { what, read, isRestarted = false, of } of READS)
  test(`${what} of a version that is pruned in this moment is refused as pruned`, async () => {
    const real = await openRaced({ isRestarted });
    const acted = real.before(read, () => real.registry.prune(3));
    await assert.rejects(of(real), { code: 'pruned' });
    assert.equal(acted(), 1);
  });

test('damage at a version that is kept is damage, whatever is pruned meanwhile', async () => {
  const inner = createMemoryStore();
  await openChanged(inner);
  const store = lying(inner, {
    descriptor: async () => {
      await real.registry.prune(3);
      return undefined;
    },
  });
  const real = await openTestRegistry({ store });
  const query = { version: 3, id: 'b', ...service };
  await assert.rejects(real.registry.reader.descriptor(query), { code: 'storage_damaged' });
  assert.equal(real.registry.retention().oldest, 3);
});

test('the tree of a kept version is made although the one beside it was pruned before', async () => {
  const real = await openChanged();
  await real.change(put('c', { n: 1 }));
  await real.change(put('d', { n: 1 }));
  await real.change(put('e', { n: 1 }));
  const again = await openTestRegistry({ store: real.store });
  // Of version 2 the tree is at hand now; what was removed after it has left no row.
  assert.equal(await readSet(again, 2), 1);
  await again.registry.prune(4);
  assert.equal(await readSet(again, 4), 1);
});

test('the tree of a kept version is made although the one beside it is pruned in this moment', async () => {
  const real = await openChanged();
  await real.change(put('c', { n: 1 }));
  await real.change(put('d', { n: 1 }));
  await real.change(put('e', { n: 1 }));
  const { before, store } = interrupted(real.store);
  const again = await openTestRegistry({ store });
  assert.equal(await readSet(again, 2), 1);
  const acted = before('diff', () => again.registry.prune(4));
  assert.equal(await readSet(again, 4), 1);
  assert.equal(acted(), 1);
});

test('the oldest version stays where a pruning put it that began while an erasure ended', async () => {
  const inner = createMemoryStore();
  let isArmed = false;
  const store = lying(inner, {
    retention: async () => {
      const found = await inner.retention();
      if (isArmed) await real.registry.prune(3);
      isArmed = false;
      return found;
    },
  });
  const real = await openChanged(store);
  isArmed = true;
  await erase(real, 2);
  assert.equal(isArmed, false);
  assert.equal(real.registry.retention().oldest, 3);
  await assert.rejects(real.registry.reader.entry(1), { code: 'pruned' });
  await assert.rejects(real.registry.reader.set(1), { code: 'pruned' });
});

const ERASED_READS: readonly {
  readonly what: string;
  readonly read: Read;
  readonly of: (real: TestRegistry) => Promise<unknown>;
}[] = [
  { what: 'an entry', read: 'entry', of: ({ registry }) => registry.reader.entry(2) },
  {
    what: 'a descriptor',
    read: 'descriptor',
    of: ({ registry }) => registry.reader.descriptor({ version: 3, id: 'a', ...service }),
  },
  { what: 'a set', read: 'set', of: (real) => readSet(real, 3) },
  {
    what: 'a difference',
    read: 'diff',
    of: ({ registry }) => registry.reader.diff({ from: 1, to: 3 }),
  },
];

for (const { what, read, of } of ERASED_READS)
  test(`${what} whose value is erased in this moment is refused as erased`, async () => {
    const real = await openRaced();
    const acted = real.before(read, () => erase(real, 2));
    await assert.rejects(of(real), { code: 'erased' });
    assert.equal(acted(), 1);
  });

/** Erases version 2, and does something after that is durable and before anybody may see it. */
async function whileErasing(act: (real: TestRegistry) => Promise<void>): Promise<void> {
  const inner = createMemoryStore();
  let isArmed = false;
  const store = lying(inner, {
    append: async (batch) => {
      const answer = await inner.append(batch);
      if (isArmed) await act(real);
      isArmed = false;
      return answer;
    },
  });
  const real = await openChanged(store);
  const target = { version: 2, erases: await entryHashOf(real, 2) };
  isArmed = true;
  await real.commit(erasePayload(real.registryHash, target));
  assert.equal(isArmed, false);
}

for (const { what, of } of ERASED_READS)
  test(`${what} is refused as erased also while that is durable and not visible yet`, async () => {
    await whileErasing(async (real) => {
      // Which versions are whole again is not known before it is visible: none is named, least of all this one.
      await assert.rejects(of(real), { code: 'erased', details: { version: 2, erased_by: null } });
    });
  });

test('among others an entry is without its payload while its erasure is durable and not visible yet', async () => {
  await whileErasing(async ({ registry }) => {
    const entries = await registry.reader.entries({ from: 1, limit: 3 });
    assert.deepEqual(
      entries.map(({ payload }) => payload.length > 0),
      [true, false, true],
    );
  });
});

for (const [what, act] of [
  ['pruned', ({ registry }: TestRegistry) => registry.prune(3)],
  ['erased', (real: TestRegistry) => erase(real, 2)],
] as const)
  test(`the walk over the log takes nothing for damage that is ${what} while it goes on`, async () => {
    const real = await openChanged();
    const { version, entry_hash: entryHash } = real.registry.head()?.object ?? assert.fail();
    const { root } = real.registry.checkpoint() ?? assert.fail();
    const { store, before } = interrupted(real.store);
    const acted = before('entries', () => act(real));
    let checked = 0;
    await scrubLog(store, {
      end: { version, entryHash, root },
      onProgress: (count) => {
        checked = count;
      },
      signal: new AbortController().signal,
    });
    assert.deepEqual([checked, acted()], [version + 1, 1]);
  });
