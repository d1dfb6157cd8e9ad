/** The contract's part on what is let go of: pruned below a version, or erased by an entry. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { AppendEntry, DescriptorChange, Store } from '../../src/store/store.ts';
import { collect, makeEntry, put, remove } from '../support/store-entries.ts';

type Open = (t: TestContext) => Promise<Store>;

const NONE = new Uint8Array();

async function append(store: Store, entries: readonly AppendEntry[]): Promise<void> {
  const expected = (entries[0]?.version ?? 0) - 1;
  assert.equal((await store.append({ expected, entries })).outcome, 'appended');
}

/** Versions 0 to 6: `a` is put three times, `b` put and removed, governance at 4. */
async function makeLog(store: Store): Promise<readonly AppendEntry[]> {
  const entries = [
    makeEntry(0),
    makeEntry(1, { changes: [put('a', '1')] }),
    makeEntry(2, { changes: [put('b', '1'), put('c', '1')] }),
    makeEntry(3, { changes: [put('a', '2'), remove('b')] }),
    makeEntry(4, { type: 'governance' }),
    makeEntry(5, { changes: [put('a', '3')] }),
    makeEntry(6),
  ];
  await append(store, entries);
  return entries;
}

async function idsAt(store: Store, version: number): Promise<readonly string[]> {
  const rows = (await collect(store.set(version))).flat();
  return rows.map(({ bytes }) => new TextDecoder().decode(bytes));
}

/** Which parts of each entry are there. */
async function partsOf(store: Store): Promise<readonly string[]> {
  const entries = await store.entries({ from: 0, limit: 100 });
  return entries.map(({ leaf, payload, approvals }) =>
    [leaf, payload, approvals].map((part) => (part.length > 0 ? 'x' : '-')).join(''),
  );
}

export function retentionTests(open: Open): void {
  test('nothing is let go of before it is asked for', async (t) => {
    const store = await open(t);
    await makeLog(store);
    await store.prune();
    assert.deepEqual(await store.retention(), { oldest: 0, reached: 0, erasures: [] });
    assert.deepEqual(await partsOf(store), Array(7).fill('xxx'));
  });

  test('below the oldest version payloads, approvals and ended values go, and governance stays', async (t) => {
    const store = await open(t);
    const made = await makeLog(store);
    const [before, treeBefore] = [await idsAt(store, 5), await store.leaves({ from: 0, limit: 9 })];
    await store.setOldest(5);
    assert.deepEqual(await partsOf(store), Array(7).fill('xxx'));
    assert.deepEqual(await store.retention(), { oldest: 5, reached: 0, erasures: [] });
    let last: unknown;
    await store.prune({
      onProgress: (progress) => {
        last = progress;
      },
    });
    assert.deepEqual(last, { reached: 5, oldest: 5 });
    assert.deepEqual(await partsOf(store), ['xxx', 'x--', 'x--', 'x--', 'xxx', 'xxx', 'xxx']);
    assert.deepEqual(await store.retention(), { oldest: 5, reached: 5, erasures: [] });
    assert.deepEqual(await idsAt(store, 5), before);
    assert.deepEqual(await store.leaves({ from: 0, limit: 9 }), treeBefore);
    for (const { payloadB3, version } of made)
      assert.equal(await store.committedVersion(payloadB3), version);
    const spans = await store.history({ kind: 'thing', id: 'a', limit: 9 });
    assert.deepEqual(
      spans.map((span) => [span.setVersion, span.endVersion]),
      [[5, null]],
    );
    assert.deepEqual(await store.history({ kind: 'thing', id: 'b', limit: 9 }), []);
  });

  test('the log grows on over what was pruned, and a key that was dropped comes back', async (t) => {
    const store = await open(t);
    await makeLog(store);
    await store.setOldest(6);
    await store.prune();
    await append(store, [makeEntry(7, { changes: [put('b', '2'), put('a', '4')] })]);
    assert.deepEqual(await idsAt(store, 6), ['thing/a=3', 'thing/c=1']);
    assert.deepEqual(await idsAt(store, 7), ['thing/a=4', 'thing/b=2', 'thing/c=1']);
    const difference = (await collect(store.diff({ from: 6, to: 7 }))).flat();
    assert.deepEqual(
      difference.map(({ id, before }) => [id, before?.setVersion ?? null]),
      [
        ['a', 5],
        ['b', null],
      ],
    );
  });

  test('the oldest version never goes back', async (t) => {
    const store = await open(t);
    await makeLog(store);
    await store.setOldest(4);
    await store.setOldest(2);
    assert.equal((await store.retention()).oldest, 4);
  });

  test('an erasing entry takes the payload and the values of another, and nothing else', async (t) => {
    const store = await open(t);
    await makeLog(store);
    await append(store, [makeEntry(7, { type: 'erase', erases: 3 })]);
    assert.deepEqual(await partsOf(store), [
      ...Array(3).fill('xxx'),
      'x-x',
      ...Array(4).fill('xxx'),
    ]);
    assert.deepEqual(await store.retention(), {
      oldest: 0,
      reached: 0,
      erasures: [{ version: 3, erasedBy: 7, until: 5 }],
    });
    const [, erased, first] = await store.history({ kind: 'thing', id: 'a', limit: 9 });
    assert.deepEqual(erased?.bytes, NONE);
    assert.notDeepEqual(erased?.valueHash, NONE);
    assert.notDeepEqual(first?.bytes, NONE);
    assert.deepEqual(await idsAt(store, 5), ['thing/a=3', 'thing/c=1']);
  });

  test('it says which of the values that an entry put are current', async (t) => {
    const store = await open(t);
    await makeLog(store);
    assert.deepEqual(await store.currentOf(2), [{ kind: 'thing', id: 'c' }]);
    assert.deepEqual(await store.currentOf(3), []);
    assert.deepEqual(await store.currentOf(6), []);
    assert.deepEqual(await store.currentOf(99), []);
  });

  test('an erased entry that is pruned loses its approvals too, and the erasure stays known', async (t) => {
    const store = await open(t);
    await makeLog(store);
    await append(store, [makeEntry(7, { type: 'erase', erases: 3 }), makeEntry(8)]);
    await store.setOldest(8);
    await store.prune();
    const parts = await partsOf(store);
    assert.deepEqual(parts, ['xxx', 'x--', 'x--', 'x--', 'xxx', 'x--', 'x--', 'xxx', 'xxx']);
    assert.deepEqual((await store.retention()).erasures, [{ version: 3, erasedBy: 7, until: 3 }]);
  });

  test('sets from the oldest version on are what they were, whatever was pruned below', async (t) => {
    const change = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.nat(3)));
    const history = fc.array(fc.uniqueArray(change, { selector: ([id]) => id, maxLength: 3 }), {
      minLength: 2,
      maxLength: 12,
    });
    const property = fc.asyncProperty(history, fc.nat(12), async (drawn, cut) => {
      const store = await open(t);
      const present = new Set<string>();
      const entries = drawn.map((changes, version) => {
        const possible = changes.filter(([id, value]) => value !== null || present.has(id));
        for (const [id, value] of possible) value === null ? present.delete(id) : present.add(id);
        return makeEntry(version, { changes: possible.map(toChange) });
      });
      await append(store, entries);
      const oldest = Math.min(cut, entries.length - 1);
      const versions = entries.map(({ version }) => version).filter((v) => v >= oldest);
      const sets = await Promise.all(versions.map((version) => idsAt(store, version)));
      await store.setOldest(oldest);
      await store.prune();
      for (const [i, version] of versions.entries())
        assert.deepEqual(await idsAt(store, version), sets[i]);
    });
    await fc.assert(property, { numRuns: 25 });
  });
}

function toChange([id, value]: readonly [string, number | null]): DescriptorChange {
  return value === null ? remove(id) : put(id, String(value));
}
