/** What holds for every backend: the suite of `src/store/store.ts`, run by one test file for each. */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { compareKeys } from '../../src/core/payload.ts';
import {
  type DescriptorChange,
  type DescriptorKey,
  EMPTY_VERSION,
  type Store,
  type StoredDescriptor,
} from '../../src/store/store.ts';
import {
  appendHistory,
  collect,
  makeApproval,
  makeEntry,
  makeProposal,
  put,
  remove,
  unknownHash,
} from '../support/store-entries.ts';

import { retentionTests } from './contract-retention.ts';
import { treeTests } from './contract-tree.ts';

export interface ContractSubject {
  readonly name: string;
  /** An empty store, closed when the test ends. */
  readonly open: (t: TestContext) => Promise<Store>;
  /** Random histories to try. */
  readonly histories: number;
}

export function storeContract({ name, open, histories }: ContractSubject): void {
  suite(`the ${name} store`, () => {
    logTests(open);
    treeTests(open);
    descriptorTests(open);
    historyTests(open, histories);
    proposalTests(open);
    retentionTests(open);
  });
}

type Open = ContractSubject['open'];

function logTests(open: Open): void {
  test('an empty store has no head, no entries, no set', async (t) => {
    const store = await open(t);
    assert.equal(await store.head(), undefined);
    assert.equal(await store.entry(0), undefined);
    assert.deepEqual(await store.entries({ from: 0, limit: 10 }), []);
    assert.deepEqual(await store.governanceEntries(), []);
    assert.deepEqual(await collect(store.set(0)), []);
    assert.deepEqual(await store.proposals(), []);
  });

  test('an appended entry is read back byte for byte when append resolves', async (t) => {
    const store = await open(t);
    const genesis = makeEntry(0);
    const answer = await store.append({ expected: EMPTY_VERSION, entries: [genesis] });
    assert.deepEqual(answer, { outcome: 'appended', head: 0 });
    const { version, entryHash, leaf, payload, approvals } = genesis;
    const stored = { version, entryHash, leaf, payload, approvals };
    assert.deepEqual(await store.head(), stored);
    assert.deepEqual(await store.entry(0), stored);
    assert.equal(await store.entry(1), undefined);
  });

  test('a batch becomes consecutive versions, and a later read pages through them', async (t) => {
    const store = await open(t);
    const batch = [0, 1, 2, 3, 4].map((version) => makeEntry(version));
    const answer = await store.append({ expected: EMPTY_VERSION, entries: batch });
    assert.deepEqual(answer, { outcome: 'appended', head: 4 });
    const page = await store.entries({ from: 1, limit: 3 });
    assert.deepEqual(
      page.map((entry) => entry.version),
      [1, 2, 3],
    );
    assert.equal((await store.entries({ from: 5, limit: 3 })).length, 0);
  });

  test('a page of entries ends when its bytes pass 4 MiB, and holds at least one', async (t) => {
    const store = await open(t);
    const big = [0, 1, 2].map((version) =>
      makeEntry(version, { payload: new Uint8Array(2_100_000).fill(version) }),
    );
    await store.append({ expected: EMPTY_VERSION, entries: big });
    const versions = (page: readonly { version: number }[]) => page.map((entry) => entry.version);
    assert.deepEqual(versions(await store.entries({ from: 0, limit: 3 })), [0, 1]);
    assert.deepEqual(versions(await store.entries({ from: 2, limit: 3 })), [2]);
  });

  test('an append that expects another head is a conflict and writes nothing', async (t) => {
    const store = await open(t);
    await appendHistory(store, [[], [put('a', '1')]]);
    const entry = makeEntry(1, { changes: [put('a', '2')] });
    const answer = await store.append({ expected: 0, entries: [entry] });
    assert.deepEqual(answer, { outcome: 'conflict', head: 1 });
    assert.equal((await store.head())?.version, 1);
    assert.equal((await store.history({ kind: 'thing', id: 'a', limit: 9 })).length, 1);
  });

  test('of appends that race for one head exactly one wins', async (t) => {
    const store = await open(t);
    const racers = ['a', 'b', 'c', 'd'].map((name) =>
      store.append({
        expected: EMPTY_VERSION,
        entries: [makeEntry(0, { payload: new TextEncoder().encode(name) })],
      }),
    );
    const outcomes = (await Promise.all(racers)).map(({ outcome }) => outcome).sort();
    assert.deepEqual(outcomes, ['appended', 'conflict', 'conflict', 'conflict']);
    assert.equal((await store.head())?.version, 0);
  });

  test('governance entries are genesis and every rotation, ascending', async (t) => {
    const store = await open(t);
    const types = ['genesis', 'descriptors', 'governance', 'supersede', 'governance'] as const;
    const entries = types.map((type, version) => makeEntry(version, { type }));
    await store.append({ expected: EMPTY_VERSION, entries });
    const versions = (await store.governanceEntries()).map((entry) => entry.version);
    assert.deepEqual(versions, [0, 2, 4]);
  });

  test('a payload hash leads to the version that committed it', async (t) => {
    const store = await open(t);
    await appendHistory(store, [[], [], []]);
    assert.equal(await store.committedVersion(makeEntry(2).payloadB3), 2);
    assert.equal(await store.committedVersion(unknownHash('payload')), undefined);
  });

  for (const [fault, broken] of [
    ['skips a version', makeEntry(2)],
    ['repeats a payload', makeEntry(1, { payload: makeEntry(0).payload })],
  ] as const)
    test(`an append that ${fault} writes nothing and ends all writing`, async (t) => {
      const store = await open(t);
      await appendHistory(store, [[]]);
      const append = store.append({ expected: 0, entries: [broken] });
      await assert.rejects(append, { code: 'outcome_unknown' });
      const sound = { expected: 0, entries: [makeEntry(1)] };
      await assert.rejects(store.append(sound), { code: 'outcome_unknown' });
      await assert.rejects(store.putProposal(makeProposal('p')), { code: 'outcome_unknown' });
      assert.equal((await store.head())?.version, 0);
    });

  test('storage grows with what is stored', async (t) => {
    const store = await open(t);
    const before = await store.storageBytes();
    const payload = new Uint8Array(100_000);
    await store.append({ expected: EMPTY_VERSION, entries: [makeEntry(0, { payload })] });
    assert.ok((await store.storageBytes()) >= before + payload.length);
  });

  test('a closed store writes nothing', async (t) => {
    const store = await open(t);
    await store[Symbol.asyncDispose]();
    await assert.rejects(store.append({ expected: EMPTY_VERSION, entries: [makeEntry(0)] }));
    await store[Symbol.asyncDispose]();
  });
}

function descriptorTests(open: Open): void {
  test('a set comes sorted by kind, then id, and each value names the version that put it', async (t) => {
    const store = await open(t);
    await appendHistory(store, [
      [],
      [put('b', '1', 'zoo'), put('b', '1'), put('a/b', '1'), put('a', '1')],
      [put('b', '2')],
    ]);
    const set = await collect(store.set(2));
    assert.deepEqual(
      set.map(({ kind, id, setVersion }) => `${kind} ${id} ${setVersion}`),
      ['thing a 1', 'thing a/b 1', 'thing b 2', 'zoo b 1'],
    );
    assert.deepEqual(set[2]?.bytes, put('b', '2').bytes);
    assert.deepEqual(set[2]?.valueHash, put('b', '2').valueHash);
  });

  test('history is newest first, at most as many as asked for', async (t) => {
    const store = await open(t);
    await appendHistory(store, [
      [],
      [put('a', '1')],
      [remove('a')],
      [put('a', '3')],
      [put('a', '4')],
    ]);
    const spans = (await store.history({ kind: 'thing', id: 'a', limit: 9 })).map(
      ({ setVersion, endVersion }) => [setVersion, endVersion],
    );
    assert.deepEqual(spans, [
      [4, null],
      [3, 4],
      [1, 2],
    ]);
    const newest = await store.history({ kind: 'thing', id: 'a', limit: 1 });
    assert.deepEqual(newest[0]?.bytes, put('a', '4').bytes);
    assert.equal(newest.length, 1);
    assert.deepEqual(await store.history({ kind: 'thing', id: 'b', limit: 9 }), []);
    const below = await store.history({ kind: 'thing', id: 'a', limit: 1, before: 4 });
    assert.deepEqual(
      below.map(({ setVersion }) => setVersion),
      [3],
    );
    assert.deepEqual(await store.history({ kind: 'thing', id: 'a', limit: 9, before: 1 }), []);
  });

  test('a value put again in between is no net change', async (t) => {
    const store = await open(t);
    await appendHistory(store, [[], [put('a', '1')], [put('a', '2')], [put('a', '1')]]);
    assert.deepEqual(await collect(store.diff({ from: 1, to: 3 })), []);
    assert.equal((await collect(store.diff({ from: 1, to: 2 }))).length, 1);
  });

  test('removing what is not there changes nothing', async (t) => {
    const store = await open(t);
    await appendHistory(store, [[], [remove('ghost')], [put('a', '1')]]);
    assert.equal((await collect(store.set(2))).length, 1);
    assert.deepEqual(await store.history({ kind: 'thing', id: 'ghost', limit: 9 }), []);
  });

  test('a set and a diff being read stay those of their versions while commits go on', async (t) => {
    const store = await open(t);
    const ids = Array.from({ length: 2_500 }, (_, i) => `id-${String(i).padStart(4, '0')}`);
    await appendHistory(store, [[], ids.map((id) => put(id, '1'))]);
    const set = store.set(1)[Symbol.asyncIterator]();
    const diff = store.diff({ from: 0, to: 1 })[Symbol.asyncIterator]();
    const descriptors = [...(await set.next()).value];
    const differences = [...(await diff.next()).value];
    assert.ok(
      descriptors.length <= 1_000 && differences.length <= 1_000,
      'the first page is no page',
    );
    const changes = [put('id-0000a', 'new'), remove('id-1500'), put('id-2000', '2'), put('z', '2')];
    await store.append({ expected: 1, entries: [makeEntry(2, { changes })] });
    for (let page = await set.next(); !page.done; page = await set.next())
      descriptors.push(...page.value);
    for (let page = await diff.next(); !page.done; page = await diff.next())
      differences.push(...page.value);
    // Compared as one text each: a difference between long lists takes minutes to print.
    const read = descriptors.map(({ id, setVersion }) => `${id} ${setVersion}`);
    assert.equal(read.join(), ids.map((id) => `${id} 1`).join());
    const changed = differences.map((d) => `${d.id} ${d.before} ${d.after?.setVersion}`);
    assert.equal(changed.join(), ids.map((id) => `${id} null 1`).join());
    assert.equal((await collect(store.set(2))).length, 2_501);
  });
}

interface Act {
  readonly kind: string;
  readonly id: string;
  /** `null` removes. */
  readonly value: string | null;
}

const acts: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom('host', 'thing'),
  id: fc.constantFrom('a', 'a-b', 'a/b', 'b'),
  value: fc.option(fc.constantFrom('1', '2', '3')),
});
const entriesOfActs = fc.uniqueArray(acts, {
  maxLength: 5,
  selector: ({ kind, id }) => `${kind}/${id}`,
});
const histories = fc.array(entriesOfActs, { minLength: 1, maxLength: 8 });

/** The set after `version`, by replaying everything. */
function replay(
  history: readonly (readonly Act[])[],
  version: number,
): readonly StoredDescriptor[] {
  const set = new Map<string, StoredDescriptor>();
  history.slice(0, version + 1).forEach((entry, setVersion) => {
    for (const act of entry) {
      const { kind, id, bytes, valueHash } = toChange(act);
      if (bytes === null || valueHash === null) set.delete(`${kind}/${id}`);
      else set.set(`${kind}/${id}`, { kind, id, bytes, valueHash, setVersion });
    }
  });
  return [...set.values()].sort(compareKeys);
}

function toChange({ kind, id, value }: Act): DescriptorChange {
  return value === null ? remove(id, kind) : put(id, value, kind);
}

function differenceOf(before: readonly StoredDescriptor[], after: readonly StoredDescriptor[]) {
  const keys = new Map<string, DescriptorKey>();
  for (const { kind, id } of [...before, ...after]) keys.set(`${kind}/${id}`, { kind, id });
  const find = (set: readonly StoredDescriptor[], key: DescriptorKey) =>
    set.find((other) => compareKeys(other, key) === 0) ?? null;
  return [...keys.values()]
    .sort(compareKeys)
    .map((key) => ({ ...key, before: find(before, key), after: find(after, key) }))
    .filter((d) => !sameBytes(d.before?.bytes, d.after?.bytes));
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0);
}

function historyTests(open: Open, numRuns: number): void {
  test('every version of every random history reads as a replay of it does', async (t) => {
    let reads = 0;
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        await using store = await open(t);
        await appendHistory(
          store,
          history.map((entry) => entry.map(toChange)),
        );
        const sets = history.map((_, version) => replay(history, version));
        for (const [from, before] of sets.entries()) {
          assert.deepEqual(await collect(store.set(from)), before);
          for (const kind of ['host', 'thing'])
            for (const id of ['a', 'a-b', 'b', 'c']) {
              const expected = before.find((d) => d.kind === kind && d.id === id);
              assert.deepEqual(await store.descriptor({ kind, id, version: from }), expected);
            }
          for (const [to, after] of sets.entries()) {
            reads++;
            const found = await collect(store.diff({ from, to }));
            assert.deepEqual(found, differenceOf(before, after), `from ${from} to ${to}`);
          }
        }
      }),
      { numRuns },
    );
    assert.ok(reads >= numRuns);
  });
}

function proposalTests(open: Open): void {
  test('a proposal is kept once, whoever sends it again, and listed in order of arrival', async (t) => {
    const store = await open(t);
    const [first, second] = [makeProposal('first'), makeProposal('second')];
    assert.equal(await store.putProposal(first), 'added');
    assert.equal(await store.putProposal(second), 'added');
    assert.equal(await store.putProposal({ ...first, receivedAt: 'later' }), 'known');
    assert.deepEqual(await store.proposals(), [first, second]);
  });

  test('a signer counts once: the first approval stays', async (t) => {
    const store = await open(t);
    const proposal = makeProposal('p', [makeApproval('carol')]);
    await store.putProposal(proposal);
    const { payloadB3 } = proposal;
    assert.equal(await store.putApproval(payloadB3, makeApproval('bob', 'one')), 'added');
    assert.equal(await store.putApproval(payloadB3, makeApproval('alice')), 'added');
    assert.equal(await store.putApproval(payloadB3, makeApproval('bob', 'two')), 'known');
    assert.equal(await store.putApproval(payloadB3, makeApproval('carol')), 'known');
    const approvals = [makeApproval('carol'), makeApproval('bob', 'one'), makeApproval('alice')];
    assert.deepEqual(await store.proposals(), [{ ...proposal, approvals }]);
  });

  test('an approval that is known not to verify gives way to another by its signer, and to nobody else', async (t) => {
    const store = await open(t);
    const proposal = makeProposal('p', [makeApproval('carol', 'no'), makeApproval('bob')]);
    await store.putProposal(proposal);
    const { payloadB3 } = proposal;
    const isReplacing = true;
    const replace = (signer: string) =>
      store.putApproval(payloadB3, makeApproval(signer, 'yes'), { isReplacing });
    assert.equal(await replace('carol'), 'added');
    assert.equal(await replace('alice'), 'added');
    const approvals = [
      makeApproval('carol', 'yes'),
      makeApproval('bob'),
      makeApproval('alice', 'yes'),
    ];
    assert.deepEqual(await store.proposals(), [{ ...proposal, approvals }]);
  });

  test('an approval without its proposal is refused', async (t) => {
    const store = await open(t);
    const answer = await store.putApproval(unknownHash('proposal'), makeApproval('alice'));
    assert.equal(answer, 'no_proposal');
  });

  test('an entry takes its proposal along, and the proposal does not come back', async (t) => {
    const store = await open(t);
    const [committed, waiting] = [makeProposal('committed'), makeProposal('waiting')];
    await store.putProposal(committed);
    await store.putProposal(waiting);
    await store.putApproval(committed.payloadB3, makeApproval('alice'));
    const entry = makeEntry(0, { payload: committed.payload });
    await store.append({ expected: EMPTY_VERSION, entries: [entry] });
    assert.deepEqual(await store.proposals(), [waiting]);
    const late = await store.putApproval(committed.payloadB3, makeApproval('bob'));
    assert.equal(late, 'no_proposal');
    assert.equal(await store.putProposal(committed), 'known');
    assert.deepEqual(await store.proposals(), [waiting]);
  });

  test('dropped proposals are gone with their approvals, and unknown ones do not matter', async (t) => {
    const store = await open(t);
    const [kept, dropped] = [makeProposal('kept'), makeProposal('dropped')];
    await store.putProposal(dropped);
    await store.putProposal(kept);
    await store.putApproval(dropped.payloadB3, makeApproval('alice'));
    await store.dropProposals([dropped.payloadB3, unknownHash('proposal')]);
    assert.deepEqual(await store.proposals(), [kept]);
    assert.equal(await store.putProposal(dropped), 'added');
    assert.deepEqual(await store.proposals(), [kept, dropped]);
  });

  test('a compaction drops what had expired before its time, and nothing else', async (t) => {
    const store = await open(t);
    const times = ['2026-11-20', '2026-11-21', '2026-11-22'].map((day) => `${day}T00:00:00.000Z`);
    const [gone, due, later] = times.map((expiresAt) => ({
      ...makeProposal(expiresAt),
      expiresAt,
    }));
    for (const proposal of [later, gone, due]) if (proposal) await store.putProposal(proposal);
    if (gone) await store.putApproval(gone.payloadB3, makeApproval('alice'));
    await appendHistory(store, [[], [put('a', '1')]]);
    await store.putCheckpoint('kept');
    const head = await store.head();
    const compaction = await store.compact({ expiredBefore: '2026-11-21T00:00:00.000Z' });
    assert.equal(compaction.droppedProposals, 1);
    assert.ok(compaction.isLogFolded);
    assert.deepEqual(await store.proposals(), [later, due]);
    assert.deepEqual(await store.head(), head);
    assert.equal(await store.checkpoint(), 'kept');
    assert.equal((await collect(store.set(1))).length, 1);
    const again = await store.compact({ expiredBefore: '2026-11-21T00:00:00.000Z' });
    assert.equal(again.droppedProposals, 0);
    assert.deepEqual(await store.append({ expected: 1, entries: [makeEntry(2)] }), {
      outcome: 'appended',
      head: 2,
    });
  });
}
