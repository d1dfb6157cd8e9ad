import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import fc from 'fast-check';
import { STREAM_EVENTS } from '../../src/api/events.ts';
import { StreamClosing, StreamProgress, StreamReset, StreamUpdate } from '../../src/api/schemas.ts';
import { decodeUtf8 } from '../../src/core/bytes.ts';
import { StreamSlots } from '../../src/http/stream-slots.ts';
import { refuses } from '../support/core-assert.ts';
import { codeOf, openTestApp, type TestApp, type TestAppOptions } from '../support/http-app.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';

/** The events of one open stream, read one at a time as a client would. */
class Events {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #parsed: EventSourceMessage[] = [];
  retryMs: number | undefined;
  readonly #parser = createParser({
    onEvent: (event) => this.#parsed.push(event),
    onRetry: (ms) => {
      this.retryMs = ms;
    },
  });

  constructor(response: Response) {
    assert.equal(response.status, 200);
    assert.ok(response.body);
    this.#reader = response.body.getReader();
  }

  /** `undefined` when the stream has ended. */
  async next(): Promise<EventSourceMessage | undefined> {
    while (this.#parsed.length === 0) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#parser.feed(decodeUtf8(value));
    }
    return this.#parsed.shift();
  }

  async ids(count: number): Promise<(string | undefined)[]> {
    const ids: (string | undefined)[] = [];
    for (let i = 0; i < count; i++) ids.push((await this.next())?.id);
    return ids;
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function openAt(version: number, options: TestAppOptions = {}): Promise<TestApp> {
  const app = await openTestApp(options);
  for (let v = 1; v <= version; v++) await app.change(put(`d${v}`, {}));
  return app;
}

async function follow(app: TestApp, search = '', headers = {}): Promise<Events> {
  return new Events(await app.get(`/registry/stream${search}`, headers));
}

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('a stream says when to reconnect first, then the head, then what follows', async () => {
  const app = await openAt(2);
  const response = await app.get('/registry/stream');
  const { headers } = response;
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.equal(headers.get('x-accel-buffering'), 'no');
  const events = new Events(response);
  const first = await events.next();
  assert.equal(events.retryMs, 2_000);
  assert.deepEqual([first?.event, first?.id], [STREAM_EVENTS.update, '2']);
  const data = StreamUpdate.parse(JSON.parse(first?.data ?? ''));
  const checkpoint = app.registry.checkpoint()?.note;
  assert.ok(checkpoint?.startsWith('registry.example.com/test\n3\n'));
  assert.deepEqual(data, { ...app.registry.head()?.object, checkpoint, corr_id: null });
  await app.change(put('next', {}));
  assert.deepEqual(await events.ids(1), ['3']);
  await events.cancel();
});

test('an event names the request that committed its entry', async () => {
  const app = await openAt(0);
  const proposal = descriptorsPayload(app.registryHash, [put('a', {})]);
  const { payloadB3 } = proposal;
  await app.registry.proposals.propose(proposal.bytes);
  for (const signer of app.signers)
    await app.registry.proposals.approve(payloadB3, signer.approve(proposal));
  const events = await follow(app, '?after=0');
  await app.post(`/registry/commit/${payloadB3}`, undefined, { 'x-corr-id': 'deploy-7' });
  assert.equal(JSON.parse((await events.next())?.data ?? '').corr_id, 'deploy-7');
  await events.cancel();
});

test('a cursor from before what was pruned is told so, with the oldest version, and goes on from the head', async () => {
  const app = await openAt(5);
  await app.registry.prune(3);
  for (const [search, headers] of [
    ['?after=1', {}],
    ['', { 'last-event-id': '0' }],
    ['?after=1&mode=latest', {}],
  ] as const) {
    const events = await follow(app, search, headers);
    const reset = await events.next();
    assert.deepEqual([reset?.event, reset?.id], [STREAM_EVENTS.reset, '5'], search);
    assert.deepEqual(StreamReset.parse(JSON.parse(reset?.data ?? '')), { head: 5, oldest: 3 });
    await events.cancel();
  }
  const kept = await follow(app, '?after=2');
  assert.deepEqual(await kept.ids(3), ['3', '4', '5']);
  await kept.cancel();
  const on = await follow(app, '?after=1');
  assert.equal((await on.next())?.event, STREAM_EVENTS.reset);
  await app.change(put('next', {}));
  assert.deepEqual(await on.ids(1), ['6']);
  await on.cancel();
});

test('with a cursor exactly the versions after it are replayed, then live ones', async () => {
  const app = await openAt(5);
  for (const [search, headers] of [
    ['?after=2', {}],
    ['', { 'last-event-id': '2' }],
    ['?after=0', { 'last-event-id': '2' }],
    ['?after=2', { 'last-event-id': '' }],
  ] as const) {
    const events = await follow(app, search, headers);
    assert.deepEqual(await events.ids(3), ['3', '4', '5']);
    await events.cancel();
  }
  const live = await follow(app, '?after=5');
  const next = live.ids(1);
  await app.change(put('next', {}));
  assert.deepEqual(await next, ['6']);
  await live.cancel();
});

test('a client that reconnects at any moment gets each version once, in order', async () => {
  const app = await openAt(0);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('commit', 'cut', 'read'), fc.nat(3)), { maxLength: 25 }),
      async (steps) => {
        const start = app.registry.head()?.version ?? 0;
        const seen: number[] = [];
        let events = await follow(app, `?after=${start}`);
        const read = async () => seen.push(Number((await events.ids(1))[0]));
        for (const [step, count] of steps)
          if (step === 'commit')
            for (let i = 0; i < count; i++) await app.change(put(`x${app.timers.count()}`, {}));
          else if (step === 'cut') {
            await events.cancel();
            events = await follow(app, '', { 'last-event-id': `${seen.at(-1) ?? start}` });
          } else
            for (
              let i = 0;
              i < count && start + seen.length < (app.registry.head()?.version ?? 0);
              i++
            )
              await read();
        while (start + seen.length < (app.registry.head()?.version ?? 0)) await read();
        await events.cancel();
        assert.deepEqual(
          seen,
          seen.map((_, i) => start + 1 + i),
        );
      },
    ),
    { numRuns: 20 },
  );
  assert.equal(app.registry.feed.subscribers, 0);
});

test('a cursor that is not in the log is told so, with the head, and goes on from there', async () => {
  const app = await openAt(1);
  const events = await follow(app, '', { 'last-event-id': '9007199254740991' });
  const reset = await events.next();
  assert.equal(reset?.event, STREAM_EVENTS.reset);
  assert.deepEqual(StreamReset.parse(JSON.parse(reset?.data ?? '')), { head: 1, oldest: 0 });
  await app.change(put('next', {}));
  assert.deepEqual(await events.ids(1), ['2']);
  await events.cancel();
});

test('a cursor that is no version is refused before a stream is opened', async () => {
  const app = await openAt(0);
  for (const id of ['-1', '01', 'x', '1.0', '9007199254740992', '1,2', 'null']) {
    const byHeader = await app.get('/registry/stream', { 'last-event-id': id });
    const byQuery = await app.get(`/registry/stream?after=${id}`);
    for (const response of [byHeader, byQuery])
      assert.deepEqual([response.status, await codeOf(response)], [400, 'invalid_request'], id);
  }
  assert.equal(await codeOf(await app.get('/registry/stream?mode=newest')), 'invalid_request');
  assert.equal(app.registry.feed.subscribers, 0);
});

test('mode latest skips to the newest head when the reader is behind, and counts it', async () => {
  const app = await openAt(6);
  const events = await follow(app, '?mode=latest&after=1');
  assert.deepEqual(await events.ids(1), ['6']);
  assert.equal(await app.metric('bus_lagged_total{consumer="latest"}'), 4);
  await events.cancel();
});

test('a quiet stream carries a heartbeat without an id', async () => {
  const app = await openAt(1);
  const events = await follow(app, '?after=1');
  const next = events.next();
  await settle();
  app.timers.advance(15_000);
  const event = await next;
  assert.deepEqual([event?.event, event?.id], [STREAM_EVENTS.progress, undefined]);
  assert.deepEqual(StreamProgress.parse(JSON.parse(event?.data ?? '')), {
    checkpoint: app.registry.checkpoint()?.note,
    version: 1,
  });
  await events.cancel();
});

test('a stream before genesis waits for it', async () => {
  const source = await openTestApp();
  const app = await openTestApp({ registry: { isBegun: false } });
  const events = await follow(app);
  const next = events.ids(1);
  const genesis = await source.registry.proposals.payload(source.registryHash);
  assert.ok(genesis);
  await app.commit(genesis, app.signers);
  assert.deepEqual(await next, ['0']);
  await events.cancel();
});

test('when the service stops, every stream is told, told when to come back, and ended', async () => {
  const app = await openAt(0);
  const events = await follow(app, '?after=0');
  const next = events.next();
  app.registry.drain();
  const closing = await next;
  assert.equal(closing?.event, STREAM_EVENTS.closing);
  assert.deepEqual(StreamClosing.parse(JSON.parse(closing?.data ?? '')), { reason: 'closing' });
  assert.equal(events.retryMs, 1_500);
  assert.equal(await events.next(), undefined);
  assert.equal(app.registry.feed.subscribers, 0);
});

test('HEAD has the headers of a stream and opens none', async () => {
  const app = await openAt(0, { deps: { limits: () => ({ maxStreams: 0 }) } });
  const response = await app.head('/registry/stream');
  assert.deepEqual([response.status, response.body], [200, null]);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  assert.equal(app.registry.feed.subscribers, 0);
  assert.equal((await app.head('/registry/stream?after=x')).status, 400);
});

test('one stream too many is 429, for an address and in all, and a closed one makes room', async () => {
  let address = 'a';
  const app = await openAt(0, {
    deps: {
      limits: () => ({ maxStreams: 3, maxStreamsPerAddress: 2 }),
      clientAddress: () => address,
    },
  });
  const [first, second] = [await follow(app), await follow(app)];
  const third = await app.get('/registry/stream');
  assert.deepEqual([third.status, await codeOf(third)], [429, 'too_many_streams']);
  assert.equal(third.headers.get('retry-after'), '10');
  address = 'b';
  await follow(app);
  const fourth = await app.get('/registry/stream');
  assert.equal(await codeOf(fourth), 'too_many_streams');
  await first.cancel();
  await first.cancel();
  await follow(app);
  assert.equal((await app.get('/registry/stream')).status, 429, 'a place is given back once');
  await second.cancel();
  assert.equal(app.registry.feed.subscribers, 2);
});

test('a place is given back once, however often a stream ends', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('take', 'release'), fc.nat(2), fc.nat(9))),
      (steps) => {
        const limits = { maxStreams: 5, maxStreamsPerAddress: 2 };
        const slots = new StreamSlots(() => limits);
        const held: { address: number; release: () => void; isHeld: boolean }[] = [];
        const count = (address?: number) =>
          held.filter((h) => h.isHeld && (address ?? h.address) === h.address).length;
        for (const [step, address, index] of steps) {
          const chosen = held[index];
          if (step === 'release' && chosen !== undefined) {
            chosen.release();
            chosen.isHeld = false;
          } else if (count() < 5 && count(address) < 2)
            held.push({ address, release: slots.take(`${address}`), isHeld: true });
          else refuses('too_many_streams', () => slots.take(`${address}`));
          assert.equal(slots.taken, count());
        }
      },
    ),
  );
});

test('a client that goes away ends its subscription, by cancel or by abort', async () => {
  const app = await openAt(1);
  const { pending } = app.timers;
  const cancelled = await follow(app);
  await cancelled.ids(1);
  await cancelled.cancel();
  assert.equal(app.registry.feed.subscribers, 0);
  const gone = new AbortController();
  const response = await app.send('/registry/stream', { signal: gone.signal });
  const events = new Events(response);
  await events.ids(1);
  assert.equal(app.registry.feed.subscribers, 1);
  const waiting = events.next();
  await settle();
  gone.abort();
  assert.equal(await waiting, undefined);
  assert.equal(app.registry.feed.subscribers, 0);
  assert.equal(app.timers.pending, pending);
});

test('a client that was gone before its stream began holds no place', async () => {
  const app = await openAt(1, { deps: { limits: () => ({ maxStreams: 1 }) } });
  const response = await app.send('/registry/stream', { signal: AbortSignal.abort() });
  assert.equal(await new Events(response).next(), undefined);
  assert.equal((await app.get('/registry/stream')).status, 200);
});

test('a reader that does not read has at most one event read ahead for it', async () => {
  const app = await openAt(0);
  const { subscribe } = app.registry.feed;
  let given = 0;
  app.registry.feed.subscribe = (options) => {
    const subscription = subscribe.call(app.registry.feed, options);
    return {
      close: () => subscription.close(),
      next: () => subscription.next(),
      poll: (onEvent) => {
        const event = subscription.poll(onEvent);
        if (event !== undefined) given++;
        return event;
      },
    };
  };
  const response = await app.get('/registry/stream?after=0');
  const reader = response.body?.getReader();
  assert.match(decodeUtf8((await reader?.read())?.value ?? new Uint8Array()), /^retry: /);
  for (let v = 0; v < 50; v++) await app.change(put(`x${v}`, {}));
  await settle();
  assert.equal(given, 1);
  assert.match(decodeUtf8((await reader?.read())?.value ?? new Uint8Array()), /^id: 1\n/);
  await reader?.cancel();
});

test('a reader that does not drain for 10 s while an event waits is cut off and counted', async () => {
  const app = await openAt(0, { deps: { limits: () => ({ maxStreams: 1 }) } });
  const response = await app.get('/registry/stream?after=0');
  const reader = response.body?.getReader();
  await reader?.read();
  await settle();
  // Nothing waits for it, so it is not slow, however long that takes.
  app.timers.advance(14_999);
  await app.change(put('a', {}));
  await settle();
  app.timers.advance(9_999);
  assert.equal(app.hungUp(), 0);
  app.timers.advance(1);
  assert.equal(app.hungUp(), 1);
  assert.equal(await app.metric('bus_lagged_total{consumer="slow"}'), 1);
  assert.equal(app.registry.feed.subscribers, 0);
  assert.equal(app.timers.pending, 0);
  assert.equal((await app.get('/registry/stream')).status, 200, 'its place is free');
});

test('a reader that takes not even the first bytes is cut off after 10 s, whoever carries them', async () => {
  const app = await openAt(0, { deps: { limits: () => ({ maxStreams: 1 }) } });
  const ask = { target: '/registry/stream', ifNoneMatch: undefined, corrId: undefined };
  /** The front's way: what was answered before fills the buffer of the connection. */
  const full = () => {
    let isDestroyed = false;
    const answer = app.readyReads.stream({ ...ask, lastEventId: undefined }, '127.0.0.1');
    const destroy = () => {
      isDestroyed = true;
    };
    answer?.events.open({ write: () => false, end: () => assert.fail('it was ended'), destroy });
    return () => isDestroyed;
  };
  const unread = async () => {
    assert.equal((await app.get('/registry/stream')).status, 200);
    return () => app.hungUp() === 1;
  };
  for (const open of [full, unread]) {
    const isCut = await open();
    app.timers.advance(9_999);
    assert.deepEqual([isCut(), app.registry.feed.subscribers], [false, 1]);
    app.timers.advance(1);
    assert.deepEqual([isCut(), app.registry.feed.subscribers, app.timers.pending], [true, 0, 0]);
  }
  assert.equal(await app.metric('bus_lagged_total{consumer="slow"}'), 2);
});

test('a reader that drains in time is not cut off, and misses nothing', async () => {
  const app = await openAt(0);
  const events = await follow(app, '?after=0');
  const seen: (string | undefined)[] = [];
  for (let v = 1; v <= 5; v++) {
    await app.change(put(`x${v}`, {}));
    await settle();
    app.timers.advance(9_000);
    seen.push(...(await events.ids(1)));
    await settle();
  }
  assert.deepEqual(seen, ['1', '2', '3', '4', '5']);
  assert.equal(app.hungUp(), 0);
  await events.cancel();
  assert.equal(app.timers.pending, 0);
});

test('an event that cannot be read ends the stream, and the failure is logged', async () => {
  const app = await openAt(0);
  const failure = new Error('disk on fire');
  const fail = () => Promise.reject(failure);
  app.registry.feed.subscribe = () => ({ next: fail, poll: fail, close() {} });
  const events = await follow(app);
  assert.equal(await events.next(), undefined);
  const errors = app.lines.filter(({ level }) => level === 'error');
  assert.deepEqual(
    errors.map(({ fields }) => fields.cause),
    [failure],
  );
});

test('a stream that is refused counts once against the limit of its address', async () => {
  let charged = 0;
  const app = await openAt(1, {
    deps: {
      limits: () => ({ maxStreamsPerAddress: 1 }),
      consumeRead: () => {
        charged++;
        return { ok: true, retryAfterSeconds: 0 };
      },
    },
  });
  const asked = { target: '/registry/stream', ifNoneMatch: undefined, corrId: undefined };
  /** The front's way: the app answers what is not ready. */
  const ask = async (lastEventId?: string): Promise<number> => {
    const stream = app.readyReads.stream({ ...asked, lastEventId }, '127.0.0.1');
    if (stream !== undefined) return stream.response.status;
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    return (await app.get('/registry/stream', headers)).status;
  };
  assert.deepEqual([await ask('x'), charged], [400, 1]);
  assert.deepEqual([await ask(), charged], [200, 2]);
  assert.deepEqual([await ask(), charged], [429, 3]);
});

test('a stream that its limit refuses is not left open', async () => {
  const app = await openAt(1, {
    deps: { consumeRead: () => ({ ok: false, retryAfterSeconds: 60 }) },
  });
  const asked = { target: '/registry/stream', ifNoneMatch: undefined, corrId: undefined };
  const lastEventId = undefined;
  assert.equal(app.readyReads.stream({ ...asked, lastEventId }, '127.0.0.1'), undefined);
  assert.equal(app.registry.feed.subscribers, 0);
  assert.equal((await app.get('/registry/stream')).status, 429);
});
