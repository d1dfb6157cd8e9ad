/** What the front must keep true besides its bytes: times, limits, counts, and bytes that are still under way. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { get, HOST } from '../../support/front-requests.ts';
import { openTargets, type Target } from '../../support/front-targets.ts';
import { DEFAULT_TIMEOUTS } from '../../support/server-listening.ts';
import { connected, exchange, statuses, untilClosed } from '../../support/server-socket.ts';

const HEAD = get('/registry/head');
const LAST = get('/registry/head', `${HOST}Connection: close\r\n`);

async function frontOf(t: TestContext, timeouts = {}): Promise<Target> {
  const [front] = await openTargets(t, { ...DEFAULT_TIMEOUTS, ...timeouts });
  return front ?? assert.fail('no front');
}

/** Milliseconds until the server closes, and what came. */
async function closedAfter(
  { address }: Target,
  text: string,
): Promise<{ readonly ms: number; readonly answer: string }> {
  const socket = await connected(address);
  const began = performance.now();
  if (text !== '') socket.write(text);
  const answer = await untilClosed(socket);
  return { ms: performance.now() - began, answer };
}

test('whoever answers, a request is counted once, by route and code', async (t) => {
  const targets = await openTargets(t);
  for (const target of targets) {
    const socket = await connected(target.address);
    for (const request of [
      HEAD,
      get('/registry/1'),
      get('/registry/1'),
      get('/registry/7'),
      HEAD,
    ]) {
      socket.write(request);
      await once(socket, 'data');
    }
    socket.destroy();
    const labels = 'route="/registry/{version}",method="GET"';
    const counts = await Promise.all(
      [
        'http_requests_total{route="/registry/head",method="GET",code="200"}',
        'request_latency_seconds_count{route="/registry/head",method="GET"}',
        'request_latency_seconds_bucket{le="+Inf",route="/registry/head",method="GET"}',
        `http_requests_total{${labels},code="200"}`,
        `http_requests_total{${labels},code="404"}`,
        'rejected_total{reason="not_found"}',
        'inflight_requests',
      ].map(target.metric),
    );
    assert.deepEqual(counts, [2, 2, 2, 2, 1, 1, 0], target.name);
  }
  assert.equal(targets[0]?.ready(), 1, 'then the connection is that of node:http');
});

test('silence is answered as by node:http, in time', async (t) => {
  const front = await frontOf(t, { headersMs: 1_000, requestMs: 1_000 });
  const { ms, answer } = await closedAfter(front, '');
  assert.deepEqual(statuses(answer), [408]);
  // Half a second before node:http has it; node looks every second; the rest is a slow machine.
  assert.ok(ms >= 1_000 && ms < 6_000, `${ms} ms`);
});

test('half of a request after whole ones is answered as by node:http, in time', async (t) => {
  const front = await frontOf(t, { headersMs: 1_000, requestMs: 1_000 });
  const { ms, answer } = await closedAfter(front, `${HEAD}GET /regis`);
  assert.deepEqual(statuses(answer), [200, 408]);
  assert.ok(ms >= 1_000 && ms < 6_000, `${ms} ms`);
});

test('an idle connection is kept as long as its answer said, and not much longer', async (t) => {
  const front = await frontOf(t, { keepAliveMs: 1_000 });
  const { ms, answer } = await closedAfter(front, HEAD);
  assert.match(answer, /^Keep-Alive: timeout=1\r$/m);
  assert.equal(front.ready(), 1);
  assert.ok(ms >= 1_000 && ms < 6_000, `${ms} ms`);
});

test('a connection in use is not idle', async (t) => {
  const front = await frontOf(t, { keepAliveMs: 1_000 });
  const socket = await connected(front.address);
  for (let i = 0; i < 8; i++) {
    socket.write(HEAD);
    await once(socket, 'data');
    await delay(500);
  }
  socket.destroy();
  assert.equal(front.ready(), 8);
});

test('an answer says what time it is, on a connection that is always in use too', async (t) => {
  const front = await frontOf(t);
  const socket = await connected(front.address);
  const dates = new Set<number>();
  for (let i = 0; i < 100 && dates.size < 3; i++) {
    socket.write(HEAD);
    const [answer]: Buffer[] = await once(socket, 'data');
    const date = Date.parse(/^Date: (.+)\r$/m.exec(String(answer))?.[1] ?? '');
    // To the second, and told again four times in one.
    assert.ok(Math.abs(Date.now() - date) < 3_000, `${date} at ${Date.now()}`);
    dates.add(date);
    await delay(100);
  }
  socket.destroy();
  assert.equal(dates.size, 3);
});

interface Unread {
  readonly closed: Promise<string>;
  readonly socket: Socket;
}

/** Long enough for a request to be answered on a busy machine. */
const PATIENCE_MS = 500;

/** Asks again and again, a request a piece, and does not read; until one is left to node:http, for nothing more can be sent. */
async function askWithoutReading(target: Target): Promise<Unread> {
  // From now on the version is ready.
  await exchange(target.address, get('/registry/1', `${HOST}Connection: close\r\n`));
  const socket = await connected(target.address);
  const closed = untilClosed(socket);
  socket.pause();
  for (let isAnswered = true; isAnswered; ) {
    const before = target.ready();
    socket.write(get('/registry/1'));
    const asked = performance.now();
    while (target.ready() === before && performance.now() - asked < PATIENCE_MS) await turn();
    isAnswered = target.ready() > before;
  }
  return { socket, closed };
}

test('bytes that are still under way are not changed by the next answer', async (t) => {
  const front = await frontOf(t);
  const { socket, closed } = await askWithoutReading(front);
  const written = front.ready();
  socket.resume();
  socket.write(LAST);
  const ids = [...(await closed).matchAll(/^x-corr-id: (\S+)\r$/gm)].map(([, id]) => id);
  assert.ok(written > 50 && ids.length >= written, `${written} by the front, ${ids.length} in all`);
  assert.equal(new Set(ids).size, ids.length);
});

test('a reader that does not read is closed in time', async (t) => {
  const front = await frontOf(t, { stalledMs: 1_500 });
  const { socket, closed } = await askWithoutReading(front);
  await delay(5_000);
  socket.resume();
  await closed;
});

test('a stop closes what is idle at once', async (t) => {
  const { server, address, ready } = await frontOf(t);
  const socket = await connected(address);
  socket.write(HEAD);
  await once(socket, 'data');
  assert.equal(ready(), 1);
  const began = performance.now();
  const closed = untilClosed(socket);
  await server.close(10_000);
  await closed;
  assert.ok(performance.now() - began < 5_000);
});

test('requests in one piece are all answered, in their order', async (t) => {
  const front = await frontOf(t);
  const answer = await exchange(
    front.address,
    HEAD + get('/registry/0') + get('/registry/9') + LAST,
  );
  assert.deepEqual(statuses(answer), [200, 200, 404, 200]);
});

const STREAM = get('/registry/stream');

/** Resolves with what came so far once that matches. */
async function heard(socket: Socket, pattern: RegExp): Promise<string> {
  let text = '';
  for (;;) {
    const [chunk]: Buffer[] = await once(socket, 'data');
    text += chunk;
    if (pattern.test(text)) return text;
  }
}

test('a reader of the stream that hangs up gives its place back', async (t) => {
  const front = await frontOf(t);
  const { feed } = front.registry;
  for (const end of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const socket = await connected(front.address);
    socket.write(STREAM);
    await heard(socket, /registry\.update/);
    assert.equal(feed.subscribers, 1, end);
    socket[end]();
    while (feed.subscribers > 0) await turn();
  }
  assert.equal(front.ready(), 3);
});

test('what is asked during a stream is answered when the stream has ended, by node:http', async (t) => {
  const front = await frontOf(t);
  const socket = await connected(front.address);
  socket.write(STREAM);
  await heard(socket, /registry\.update/);
  const closed = untilClosed(socket);
  socket.write(get('/registry/head', `${HOST}Connection: close\r\n`));
  await delay(100);
  front.registry.drain();
  const answer = await closed;
  assert.match(answer, /event: registry\.closing.*\r\n0\r\n\r\nHTTP\/1\.1 200 OK\r\n/s);
  assert.deepEqual(statuses(answer), [200]);
  assert.equal(front.ready(), 1);
});

test('what several ask during their streams is answered each for itself', async (t) => {
  const front = await frontOf(t);
  const asked = ['/registry/0', '/registry/1'];
  const answers = [];
  for (const path of asked) {
    const socket = await connected(front.address);
    socket.write(STREAM);
    await heard(socket, /registry\.update/);
    answers.push(untilClosed(socket));
    socket.write(get(path, `${HOST}Connection: close\r\n`));
    await delay(100);
  }
  front.registry.drain();
  const versions = (await Promise.all(answers)).map(
    (answer) => /"version":(\d+)\}\}?\S*$/.exec(answer)?.[1],
  );
  assert.deepEqual(versions, ['0', '1']);
});

test('after a stream the connection can be used again', async (t) => {
  const front = await frontOf(t);
  const socket = await connected(front.address);
  socket.write(STREAM);
  await heard(socket, /registry\.update/);
  front.registry.drain();
  await heard(socket, /\r\n0\r\n\r\n$/);
  socket.write(HEAD);
  assert.deepEqual(statuses(await heard(socket, /\}$/)), [200]);
  socket.destroy();
  assert.equal(front.ready(), 2);
});

test('who sends far too much during a stream is cut off', async (t) => {
  const front = await frontOf(t);
  const socket = await connected(front.address);
  socket.write(STREAM);
  await heard(socket, /registry\.update/);
  const closed = untilClosed(socket);
  socket.write(HEAD.repeat(400));
  await closed;
  while (front.registry.feed.subscribers > 0) await turn();
});

test('a stop lets streams end, then closes their connections', async (t) => {
  const { server, address, registry } = await frontOf(t);
  const socket = await connected(address);
  socket.write(STREAM);
  await heard(socket, /registry\.update/);
  const closed = untilClosed(socket);
  const stopped = server.close(10_000);
  registry.drain();
  const began = performance.now();
  await stopped;
  assert.match(await closed, /event: registry\.closing/);
  assert.ok(performance.now() - began < 5_000);
});
