/** Long differences hold much: few are made and sent at once, in pieces, and nobody holds one for long. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createMemoryStore } from '../../src/store/memory.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestApp } from '../support/http-app.ts';
import { lying } from '../support/lying-store.ts';
import { openTestRegistry, put } from '../support/registry.ts';

const LONG = '/registry/diff?from=0&to=8';
const PER_ADDRESS = 2;
const IN_ALL = 4;

let store: Store;

/** Eight times 700 kB: more than is answered whole. */
before(async () => {
  store = createMemoryStore();
  const first = await openTestRegistry({ store });
  for (let n = 0; n < 8; n++) await first.change(put(`d${n}`, { text: 'x'.repeat(700_000) }));
});

const openDiffs = (of = store) =>
  openTestApp({
    registry: { store: of },
    deps: { clientAddress: (c) => c.req.header('x-from') ?? '127.0.0.1' },
  });

/** Straight from the app: its body is read by the test alone. */
async function ask({ app }: Awaited<ReturnType<typeof openDiffs>>, from = 'one', init = {}) {
  const request = new Request(`http://registry${LONG}`, { headers: { 'x-from': from }, ...init });
  return await app.fetch(request);
}

test('a long difference comes in pieces, and is what a short one is', async () => {
  const real = await openDiffs();
  const response = await ask(real);
  assert.equal(response.headers.get('content-length'), null);
  const pieces: Uint8Array[] = [];
  for await (const piece of response.body ?? []) pieces.push(piece);
  assert.ok(pieces.length >= 8 && pieces.every(({ length }) => length < 1024 * 1024));
  const { changes, ...rest } = JSON.parse(Buffer.concat(pieces).toString());
  const { origin } = real.registry.head()?.object ?? {};
  assert.deepEqual(rest, { from: 0, origin, to: 8 });
  assert.deepEqual(
    changes.map(({ id, after }: { id: string; after: { spec: { text: string } } }) => [
      id,
      after.spec.text.length,
    ]),
    Array.from({ length: 8 }, (_, n) => [`d${n}`, 700_000]),
  );
  const short = await real.get('/registry/diff?from=0&to=1');
  assert.ok(Number(short.headers.get('content-length')) > 700_000);
});

test('as many as may ask at once are answered, a few at a time', async () => {
  const gate = Promise.withResolvers<void>();
  let [now, most] = [0, 0];
  const real = await openDiffs(
    lying(store, {
      async *diff(range) {
        most = Math.max(most, ++now);
        await gate.promise;
        yield* store.diff(range);
        now--;
      },
    }),
  );
  const short = (from: string) =>
    real.app.fetch(
      new Request('http://registry/registry/diff?from=0&to=1', { headers: { 'x-from': from } }),
    );
  const asked = Array.from({ length: 32 }, (_, n) => short(n < 16 ? 'one' : 'two'));
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.equal((await short('one')).status, 429);
  gate.resolve();
  for (const answer of await Promise.all(asked)) assert.equal(answer.status, 200);
  assert.ok(most <= 4, `${most} at once`);
  assert.equal((await short('one')).status, 200);
});

test('few long ones are held at once, fewer by one address, until they are read, left or not read for long', async () => {
  const real = await openDiffs();
  const held = [await ask(real), await ask(real)];
  const refusal = await ask(real);
  const { code, details } = await refusal.json();
  assert.deepEqual([refusal.status, code], [429, 'overloaded']);
  assert.deepEqual(details, { reason: 'differences', limit: PER_ADDRESS });
  held.push(await ask(real, 'two'), await ask(real, 'two'));
  const { details: inAll } = await (await ask(real, 'three')).json();
  assert.deepEqual(inAll, { reason: 'differences', limit: IN_ALL });
  const [left, read] = held;
  await left?.body?.cancel();
  assert.equal((await ask(real)).status, 200);
  await read?.arrayBuffer();
  assert.equal((await ask(real)).status, 200);
  assert.equal((await ask(real)).status, 429);
  real.timers.advance(10_000);
  for (const slow of held.slice(2)) await assert.rejects(slow.arrayBuffer(), /a reader/);
  assert.equal((await ask(real)).status, 200);
});

test('a HEAD, a revalidation, a short one and a failure hold none', async () => {
  const real = await openDiffs();
  for (let n = 0; n <= IN_ALL; n++) {
    const { status, headers } = await ask(real, 'one', { method: 'HEAD' });
    assert.equal(status, 200);
    const known = { 'if-none-match': headers.get('etag') ?? '' };
    assert.equal((await real.get(LONG, known)).status, 304);
    assert.equal((await real.get('/registry/diff?from=0&to=1')).status, 200);
    assert.equal((await real.get('/registry/diff?from=0&to=9')).status, 404);
  }
  // As between sets that have lost a value, where who has it is answered only after it was read.
  Object.assign(real.registry.reader, { isWholeSet: () => false });
  const etag = (await ask(real, 'one', { method: 'HEAD' })).headers.get('etag') ?? '';
  for (let n = 0; n <= IN_ALL; n++)
    assert.equal((await real.get(LONG, { 'if-none-match': etag })).status, 304);
  const failing = await openDiffs(
    lying(store, {
      diff: () => {
        throw new Error('cannot');
      },
    }),
  );
  for (let n = 0; n <= IN_ALL; n++) assert.equal((await ask(failing)).status, 500);
});
