/** Reads of old versions wait for a tree to be made: many of them take nobody else's place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryStore } from '../../src/store/memory.ts';
import { openTestApp } from '../support/http-app.ts';
import { lying } from '../support/lying-store.ts';
import { openTestRegistry, put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';

const VERSIONS = 40;
const MAX_INFLIGHT = 40;

/** No old tree is made before `release`; whoever asks says in a header where from. */
async function openHeld() {
  const store = createMemoryStore();
  const first = await openTestRegistry({ store });
  for (let n = 1; n <= VERSIONS; n++)
    await first.change(put('a', { n }, n > 1 ? { n: n - 1 } : undefined));
  const made: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = lying(store, {
    async *diff(range) {
      made.push(range.to);
      await promise;
      yield* store.diff(range);
    },
  });
  const app = await openTestApp({
    registry: { store: held },
    deps: {
      limits: () => ({ maxInflight: MAX_INFLIGHT }),
      clientAddress: (c) => c.req.header('x-from') ?? '127.0.0.1',
    },
  });
  const ask = (version: number, init: RequestInit = {}) =>
    app.send(`/registry/${version}/descriptors/service/a?proof=1`, { method: 'HEAD', ...init });
  return { ...app, ask, made, release: resolve };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

test('one who asks for many old versions is refused, and the head and writes go on', async () => {
  const app = await openHeld();
  const waiting = Array.from({ length: VERSIONS }, (_, version) => app.ask(version));
  await turns();
  const refusal = await app.get('/registry/39/set', { 'x-from': '127.0.0.1' });
  const { code, details } = await refusal.json();
  assert.deepEqual([refusal.status, refusal.headers.get('retry-after')], [429, '1']);
  assert.deepEqual([code, details], ['overloaded', { reason: 'old_sets', limit: 8 }]);
  assert.equal((await app.get('/registry/head')).status, 200);
  assert.equal((await app.get('/registry/head/descriptors/service/a?proof=1')).status, 200);
  const { bytes } = descriptorsPayload(app.registryHash, [put('b', {})]);
  assert.equal((await app.post('/registry/proposals', bytes.slice())).status, 202);
  assert.deepEqual(app.made, [0]);
  app.release();
  const statuses = (await Promise.all(waiting)).map(({ status }) => status);
  assert.deepEqual(
    statuses,
    statuses.map((_, version) => (version < 8 ? 200 : 429)),
  );
});

test('who hangs up gives the place back, and no tree is made for them', async () => {
  const app = await openHeld();
  const busy = app.ask(0, { headers: { 'x-from': 'busy' } });
  await turns();
  for (let version = 1; version < VERSIONS; version++) {
    const gone = new AbortController();
    const left = app.ask(version, { signal: gone.signal });
    await turns();
    gone.abort();
    assert.equal((await left).status, 429);
  }
  assert.equal(await app.metric('rejected_total{reason="overloaded"}'), VERSIONS - 1);
  app.release();
  assert.equal((await busy).status, 200);
  assert.deepEqual(app.made, [0]);
});

test('who waits when the server stops is told so', async () => {
  const app = await openHeld();
  const waiting = [app.ask(0), app.get('/registry/1/set'), app.get('/registry/2/set/hashes')];
  await turns();
  app.registry.drain();
  for (const one of waiting) assert.equal((await one).status, 503);
  assert.deepEqual(app.made, [0]);
});
