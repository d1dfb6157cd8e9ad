/**
 * How costs grow with size, in processor time of this thread: counts of hashes, reads and statements see no
 * walk over memory. As exponents, for which no machine is too slow.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { SetChange } from '../../src/core/set-rows.ts';
import { SetTree } from '../../src/core/set-tree.ts';
import { LogTree } from '../../src/core/tlog/log-tree.ts';
import type { Store } from '../../src/store/store.ts';
import { appendDirectly, openTestRegistry, put, type TestRegistry } from '../support/registry.ts';
import { makeEntry, put as putValue } from '../support/store-entries.ts';
import { openInProcess } from '../support/store-in-process.ts';
import { makePath } from '../support/store-sqlite.ts';

// A power of two, as the next: the edge of a log's tree is then as long.
const SMALL = 256;
const TIMES = 8;
const TURNS = 3;
const MEASUREMENTS = 3;
/** Of what must not grow: log n, and noise. A walk over all would be 1. */
const MAX_FLAT = 0.5;
/** Of what does each of n once: caches, and noise. Each of n for each of n would be 2. */
const MAX_LINEAR = 1.5;

interface Growth {
  /** The greatest power of the size that the cost may grow with. */
  readonly max: number;
  /** The smaller size. */
  readonly from?: number;
}

/** Prepares the work of a size, and answers what does it: some 30 ms, for time is told in ticks of 4. */
type Work = (size: number) => (() => unknown) | Promise<() => unknown>;

/** Microseconds of one turn. */
async function costOf(work: Work, size: number): Promise<number> {
  const act = await work(size);
  const before = process.threadCpuUsage();
  await act();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

/** Both sizes in turns, and of each the least: what else the machine does only adds to it, and to both alike. */
async function exponentOf(work: Work, from: number): Promise<number> {
  let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let turn = 0; turn < TURNS; turn++) {
    small = Math.min(small, await costOf(work, from));
    large = Math.min(large, await costOf(work, from * TIMES));
  }
  return Math.log(large / small) / Math.log(TIMES);
}

/** A busy neighbour is not there for all measurements; a cost that grows is. */
async function assertGrowth(work: Work, { max, from = SMALL }: Growth): Promise<void> {
  // What is not compiled yet costs the small one most.
  await costOf(work, from);
  const exponents: number[] = [];
  while (exponents.length < MEASUREMENTS) {
    const exponent = await exponentOf(work, from);
    if (exponent < max) return;
    exponents.push(exponent);
  }
  assert.fail(`expected a cost of less than n^${max}, got n^${exponents.join(', n^')}`);
}

/** What is made once for each size. */
function once<T>(make: (size: number) => T): (size: number) => T {
  const made = new Map<number, T>();
  return (size) => {
    const known = made.get(size) ?? make(size);
    made.set(size, known);
    return known;
  };
}

/** A registry that has just been started over a log of that size. */
const startedAt = once(async (size: number): Promise<TestRegistry> => {
  const real = await openTestRegistry({ store: openInProcess(makePath()) });
  await appendDirectly(real, size);
  return openTestRegistry({ store: real.store });
});

const bytes = (): Uint8Array => Uint8Array.from(randomBytes(32));

function drawn(count: number): SetChange[] {
  return Array.from({ length: count }, () => ({ path: bytes(), valueHash: bytes() }));
}

test('an update of a set costs no more in a large one', async () => {
  const treeOf = once((size) => SetTree.EMPTY.with(drawn(size)));
  const changes = drawn(1_000);
  await assertGrowth(
    (size) => {
      const tree = treeOf(size);
      return () => changes.map((change) => tree.with([change]).rootHash);
    },
    { max: MAX_FLAT, from: 4_096 },
  );
});

test("an append to the log's tree costs no more in a large one", async () => {
  const record = new Uint8Array(300);
  const grown = (tree: LogTree, count: number): LogTree => {
    let last = tree;
    for (let i = 0; i < count; i++) {
      ({ tree: last } = last.with(record));
      assert.equal(last.root.length, 32);
    }
    return last;
  };
  const treeOf = once((size) => grown(LogTree.EMPTY, size));
  await assertGrowth(
    (size) => {
      const tree = treeOf(size);
      return () => grown(tree, 1_024);
    },
    { max: MAX_FLAT, from: 4_096 },
  );
});

test('proofs cost no more in a large log, and in a large set', async () => {
  await assertGrowth(
    async (size) => {
      const { reader } = (await startedAt(size)).registry;
      return async () => {
        for (let i = 0; i < 300; i++) {
          const id = `d${Math.floor((size * i) / 300)}`;
          const place = { version: size, kind: 'service', id, isProofWanted: true };
          assert.ok(await reader.descriptor(place));
          assert.ok(await reader.inclusionProof({ version: i % size, size }));
        }
      };
    },
    { max: MAX_FLAT },
  );
});

test('a replay of n events costs n times one', async () => {
  await assertGrowth(
    async (size) => {
      const { feed } = (await startedAt(size)).registry;
      return async () => {
        const reader = feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
        for (let v = 0; v < size; v++) await reader.next();
        reader.close();
      };
    },
    { max: MAX_LINEAR },
  );
});

test('a commit costs no more after a long log, in a large set', async () => {
  let made = 0;
  await assertGrowth(
    async (size) => {
      const real = await startedAt(size);
      return async () => {
        for (let i = 0; i < 25; i++) await real.change(put(`new-${made++}`, {}));
      };
    },
    { max: MAX_FLAT },
  );
});

/** How often a store is asked, and for how many rows. */
function counted(store: Store): {
  readonly store: Store;
  readonly cost: { calls: number; rows: number };
} {
  const cost = { calls: 0, rows: 0 };
  const count = (answer: unknown): void => {
    if (Array.isArray(answer)) cost.rows += answer.length;
  };
  const counting = new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        cost.calls++;
        const answer: unknown = Reflect.apply(value, target, given);
        if (answer instanceof Promise) answer.then(count, () => undefined);
        return answer;
      };
    },
  });
  return { store: counting, cost };
}

test('a commit asks the store as often and for as many rows, however long the log', async () => {
  const costAfter = async (size: number) => {
    const first = await openTestRegistry();
    await appendDirectly(first, size);
    const { store, cost } = counted(first.store);
    const real = await openTestRegistry({ store });
    await real.change(put('one', {}));
    const before = { ...cost };
    await real.change(put('another', {}));
    return { calls: cost.calls - before.calls, rows: cost.rows - before.rows };
  };
  const few = await costAfter(64);
  assert.ok(few.calls > 0);
  assert.deepEqual(await costAfter(512), few);
});

test('an event to n subscribers costs n times one', async () => {
  let reached = 0;
  let made = 0;
  const followed = once(async (size) => {
    const real = await openTestRegistry();
    for (let i = 0; i < size; i++) {
      const reader = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
      const read = (): void => {
        while (reader.poll(read) !== undefined) reached++;
      };
      read();
    }
    return real;
  });
  await assertGrowth(
    async (size) => {
      const real = await followed(size);
      return async () => {
        for (let i = 0; i < 10; i++) {
          reached = 0;
          await real.change(put(`new-${made++}`, {}));
          while (reached < size) await new Promise((resolve) => setImmediate(resolve));
        }
      };
    },
    { max: MAX_LINEAR, from: 4_000 },
  );
});

test('pruning n versions costs n times one', async (t) => {
  const entriesOf = once((size) =>
    Array.from({ length: size }, (_, version) =>
      makeEntry(version, {
        changes: version === 0 ? [] : [putValue(`id-${version % 7}`, String(version))],
      }),
    ),
  );
  await assertGrowth(
    async (size) => {
      const store = openInProcess(makePath());
      t.after(() => store[Symbol.asyncDispose]());
      await store.append({ expected: -1, entries: entriesOf(size) });
      await store.setOldest(size - 1);
      return () => store.prune();
    },
    { max: MAX_LINEAR },
  );
});
