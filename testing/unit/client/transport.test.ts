import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isWorthRepeating,
  jitteredDelayMs,
  parseRetryAfter,
  type Retry,
} from '../../../src/client/retry.ts';
import {
  type GetOptions,
  Transport,
  type TransportOptions,
} from '../../../src/client/transport.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { DrivenClock } from '../../support/client-clock.ts';
import { endless } from '../../support/client-lies.ts';
import { errorOf, type Fetch, URL_BASE } from '../../support/client-server.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const GET: GetOptions = { maxBytes: 1_000, accept: 'json' };

const ok = () => new Response('{}', { headers: JSON_TYPE });
const status =
  (code: number, headers: Record<string, string> = {}) =>
  () =>
    new Response('{}', { status: code, headers: { ...JSON_TYPE, ...headers } });
const problem = (code: number, members: Record<string, unknown>) => () =>
  new Response(JSON.stringify(members), {
    status: code,
    headers: { 'content-type': 'application/problem+json' },
  });
const broken = () => {
  throw new TypeError('fetch failed');
};

interface Script {
  readonly transport: Transport;
  readonly clock: DrivenClock;
  readonly requests: Request[];
}

/** Each request is answered by the next step, the last one again and again. */
function script(
  steps: readonly ((request: Request) => Response | Promise<Response>)[],
  options: Partial<TransportOptions> = {},
): Script {
  const requests: Request[] = [];
  const clock = new DrivenClock();
  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init);
    requests.push(request);
    const step = steps[Math.min(requests.length, steps.length) - 1];
    assert.ok(step);
    return step(request);
  };
  const transport = new Transport({
    url: URL_BASE,
    fetch,
    clock,
    timeoutMs: 30_000,
    maxAttempts: 4,
    ...options,
  });
  return { transport, clock, requests };
}

for (const [name, step] of [
  ['a broken connection', broken],
  ['status 500', status(500)],
  ['status 503', problem(503, { code: 'not_ready' })],
  ['status 429', problem(429, { code: 'rate_limited' })],
] as const)
  test(`a read is repeated after ${name}`, async () => {
    const { transport, requests } = script([step, step, ok]);
    assert.equal((await transport.get('/x', GET)).status, 200);
    assert.equal(requests.length, 3);
  });

for (const [name, step] of [
  ['status 404', problem(404, { code: 'not_found' })],
  ['status 400 without a code', status(400)],
  ['an html page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
  ['an oversized answer', () => new Response('x'.repeat(1_001), { headers: JSON_TYPE })],
] as const)
  test(`a read is not repeated after ${name}`, async () => {
    const { transport, requests } = script([step, ok]);
    await assert.rejects(transport.get('/x', GET));
    assert.equal(requests.length, 1);
  });

for (const [name, step, count] of [
  ['a broken connection', broken, 2],
  ['an unknown outcome', problem(503, { code: 'outcome_unknown' }), 2],
  ['a gateway without the server', status(502), 2],
  ['a lost race', problem(409, { code: 'conflict' }), 1],
  ['too many requests', problem(429, { code: 'rate_limited' }), 1],
  ['a full disk', problem(507, { code: 'read_only' }), 1],
] as const)
  test(`a write is sent ${count === 1 ? 'once' : 'again'} after ${name}`, async () => {
    const { transport, requests } = script([step, status(201)]);
    const error = await errorOf(
      transport.post('/x', { body: new Uint8Array([123, 125]), maxBytes: 1_000 }),
    );
    assert.equal(requests.length, count);
    assert.equal(error === undefined, count === 2);
    for (const request of requests) assert.equal(await request.text(), '{}');
  });

test('what the system calls the failure is told, as of a certificate that nobody knows', async () => {
  const refused = Object.assign(new Error('self-signed'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  const { transport } = script([() => Promise.reject(new TypeError('fetch', { cause: refused }))]);
  const error = await errorOf(transport.get('/x', GET));
  assert.match(String(error), /GET \/x, got none in 4 attempts \(DEPTH_ZERO_SELF_SIGNED_CERT\)$/);
});

test('who asks is told of each repeat before it is waited for', async () => {
  const told: Retry[] = [];
  const onRetry = (retry: Retry) => void told.push(retry);
  const steps = [problem(503, { code: 'not_ready' }), status(500, { 'retry-after': '7' }), ok];
  const { transport, clock } = script(steps, { onRetry });
  const answer = transport.get('/x', GET);
  await clock.running(7_000);
  assert.deepEqual(
    told.map(({ error, ...retry }) => ({ code: error.code, ...retry })),
    [
      { code: 'not_ready', attempt: 2, maxAttempts: 4, tookMs: 0, delayMs: 0 },
      { code: 'unavailable', attempt: 3, maxAttempts: 4, tookMs: 0, delayMs: 7_000 },
    ],
  );
  clock.advance(7_000);
  assert.equal((await answer).status, 200);
  assert.equal(told.length, 2);
});

test('how long the attempt took is told too, and of the last one nothing', async () => {
  const told: Retry[] = [];
  const onRetry = (retry: Retry) => void told.push(retry);
  const { transport, clock } = script([() => new Promise<never>(() => {})], {
    onRetry,
    maxAttempts: 2,
  });
  const answer = errorOf(transport.get('/x', GET));
  for (let attempt = 1; attempt <= 2; attempt++) {
    await clock.running(30_000);
    clock.advance(30_000);
  }
  assert.ok((await answer) instanceof RegistryError);
  assert.deepEqual(
    told.map(({ attempt, tookMs }) => [attempt, tookMs]),
    [[2, 30_000]],
  );
});

test('attempts end, and the error says how many there were and why the last one failed', async () => {
  const { transport, requests } = script([broken]);
  const error = await errorOf(transport.get('/x', GET));
  assert.ok(error instanceof RegistryError);
  assert.equal(error.code, 'unavailable');
  assert.equal(requests.length, 4);
  assert.match(error.message, /GET \/x, got none in 4 attempts$/);
  assert.ok(error.cause instanceof RegistryError);
  assert.ok(error.cause.cause instanceof TypeError);
});

test('a write without an answer says that its outcome is unknown', async () => {
  const { transport } = script([broken], { maxAttempts: 1 });
  await assert.rejects(transport.post('/x', { maxBytes: 10 }), {
    code: 'unavailable',
    message: /its outcome is unknown, and repeating it is safe$/,
  });
});

test('the delay between attempts doubles up to a bound, and chance takes any part of it', () => {
  const clock = new DrivenClock();
  clock.chance = 0.999_999;
  const delays = [1, 2, 3, 4, 20, 2_000].map((attempt) =>
    Math.round(jitteredDelayMs(clock, attempt)),
  );
  assert.deepEqual(delays, [200, 400, 800, 1_600, 10_000, 10_000]);
  clock.chance = 0;
  assert.equal(jitteredDelayMs(clock, 7), 0);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, chance) => {
        clock.chance = chance;
        const delayMs = jitteredDelayMs(clock, attempt, { baseMs: 10, maxMs: 640 });
        assert.ok(delayMs >= 0 && delayMs < 640);
      },
    ),
  );
});

test('retry-after is honoured to the millisecond, in seconds and as a date', async () => {
  for (const header of ['7', new Date(new DrivenClock().now() + 7_000).toUTCString()]) {
    const { transport, clock, requests } = script([status(503, { 'retry-after': header }), ok]);
    const answer = transport.get('/x', GET);
    await clock.running(7_000);
    clock.advance(6_999);
    assert.equal(requests.length, 1);
    clock.advance(1);
    assert.equal((await answer).status, 200);
    assert.deepEqual(clock.pending, []);
  }
});

test('told to come back much later, the error comes back instead', async () => {
  const { transport, requests } = script([status(503, { 'retry-after': '31' }), ok]);
  await assert.rejects(transport.get('/x', GET), { code: 'unavailable' });
  assert.equal(requests.length, 1);
});

test('a retry-after that is neither seconds nor a date is none', () => {
  assert.equal(parseRetryAfter(null, 0), undefined);
  assert.equal(parseRetryAfter('soon', 0), undefined);
  assert.equal(parseRetryAfter('0', 0), 0);
  assert.equal(parseRetryAfter('Thu, 01 Jan 1970 00:00:00 GMT', 5_000), 0);
});

test('no answer is repeated only when it is unavailable', () => {
  const failure = (code: 'unavailable' | 'unexpected_answer') => ({
    error: new RegistryError(code, ''),
    status: undefined,
    retryAfterMs: undefined,
  });
  assert.ok(isWorthRepeating('GET', failure('unavailable')));
  assert.ok(!isWorthRepeating('GET', failure('unexpected_answer')));
});

test('headers that do not come in time are no answer', async () => {
  const { transport, clock } = script([() => new Promise<Response>(() => {})], { maxAttempts: 1 });
  const answer = errorOf(transport.get('/slow', GET));
  await clock.running(30_000);
  clock.advance(30_000);
  const error = await answer;
  assert.ok(error instanceof RegistryError);
  assert.equal(error.code, 'unavailable');
  assert.match(error.message, /within 30000 ms/);
});

test('a body that does not end in time is no answer, and is left', async () => {
  let isLeft = false;
  const drip = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array([123])),
    cancel: () => {
      isLeft = true;
    },
  });
  const { transport, clock } = script([() => new Response(drip, { headers: JSON_TYPE })], {
    maxAttempts: 1,
    timeoutMs: 500,
  });
  const answer = errorOf(transport.get('/drip', GET));
  await clock.running(500);
  // The first byte has come; the rest never does.
  await new Promise(setImmediate);
  clock.advance(500);
  const error = await answer;
  assert.ok(error instanceof RegistryError && error.code === 'unavailable', String(error));
  assert.ok(isLeft);
});

test('an endless answer is read no further than its bound', async () => {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled += 100;
      controller.enqueue(new Uint8Array(100).fill(32));
    },
  });
  const { transport } = script([() => new Response(body, { headers: JSON_TYPE })]);
  await assert.rejects(transport.get('/x', GET), {
    code: 'unexpected_answer',
    details: { max_bytes: 1_000 },
  });
  assert.ok(pulled <= 1_300, `${pulled}`);
});

test('an answer that may be cut is cut at its bound', async () => {
  const { transport } = script([() => new Response(endless('ab'), { headers: JSON_TYPE })]);
  const { bytes, isCut } = await transport.get('/x', { ...GET, maxBytes: 7, whenLarger: 'cut' });
  assert.equal(new TextDecoder().decode(bytes), 'abababa');
  assert.ok(isCut);
});

test('a redirect is refused, also one that fetch followed', async () => {
  const followed = () => Object.defineProperty(ok(), 'redirected', { value: true });
  for (const step of [
    status(302, { location: 'http://elsewhere.test' }),
    () => new Response(null, { status: 304 }),
    followed,
  ]) {
    const { transport, requests } = script([step, ok]);
    await assert.rejects(transport.get('/x', GET), {
      code: 'unexpected_answer',
      message: /got a redirect/,
    });
    assert.equal(requests[0]?.redirect, 'manual');
    assert.equal(requests.length, 1);
  }
});

test('a problem comes back as the error it was, with what a retry needs', async () => {
  const members = {
    code: 'fence_broken',
    detail: 'expected a, got b',
    corr_id: 'c-1',
    details: { fences: [1] },
  };
  const { transport } = script([problem(409, members)]);
  await assert.rejects(transport.post('/x', { maxBytes: 10 }), {
    name: 'RegistryError',
    code: 'fence_broken',
    message: 'expected a, got b',
    details: { fences: [1], status: 409, corr_id: 'c-1' },
  });
});

test('a code that nobody knows is an unexpected answer', async () => {
  const steps = [
    problem(418, { code: 'teapot' }),
    problem(400, { code: 7 }),
    problem(400, {}),
    () =>
      new Response('{', { status: 400, headers: { 'content-type': 'application/problem+json' } }),
  ];
  for (const step of steps)
    await assert.rejects(script([step]).transport.get('/x', GET), { code: 'unexpected_answer' });
});

test('the text of a problem is safe to print', async () => {
  const { transport } = script([
    problem(404, { code: 'not_found', detail: `\u001b[2J\u202e${'x'.repeat(10_000)}` }),
  ]);
  const error = await errorOf(transport.get('/x', GET));
  assert.ok(error instanceof RegistryError);
  assert.ok(error.message.startsWith('\\u{1b}[2J\\u{202e}xx'));
  assert.ok(error.message.length < 600);
});

test('an abort ends a request at once, in an attempt and between two, with its own reason', async () => {
  const reason = new Error('enough');
  const waiting = script([() => new Promise<Response>(() => {})]);
  const first = new AbortController();
  const answer = errorOf(waiting.transport.get('/x', { ...GET, signal: first.signal }));
  first.abort(reason);
  assert.equal(await answer, reason);
  assert.deepEqual(waiting.clock.pending, []);

  const resting = script([status(503, { 'retry-after': '7' })]);
  const second = new AbortController();
  const rest = errorOf(resting.transport.get('/x', { ...GET, signal: second.signal }));
  await resting.clock.running(7_000);
  second.abort(reason);
  assert.equal(await rest, reason);
  assert.equal(resting.requests.length, 1);
  assert.deepEqual(resting.clock.pending, []);
});

test('a path in the base url is kept, and what is no base url is refused', async () => {
  const { transport, requests } = script([ok], { url: 'https://example.com/quorate/' });
  await transport.get('/registry/head', GET);
  assert.equal(requests[0]?.url, 'https://example.com/quorate/registry/head');
  for (const url of [
    '',
    'registry',
    'ftp://example.com',
    'http://a:b@example.com',
    'http://example.com/?x=1',
    'file:///etc',
  ])
    assert.throws(() => script([ok], { url }), { code: 'invalid_request' });
});

test('a request carries no credentials, and a fresh one passes every cache', async () => {
  const { transport, requests } = script([ok]);
  await transport.get('/x', { ...GET, isFresh: true });
  assert.equal(requests[0]?.credentials, 'omit');
  assert.equal(requests[0]?.cache, 'reload');
});
