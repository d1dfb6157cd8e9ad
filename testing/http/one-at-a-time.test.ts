/** Pages of entries and histories are made for one reader each: one at a time, and others come between two large ones. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createMemoryStore } from '../../src/store/memory.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestApp } from '../support/http-app.ts';
import { lying } from '../support/lying-store.ts';
import { openTestRegistry, put } from '../support/registry.ts';

const LARGE = '/registry/entries?from=1&limit=1';
const SMALL = '/registry/entries?from=2&limit=1';

let store: Store;

before(async () => {
  store = createMemoryStore();
  const first = await openTestRegistry({ store });
  await first.change(put('large', { text: 'x'.repeat(300_000) }));
  await first.change(put('small', {}));
});

/** `reads`: the version that each read of the store began at; all wait for `gate`. */
async function openPages({ gate = Promise.resolve() } = {}) {
  let isOpen = false;
  const reads: number[] = [];
  let [now, most] = [0, 0];
  const counted = lying(store, {
    async entries(range) {
      reads.push(range.from);
      most = Math.max(most, ++now);
      if (isOpen) await gate;
      now--;
      return await store.entries(range);
    },
  });
  const real = await openTestApp({ registry: { store: counted } });
  reads.length = 0;
  isOpen = true;
  return { ...real, reads, most: () => most };
}

test('however many ask, one page is made at a time, in the order in which they came', async () => {
  const real = await openPages();
  const paths = [LARGE, SMALL, LARGE, SMALL, SMALL, LARGE];
  const answers = await Promise.all(paths.map((path) => real.get(path)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    paths.map(() => 200),
  );
  assert.equal(real.most(), 1);
  assert.deepEqual(real.reads, [1, 2, 1, 2, 2, 1]);
});

test('between large pages everything else has its turn, and small ones need none', async () => {
  const made = async (path: string) => {
    const real = await openPages();
    let turns = 0;
    const count = () => {
      turns++;
      running = setImmediate(count);
    };
    let running = setImmediate(count);
    await Promise.all(
      Array.from({ length: 8 }, () => real.app.fetch(new Request(`http://registry${path}`))),
    );
    clearImmediate(running);
    return turns;
  };
  assert.ok((await made(LARGE)) >= 8);
  assert.ok((await made(SMALL)) < 8);
});

test('for who hung up while it waited nothing is made, and the next has its turn', async () => {
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const real = await openPages({ gate });
  const leaving = new AbortController();
  const first = real.app.fetch(new Request(`http://registry${LARGE}`));
  const gone = real.app.fetch(new Request(`http://registry${LARGE}`, { signal: leaving.signal }));
  const last = real.get(SMALL);
  leaving.abort();
  resolve();
  assert.deepEqual(
    [(await first).status, (await gone).status, (await last).status],
    [200, 429, 200],
  );
  assert.deepEqual(real.reads, [1, 2]);
});

test('a page that cannot be made is refused, and the next has its turn', async () => {
  const real = await openPages();
  const [bad, good] = await Promise.all([real.get('/registry/entries?from=x'), real.get(SMALL)]);
  assert.deepEqual([bad.status, good.status], [400, 200]);
});

test('a history waits for its turn too', async () => {
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const real = await openPages({ gate });
  let isAnswered = false;
  const page = real.get(LARGE);
  const history = real.get('/registry/history/service/small').then(({ status }) => {
    isAnswered = true;
    return status;
  });
  await new Promise(setImmediate);
  assert.equal(isAnswered, false);
  resolve();
  assert.equal((await page).status, 200);
  assert.equal(await history, 200);
});
