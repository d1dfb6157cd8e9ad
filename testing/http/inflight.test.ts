import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Inflight } from '../../src/http/inflight.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { makeFaulty } from '../support/faulty-store.ts';
import { codeOf, openTestApp } from '../support/http-app.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';

/** Work that ends when the test says so. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, end: resolve };
}

const refused = (limit: number) => ({
  code: 'overloaded',
  details: { reason: 'inflight', limit },
});

test('reads are taken up to the cap, writes up to half of it, and not one more', async () => {
  const inflight = new Inflight(() => 4);
  const { work, end } = held();
  const running = [inflight.run('write', work), inflight.run('write', work)];
  await assert.rejects(inflight.run('write', work), refused(2));
  running.push(inflight.run('read', work), inflight.run('read', work));
  await assert.rejects(inflight.run('read', work), refused(4));
  await assert.rejects(inflight.run('write', work), refused(2));
  end();
  await Promise.all(running);
  assert.equal(await inflight.run('write', () => 'again'), 'again');
});

test('reads alone hold writes off from half of the cap on', async () => {
  const inflight = new Inflight(() => 4);
  const { work, end } = held();
  const running = [inflight.run('read', work)];
  assert.equal(await inflight.run('write', () => 'taken'), 'taken');
  running.push(inflight.run('read', work));
  await assert.rejects(inflight.run('write', work), refused(2));
  end();
  await Promise.all(running);
});

test('work that fails gives its place back, and a refusal takes none', async () => {
  const inflight = new Inflight(() => 2);
  for (let n = 0; n < 5; n++) {
    await assert.rejects(
      inflight.run('read', () => Promise.reject(new Error('failed'))),
      { message: 'failed' },
    );
    await assert.rejects(
      inflight.run('read', () => {
        throw new Error('failed at once');
      }),
      { message: 'failed at once' },
    );
  }
  const { work, end } = held();
  const running = [inflight.run('read', work), inflight.run('read', work)];
  for (let n = 0; n < 5; n++) await assert.rejects(inflight.run('read', work), refused(2));
  end();
  await Promise.all(running);
  assert.equal(await inflight.run('read', () => 1), 1);
});

test('a cap that is changed holds for the next request', async () => {
  let max = 1;
  const inflight = new Inflight(() => max);
  const { work, end } = held();
  const running = [inflight.run('read', work)];
  await assert.rejects(inflight.run('read', work), refused(1));
  max = 2;
  running.push(inflight.run('read', work));
  max = 1;
  await assert.rejects(inflight.run('read', work), refused(1));
  end();
  await Promise.all(running);
});

/** An app whose reads of entries wait, with `count` of them on their way. */
async function busyApp(maxInflight: number, count: number) {
  const store = createMemoryStore();
  const app = await openTestApp({
    registry: { store },
    deps: { limits: () => ({ maxInflight }) },
  });
  await app.change(put('a', {}));
  const { promise, resolve } = Promise.withResolvers<void>();
  const entry = store.entry.bind(store);
  store.entry = async (version) => {
    await promise;
    return entry(version);
  };
  const running = Array.from({ length: count }, () => app.get('/registry/1'));
  return {
    ...app,
    end: async () => {
      resolve();
      return (await Promise.all(running)).map(({ status }) => status);
    },
  };
}

test('past the cap reads are 429 with Retry-After, and probes answer as ever', async () => {
  const app = await busyApp(4, 4);
  const refusal = await app.get('/registry/head');
  assert.deepEqual([refusal.status, refusal.headers.get('retry-after')], [429, '1']);
  const { code, details } = await refusal.json();
  assert.deepEqual([code, details], ['overloaded', { reason: 'inflight', limit: 4 }]);
  for (const probe of ['/healthz', '/livez', '/readyz', '/readyz?verbose', '/version'])
    assert.equal((await app.get(probe)).status, 200, probe);
  assert.deepEqual(await app.end(), [200, 200, 200, 200]);
  assert.equal((await app.get('/registry/head')).status, 200);
  assert.equal(await app.metric('rejected_total{reason="overloaded"}'), 1);
});

test('at half of the cap writes are 429, reads go on, and streams and long polls take no place', async () => {
  const app = await busyApp(4, 2);
  const refusal = await app.post('/registry/proposals', '{}');
  assert.equal(refusal.headers.get('retry-after'), '1');
  assert.deepEqual([refusal.status, await codeOf(refusal)], [429, 'overloaded']);
  const polls = [1, 2, 3].map(() => app.get('/registry/head?after=1&wait=10'));
  const streams = await Promise.all([1, 2, 3].map(() => app.get('/registry/stream')));
  assert.equal((await app.get('/registry/head')).status, 200);
  for (const { body } of streams) await body?.cancel();
  app.timers.advance(10_000);
  for (const poll of polls) assert.equal((await poll).status, 200);
  assert.deepEqual(await app.end(), [200, 200]);
  assert.equal(await codeOf(await app.post('/registry/proposals', '{}')), 'invalid_payload');
});

test('commits wait up to the length of the queue; one past it is 429, certainly not done', async () => {
  const faulty = makeFaulty(createMemoryStore());
  const app = await openTestApp({
    registry: { store: faulty.store, limits: { maxQueuedCommits: 2 } },
  });
  const ids: string[] = [];
  for (const name of ['a', 'b', 'c', 'd']) {
    const proposal = descriptorsPayload(app.registryHash, [put(name, {})]);
    await app.registry.proposals.propose(proposal.bytes);
    for (const signer of app.signers)
      await app.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
    ids.push(proposal.payloadB3);
  }
  const release = faulty.hold();
  const commit = (id: string) => app.post(`/registry/commit/${id}`, undefined, {});
  const before = faulty.batches.length;
  const [first = '', second = '', third = '', fourth = ''] = ids;
  const answers = [commit(first)];
  while (faulty.batches.length === before) await new Promise((resolve) => setImmediate(resolve));
  answers.push(commit(second), commit(third));
  const refusal = await commit(fourth);
  assert.deepEqual([refusal.status, refusal.headers.get('retry-after')], [429, '1']);
  const { code, details } = await refusal.json();
  assert.deepEqual([code, details], ['overloaded', { reason: 'queue', limit: 2 }]);
  assert.equal((await app.get('/registry/head')).status, 200);
  release();
  for (const answer of answers) assert.equal((await answer).status, 201);
  assert.equal((await commit(fourth)).status, 201);
});
