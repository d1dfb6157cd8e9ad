import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { type MetricsListenerOptions, metricsListener } from '../../src/server/metrics-listener.ts';
import { createMetrics } from '../../src/telemetry/create-metrics.ts';
import { TestTimers } from '../support/timers.ts';

const HUNG = new Promise<never>(() => undefined);

function quietMetrics() {
  return createMetrics({
    build: { version: '1.2.3', node: '24.0.0' },
    reasons: [],
    now: () => 0,
    isProcessObserved: false,
  });
}

/** Answers what a GET of its page brings. */
async function serve(
  t: TestContext,
  observe: () => Promise<void>,
  { metrics = quietMetrics(), ...options }: MetricsListenerOptions & ServeOptions = {},
) {
  const server = createServer(metricsListener(metrics, observe, options)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return (init?: RequestInit) => fetch(`http://127.0.0.1:${address.port}/metrics`, init);
}

interface ServeOptions {
  readonly metrics?: ReturnType<typeof quietMetrics>;
}

/** A clock that says when somebody begins to wait for it. */
class WatchedTimers extends TestTimers {
  #waited = Promise.withResolvers<void>();

  /** Resolves when a timer was set since the last call. */
  async next(): Promise<void> {
    await this.#waited.promise;
    this.#waited = Promise.withResolvers<void>();
  }

  override setTimeout(run: () => void, ms: number) {
    this.#waited.resolve();
    return super.setTimeout(run, ms);
  }
}

test('a page is the text format of Prometheus, whole and never cached', async (t) => {
  const get = await serve(t, async () => undefined);
  const response = await get();
  const text = await response.text();
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.equal(Number(response.headers.get('content-length')), Buffer.byteLength(text));
  assert.ok(text.endsWith('\n'));
  const head = await get({ method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), response.headers.get('content-length'));
  assert.equal(await head.text(), '');
});

test('a store that hangs hides no other metric, and is asked once', {
  timeout: 10_000,
}, async (t) => {
  let asked = 0;
  const timers = new WatchedTimers(0);
  const observe = () => {
    asked++;
    return HUNG;
  };
  const get = await serve(t, observe, { timers, timeoutMs: 700 });
  const answered = get();
  await timers.next();
  assert.equal(asked, 1);
  timers.advance(699);
  assert.equal(timers.pending, 1, 'the page waits for as long as it may');
  timers.advance(1);
  assert.match(await (await answered).text(), /^registry_version -1$/m);
  const again = get();
  await timers.next();
  timers.advance(700);
  assert.equal((await again).status, 200);
  assert.equal(asked, 1, 'no second question while the first hangs');
});

test('a store that fails, or throws, hides no other metric, and is asked again', async (t) => {
  let asked = 0;
  const get = await serve(t, () => {
    asked++;
    if (asked === 1) throw new Error('broken');
    return Promise.reject(new Error('broken'));
  });
  for (const count of [1, 2, 3]) {
    assert.match(await (await get()).text(), /^registry_version -1$/m);
    assert.equal(asked, count);
  }
});

test('a page that cannot be made is 500 and says nothing', async (t) => {
  const metrics = { ...quietMetrics(), render: () => Promise.reject(new Error('secret')) };
  const response = await (await serve(t, async () => undefined, { metrics }))();
  assert.deepEqual([response.status, await response.text()], [500, '']);
});
