import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, encodeUtf8 } from '../../../src/core/bytes.ts';
import { descriptorPath } from '../../../src/core/descriptor.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { parseHash } from '../../../src/core/hash.ts';
import { decodeSetProof, verifyBranch } from '../../../src/core/set-proof.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { StoredDescriptor, StoredEntry } from '../../../src/store/store.ts';
import { lying } from '../../support/lying-store.ts';
import {
  damageFound,
  keepCheckpoint,
  openTestRegistry,
  put,
  remove,
  type TestRegistry,
} from '../../support/registry.ts';
import { descriptorsPayload, governancePayload, makeGovernance } from '../../support/signers.ts';
import { collect } from '../../support/store-entries.ts';

const isDamage = (error: unknown): boolean =>
  error instanceof RegistryError && error.code === 'storage_damaged';

async function itemsAt(
  { registry }: TestRegistry,
  version: number,
): Promise<Record<string, unknown>> {
  const items: Record<string, unknown> = {};
  const answer = await registry.reader.set(version);
  for await (const page of answer?.pages ?? [])
    for (const bytes of page) {
      const { id, spec } = JSON.parse(decodeUtf8(bytes));
      items[id] = spec.n;
    }
  return items;
}

test('a set at any version is what the changes up to it make, and its proofs lead to its root', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.nat(3))), {
        minLength: 1,
        maxLength: 12,
      }),
      async (edits) => {
        // A store that forgets nothing, and a registry that starts after it: old trees are made by undoing.
        const first = await openTestRegistry();
        const expected: Record<string, unknown>[] = [{}];
        for (const [id, n] of edits) {
          const before = expected.at(-1) ?? {};
          const old = before[id];
          if (n === null && old === undefined) continue;
          const next = { ...before };
          if (n === null) delete next[id];
          else next[id] = n;
          await first.change(
            n === null
              ? remove(id, { n: Number(old) })
              : put(id, { n }, old === undefined ? undefined : { n: Number(old) }),
          );
          expected.push(next);
        }
        const real = await openTestRegistry({ store: first.store });
        for (const [version, items] of [...expected.entries()].reverse()) {
          assert.deepEqual(await itemsAt(real, version), items);
          for (const id of ['a', 'b', 'c', 'd']) {
            const answer = await real.registry.reader.descriptor({
              version,
              kind: 'service',
              id,
              isProofWanted: true,
            });
            assert.ok(answer?.proof);
            const path = descriptorPath({ kind: 'service', id });
            const verdict = verifyBranch(
              { root: parseHash(answer.setRoot), path },
              decodeSetProof(answer.proof),
            );
            assert.equal(verdict.state, id in items ? 'present' : 'absent');
            assert.equal(answer.bytes === null, !(id in items));
          }
        }
      },
    ),
    { numRuns: 20 },
  );
});

test('a version that is not there is no answer', async () => {
  const { registry } = await openTestRegistry();
  for (const version of [-1, 1, 2 ** 53 - 1]) {
    assert.equal(await registry.reader.entry(version), undefined);
    assert.equal(await registry.reader.set(version), undefined);
    assert.equal(await registry.reader.governance(version), undefined);
    assert.equal(
      await registry.reader.descriptor({ version, kind: 'service', id: 'a', isProofWanted: true }),
      undefined,
    );
    assert.equal(await registry.reader.diff({ from: 0, to: version }), undefined);
  }
  assert.deepEqual(await registry.reader.entries({ from: 1, limit: 10 }), []);
});

test('a difference is the net of what lies between, in either direction', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', { n: 1 }), put('b', { n: 1 }));
  await real.change(put('a', { n: 2 }, { n: 1 }), remove('b', { n: 1 }), put('c', { n: 1 }));
  await real.change(remove('c', { n: 1 }));
  const net = async (from: number, to: number) =>
    (await real.registry.reader.diff({ from, to }))?.map(({ id, before, after }) => [
      id,
      before && decodeUtf8(before).slice(-8, -1),
      after && decodeUtf8(after).slice(-8, -1),
    ]);
  assert.deepEqual(await net(1, 3), [
    ['a', '{"n":1}', '{"n":2}'],
    ['b', '{"n":1}', null],
  ]);
  assert.deepEqual(await net(3, 1), [
    ['a', '{"n":2}', '{"n":1}'],
    ['b', null, '{"n":1}'],
  ]);
  assert.deepEqual(await net(2, 2), []);
});

test('history is every value a descriptor had, newest first', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', { n: 1 }));
  await real.change(put('a', { n: 2 }, { n: 1 }));
  await real.change(remove('a', { n: 2 }));
  const spans = await real.registry.reader.history({ kind: 'service', id: 'a', limit: 10 });
  assert.deepEqual(
    spans.map((s) => [s.setVersion, s.endVersion]),
    [
      [2, 3],
      [1, 2],
    ],
  );
});

test('a value that is not visible yet fills no page of a history', async () => {
  const first = await openTestRegistry();
  await first.change(put('a', { n: 1 }));
  const before = await openTestRegistry({ store: first.store });
  await first.change(put('a', { n: 2 }, { n: 1 }));
  const [newest] = await before.registry.reader.history({ kind: 'service', id: 'a', limit: 1 });
  assert.deepEqual([newest?.setVersion, newest?.endVersion], [1, null]);
});

test('governance at a version is the one in force after it', async () => {
  const real = await openTestRegistry();
  const next = makeGovernance(real.signers, { threshold: 3, version: 2 });
  await real.commit(
    governancePayload(real.registryHash, { next, current: real.governance }),
    real.signers,
  );
  assert.equal((await real.registry.reader.governance(0))?.governance.threshold, 2);
  assert.equal((await real.registry.reader.governance(1))?.governance.threshold, 3);
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ 1;
  return copy;
}

test('a flipped bit in any byte of an entry is never served', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', { n: 1 }));
  const entry = await real.store.entry(1);
  assert.ok(entry);
  let damaged: StoredEntry = entry;
  const { registry } = await openTestRegistry({
    store: lying(real.store, { entry: async () => damaged }),
  });
  let refused = 0;
  for (const part of ['leaf', 'payload', 'approvals'] as const)
    for (let at = 0; at < entry[part].length; at++, refused++) {
      damaged = { ...entry, [part]: flipped(entry[part], at) };
      await assert.rejects(registry.reader.entry(1), isDamage, `${part} ${at}`);
    }
  assert.ok(refused > 1_000);
  damaged = entry;
  assert.ok(await registry.reader.entry(1));
});

test('a changed, exchanged or missing descriptor row is never served', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', { n: 1 }), put('b', { n: 1 }));
  const [a, b] = await Promise.all(
    ['a', 'b'].map((id) => real.store.descriptor({ kind: 'service', id, version: 1 })),
  );
  assert.ok(a && b);
  let row: StoredDescriptor | undefined = a;
  let rows: readonly StoredDescriptor[] = [a, b];
  const store = lying(real.store, {
    descriptor: async () => row,
    async *set() {
      yield rows;
    },
  });
  const { registry } = await openTestRegistry({ store });
  const read = () =>
    registry.reader.descriptor({ version: 1, kind: 'service', id: 'a', isProofWanted: false });
  const readAll = async () => {
    for await (const _ of (await registry.reader.set(1))?.pages ?? []);
  };
  await read();
  await readAll();
  for (const lie of [
    { ...a, bytes: encodeUtf8('{}') },
    { ...a, valueHash: b.valueHash, bytes: b.bytes },
    undefined,
  ]) {
    row = lie;
    await assert.rejects(read(), isDamage);
    rows = lie === undefined ? [b] : [lie, b];
    await assert.rejects(readAll(), isDamage);
  }
});

test('a value of an old version that was changed together with its hash is never served', async () => {
  const first = await openTestRegistry();
  await first.change(put('a', { n: 1 }));
  await first.change(put('a', { n: 2 }, { n: 1 }));
  const newer = await first.store.descriptor({ kind: 'service', id: 'a', version: 2 });
  const { registry } = await openTestRegistry({
    store: lying(first.store, { descriptor: async () => newer }),
  });
  const query = { version: 1, kind: 'service', id: 'a', isProofWanted: false };
  await assert.rejects(registry.reader.descriptor(query), isDamage);
  assert.ok(await registry.reader.descriptor({ ...query, version: 2 }));
});

test('a difference that leaves out, adds or misdates a change is never served', async () => {
  const first = await openTestRegistry();
  await first.change(put('a', { n: 1 }), put('b', { n: 1 }));
  await first.change(put('a', { n: 2 }, { n: 1 }), put('c', { n: 1 }));
  const range = { from: 1, to: 2 };
  const rows = await collect(first.store.diff(range));
  const [a, c] = rows;
  assert.ok(a && c && rows.length === 2);
  const lies = [
    [a],
    [c],
    [{ ...a, before: null }, c],
    [{ ...a, after: a.before }, c],
    [a, c, { ...c, id: 'd' }],
  ];
  for (const lie of lies) {
    const store = lying(first.store, {
      async *diff() {
        yield lie;
      },
    });
    const { registry } = await openTestRegistry({ store });
    await assert.rejects(registry.reader.diff(range), isDamage);
  }
  assert.equal((await first.registry.reader.diff(range))?.length, 2);
});

test('a stored proposal of other bytes than its hash is refused at the start', async () => {
  const real = await openTestRegistry();
  const proposal = descriptorsPayload(real.registryHash, [put('a', {})]);
  await real.registry.proposals.propose(proposal.bytes);
  const [stored] = await real.store.proposals();
  assert.ok(stored);
  for (const payload of [flipped(stored.payload, 3), new Uint8Array()]) {
    const store = lying(real.store, { proposals: async () => [{ ...stored, payload }] });
    await assert.rejects(openTestRegistry({ store }), isDamage);
  }
});

test('a store whose rows do not give the set root of its head is refused at the start', async () => {
  const real = await openTestRegistry();
  await real.change(put('a', { n: 1 }));
  const store = lying(real.store, {
    async *set() {
      yield [];
    },
  });
  await assert.rejects(openTestRegistry({ store }), isDamage);
});

test('a log with a damaged entry is found by the walk after the start, and takes no writes', async () => {
  const real = await openTestRegistry();
  for (const id of ['a', 'b', 'c']) await real.change(put(id, {}));
  await keepCheckpoint(real);
  const store = lying(real.store, {
    entries: async (range) =>
      (await real.store.entries(range)).map((e) =>
        e.version === 2 ? { ...e, payload: flipped(e.payload, 9) } : e,
      ),
  });
  const after = await openTestRegistry({ store });
  await damageFound(after.registry);
  await assert.rejects(after.change(put('d', {})), isDamage);
});

test('a log with a whole entry of another history in it is found by the walk after the start', async () => {
  const real = await openTestRegistry();
  const other = await openTestRegistry();
  for (const id of ['a', 'b', 'c']) {
    await real.change(put(id, {}));
    await other.change(put(id, { other: true }));
  }
  await keepCheckpoint(real);
  const foreign = await other.store.entry(2);
  assert.ok(foreign);
  const store = lying(real.store, {
    entries: async (range) =>
      (await real.store.entries(range)).map((e) => (e.version === 2 ? foreign : e)),
  });
  const after = await openTestRegistry({ store });
  await damageFound(after.registry);
});

test('an old set whose undone difference does not give its root is never served', async () => {
  const first = await openTestRegistry();
  await first.change(put('a', { n: 1 }));
  await first.change(put('a', { n: 2 }, { n: 1 }));
  const store = lying(first.store, {
    async *diff() {
      yield [];
    },
  });
  const { registry } = await openTestRegistry({ store });
  await assert.rejects(registry.reader.set(1), isDamage);
});

test('a store of another registry than the pinned one is refused', async () => {
  const real = await openTestRegistry();
  const isForeign = (error: unknown) =>
    error instanceof RegistryError && error.code === 'storage_foreign';
  await assert.rejects(
    openTestRegistry({ store: real.store, pins: { registry: `b3:${'0'.repeat(64)}` } }),
    isForeign,
  );
  await assert.rejects(
    openTestRegistry({ store: real.store, pins: { origin: 'other.example.com' } }),
    isForeign,
  );
  await openTestRegistry({ store: real.store, pins: { registry: real.registryHash } });
});

test('a long poll answers at once when there is something newer, else at the next commit or when time is up', async () => {
  const real = await openTestRegistry({ store: createMemoryStore() });
  assert.equal((await real.registry.waitForHead({ after: -1, waitMs: 1_000 }))?.version, 0);
  const waiting = real.registry.waitForHead({ after: 0, waitMs: 1_000 });
  await real.change(put('a', {}));
  assert.equal((await waiting)?.version, 1);
  const patient = real.registry.waitForHead({ after: 1, waitMs: 1_000 });
  real.timers.advance(1_000);
  assert.equal((await patient)?.version, 1);
  assert.equal(real.timers.pending, 0);
});
