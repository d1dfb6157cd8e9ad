import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8 } from '../../../src/core/bytes.ts';
import { readSignedCheckpoint } from '../../../src/core/tlog/note-signatures.ts';
import type { FeedEvent, Subscription } from '../../../src/registry/registry.ts';
import { createMetrics } from '../../../src/telemetry/create-metrics.ts';
import { lying } from '../../support/lying-store.ts';
import {
  keepCheckpoint,
  openTestRegistry,
  put,
  type TestRegistry,
} from '../../support/registry.ts';
import { descriptorsPayload, LOG_SIGNER } from '../../support/signers.ts';

async function registryAt(version: number, options = {}): Promise<TestRegistry> {
  const real = await openTestRegistry(options);
  for (let v = 1; v <= version; v++) await real.change(put(`d${v}`, { v }));
  return real;
}

async function versions(subscription: Subscription, count: number): Promise<(number | string)[]> {
  const seen: (number | string)[] = [];
  for (let i = 0; i < count; i++) {
    const event = await subscription.next();
    seen.push(event.type === 'update' ? event.version : event.type);
  }
  return seen;
}

function data(event: FeedEvent): unknown {
  const line = decodeUtf8(event.frame)
    .split('\n')
    .find((l) => l.startsWith('data: '));
  return JSON.parse(line?.slice(6) ?? 'null');
}

test('without a cursor the current head comes first, then what follows it', async () => {
  const real = await registryAt(2);
  const subscription = real.registry.feed.subscribe({ mode: 'all', consumer: 'test' });
  assert.deepEqual(await versions(subscription, 1), [2]);
  await real.change(put('next', {}));
  assert.deepEqual(await versions(subscription, 1), [3]);
});

test('with a cursor exactly the versions after it are replayed, then live ones', async () => {
  const real = await registryAt(4);
  const subscription = real.registry.feed.subscribe({ after: 1, mode: 'all', consumer: 'test' });
  assert.deepEqual(await versions(subscription, 3), [2, 3, 4]);
  await real.change(put('next', {}));
  assert.deepEqual(await versions(subscription, 1), [5]);
});

test('a replay from the store says what the live event said, under the newest checkpoint', async () => {
  const real = await registryAt(3);
  const live = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  const restarted = await openTestRegistry({ store: real.store });
  const replayed = restarted.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  for (const version of [1, 2, 3]) {
    const [one, two] = [data(await live.next()), data(await replayed.next())];
    assert.deepEqual({ ...Object(two), checkpoint: Object(one).checkpoint }, one);
    assert.equal(readSignedCheckpoint(Object(one).checkpoint).size, version + 1);
    assert.equal(readSignedCheckpoint(Object(two).checkpoint).size, 4);
  }
});

test('a live event names the request that committed it, a replayed one does not pretend to', async () => {
  const real = await registryAt(0);
  const proposal = descriptorsPayload(real.registryHash, [put('a', {})]);
  await real.registry.proposals.propose(proposal.bytes);
  for (const signer of real.signers)
    await real.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
  const live = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  await real.registry.proposals.commit(proposal.payloadB3, { corrId: 'deploy-7' });
  const corrId = async (subscription: Subscription) =>
    Object(data(await subscription.next())).corr_id;
  assert.equal(await corrId(live), 'deploy-7');
  const { registry } = await openTestRegistry({ store: real.store });
  const replayed = registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  assert.equal(await corrId(replayed), null);
});

test('a cursor that is not in this log is told so, with the head, and goes on from there', async () => {
  const real = await registryAt(2);
  const subscription = real.registry.feed.subscribe({ after: 99, mode: 'all', consumer: 'test' });
  const reset = await subscription.next();
  assert.equal(reset.type, 'reset');
  assert.deepEqual(data(reset), { head: 2, oldest: 0 });
  await real.change(put('next', {}));
  assert.deepEqual(await versions(subscription, 1), [3]);
});

test('mode latest skips to the newest head and counts what it skipped', async () => {
  const real = await registryAt(1);
  const subscription = real.registry.feed.subscribe({ after: 0, mode: 'latest', consumer: 'test' });
  for (let v = 2; v <= 5; v++) await real.change(put(`d${v}`, {}));
  assert.deepEqual(await versions(subscription, 1), [5]);
});

test('a quiet stream carries the current version every heartbeat', async () => {
  const real = await registryAt(1);
  const subscription = real.registry.feed.subscribe({ after: 1, mode: 'all', consumer: 'test' });
  const next = subscription.next();
  real.timers.advance(15_000);
  const event = await next;
  assert.equal(event.type, 'progress');
  assert.deepEqual(data(event), { checkpoint: real.registry.checkpoint()?.note, version: 1 });
});

test('how long an event took is told for each reader that waited, and for no replay', async () => {
  const seconds: number[] = [];
  const metrics = createMetrics({
    build: { version: 'test', node: 'test' },
    reasons: [],
    now: () => 0,
    isProcessObserved: false,
  });
  metrics.propagated = (sample) => void seconds.push(sample);
  const SIGNING_MS = 20;
  const slowKey = {
    ...LOG_SIGNER,
    sign: async (message: Uint8Array) => {
      const end = performance.now() + SIGNING_MS;
      while (performance.now() < end);
      return LOG_SIGNER.sign(message);
    },
  };
  const real = await registryAt(2, { metrics, signers: [slowKey] });
  const subscribe = (after: number) =>
    real.registry.feed.subscribe({ after, mode: 'all', consumer: 'test' });
  assert.deepEqual(await versions(subscribe(0), 2), [1, 2]);
  assert.deepEqual(seconds, [], 'a replay is no propagation');

  const readers = [subscribe(2), subscribe(2)];
  const waiting = readers.map((reader) => reader.next());
  const late = subscribe(2);
  const startedMs = performance.now();
  await real.change(put('next', {}));
  await Promise.all(waiting);
  await late.next();
  assert.equal(seconds.length, 2, 'who did not wait could not be told sooner');
  const mostSeconds = (performance.now() - startedMs) / 1000;
  for (const sample of seconds)
    assert.ok(sample >= SIGNING_MS / 1000 && sample <= mostSeconds, `${sample} s`);

  const [quiet] = readers.map((reader) => reader.next());
  real.timers.advance(15_000);
  assert.equal((await quiet)?.type, 'progress');
  real.registry.drain();
  assert.equal(seconds.length, 2, 'a heartbeat and an end are no versions');
});

test('a stream ends at its age, says so, and leaves no timer behind', async () => {
  const real = await registryAt(0, { limits: { maxStreamAgeMs: 60_000 } });
  const subscription = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  const next = subscription.next();
  real.timers.advance(80_000);
  assert.equal((await next).type, 'progress');
  const end = await subscription.next();
  assert.equal(end.type, 'end');
  assert.deepEqual(data(end), { reason: 'age' });
  assert.equal(real.registry.feed.subscribers, 0);
  assert.equal(real.timers.pending, 0);
});

test('draining ends every stream, also one that begins later', async () => {
  const real = await registryAt(0);
  const waiting = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  const next = waiting.next();
  real.registry.drain();
  assert.deepEqual(data(await next), { reason: 'closing' });
  const late = real.registry.feed.subscribe({ mode: 'all', consumer: 'test' });
  assert.equal((await late.next()).type, 'end');
});

test('a closed subscription answers end and holds no timer', async () => {
  const real = await registryAt(0);
  await keepCheckpoint(real);
  const subscription = real.registry.feed.subscribe({ after: 0, mode: 'all', consumer: 'test' });
  const next = subscription.next();
  subscription.close();
  const end = await next;
  assert.deepEqual([end.type, end.frame.length], ['end', 0]);
  assert.deepEqual([real.registry.feed.subscribers, real.timers.pending], [0, 0]);
});

test('a reader far behind is served from the store, past what is kept in memory', async () => {
  const real = await openTestRegistry({ limits: { recentEvents: 4 } });
  const reader = real.registry.feed.subscribe({ after: -1, mode: 'all', consumer: 'test' });
  for (let v = 1; v <= 150; v++) await real.change(put(`d${v}`, {}));
  const seen = await versions(reader, 151);
  assert.deepEqual(
    seen,
    Array.from({ length: 151 }, (_, v) => v),
  );
});

test('a flipped bit in any leaf ends a replay before that version is told', async () => {
  const { store } = await registryAt(3);
  const leaves = await store.leaves({ from: 0, limit: 4 });
  let damaged = leaves;
  const { registry } = await openTestRegistry({
    store: lying(store, {
      leaves: async ({ from, limit }) => damaged.slice(from, from + limit),
    }),
  });
  const replay = () => registry.feed.subscribe({ after: -1, mode: 'all', consumer: 'test' });
  assert.deepEqual(await versions(replay(), 4), [0, 1, 2, 3]);
  for (const [version, leaf] of leaves.entries())
    for (let at = 0; at < leaf.length; at++) {
      const copy = leaf.slice();
      copy[at] = (copy[at] ?? 0) ^ 1;
      damaged = leaves.with(version, copy);
      await assert.rejects(
        versions(replay(), 4),
        { code: 'storage_damaged' },
        `${version}, byte ${at}`,
      );
    }
});

test('whatever the disconnects, each version comes once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          fc.constant('commit'),
          fc.constant('read'),
          fc.constant('reconnect'),
          fc.constant('restart'),
        ),
        { minLength: 5, maxLength: 40 },
      ),
      async (acts) => {
        let real = await openTestRegistry();
        let cursor = 0;
        let expected = 0;
        let subscription = real.registry.feed.subscribe({
          after: 0,
          mode: 'all',
          consumer: 'test',
        });
        for (const act of acts)
          if (act === 'commit')
            expected = (await real.change(put(`d${expected}-${cursor}`, { n: Math.random() })))
              .version;
          else if (act === 'read') {
            if (cursor === expected) continue;
            assert.deepEqual(await versions(subscription, 1), [++cursor]);
          } else {
            subscription.close();
            if (act === 'restart') real = await openTestRegistry({ store: real.store });
            subscription = real.registry.feed.subscribe({
              after: cursor,
              mode: 'all',
              consumer: 'test',
            });
          }
        while (cursor < expected) assert.deepEqual(await versions(subscription, 1), [++cursor]);
        subscription.close();
      },
    ),
    { numRuns: 30 },
  );
});
