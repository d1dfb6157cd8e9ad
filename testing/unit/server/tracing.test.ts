import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import * as api from '@opentelemetry/api';
import { RegistryError } from '../../../src/core/error.ts';
import { createLog } from '../../../src/server/log.ts';
import { openTracer, type TracingParts } from '../../../src/server/tracing/open.ts';
import { NO_TRACER, type Tracer } from '../../../src/telemetry/tracer.ts';
import {
  type CollectedSpan,
  type Collector,
  startCollector,
} from '../../support/trace-collector.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

interface Opened {
  readonly tracer: Tracer & AsyncDisposable;
  readonly lines: string[];
}

async function open(
  t: TestContext,
  endpoint: string,
  parts: Pick<TracingParts, 'env' | 'flushMs'> = {},
): Promise<Opened> {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', destination: { write: (line) => lines.push(line) } });
  const service = { name: 'quorate', version: '1.2.3' };
  const tracer = await openTracer(endpoint, { log, service, env: {}, ...parts });
  t.after(() => tracer[Symbol.asyncDispose]());
  return { tracer, lines };
}

const OK = () => ({ status: 200 });

function request<T>(tracer: Tracer, run: () => Promise<T>, traceparent?: string): Promise<T> {
  const asked = { route: '/registry/head', method: 'GET', corrId: 'c-1', traceparent };
  return tracer.request(asked, run, OK);
}

const nothing = async () => undefined;

function named(collector: Collector, name: string): CollectedSpan {
  const [found, ...more] = collector.spans().filter((span) => span.name === name);
  assert.ok(found !== undefined && more.length === 0, `expected one span ${name}`);
  return found;
}

test('without an endpoint there is no tracer, and everything runs as it is', async () => {
  const { log } = { log: createLog({ level: 'silent' }) };
  const tracer = await openTracer(null, { log, service: { name: 'quorate', version: '1' } });
  assert.equal(tracer, NO_TRACER);
  assert.equal(await request(tracer, async () => tracer.current()), undefined);
  await tracer[Symbol.asyncDispose]();
});

test('a request is a server span under the traceparent that came, its parts are its children', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint);
  const inside = await request(
    tracer,
    () =>
      tracer.span('commit', async () => {
        await tracer.span('verify', nothing, { attributes: { bytes: 12 } });
        return tracer.current();
      }),
    `00-${TRACE}-${CALLER}-01`,
  );
  await tracer[Symbol.asyncDispose]();
  const root = named(collector, 'GET /registry/head');
  const commit = named(collector, 'commit');
  const verify = named(collector, 'verify');
  assert.deepEqual(inside, { traceId: TRACE, spanId: commit.spanId, isSampled: true });
  assert.deepEqual(
    [root, commit, verify].map(({ traceId, parentSpanId, isServer }) => [
      traceId,
      parentSpanId,
      isServer,
    ]),
    [
      [TRACE, CALLER, true],
      [TRACE, root.spanId, false],
      [TRACE, commit.spanId, false],
    ],
  );
  assert.deepEqual(root.attributes, {
    'http.request.method': 'GET',
    'http.route': '/registry/head',
    'quorate.corr_id': 'c-1',
    'http.response.status_code': 200,
  });
  assert.deepEqual(verify.attributes, { bytes: 12 });
  assert.deepEqual([...collector.services], ['quorate 1.2.3']);
  assert.equal(tracer.current(), undefined);
});

test('a traceparent that is none begins a trace of its own and throws nothing', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint);
  const zeros = '0'.repeat(32);
  const odd = [
    undefined,
    '',
    'x',
    `00-${TRACE}-${CALLER}`,
    `00-${TRACE}-${CALLER}-01-more`,
    `00-${TRACE}-${CALLER}-01, 00-${TRACE}-${CALLER}-01`,
    `ff-${TRACE}-${CALLER}-01`,
    `00-${TRACE.toUpperCase()}-${CALLER}-01`,
    `00-${zeros}-${CALLER}-01`,
    `00-${TRACE}-${zeros.slice(16)}-01`,
    `00-${TRACE}-${CALLER}-01\n`,
    `00-${'f'.repeat(1 << 20)}`,
  ];
  for (const header of odd) await request(tracer, nothing, header);
  await request(tracer, nothing, `cc-${TRACE}-${CALLER}-01-whatever a later version says`);
  await tracer[Symbol.asyncDispose]();
  const spans = [...collector.spans()];
  const theirs = spans.pop();
  assert.equal(spans.length, odd.length);
  for (const { traceId, parentSpanId } of spans) {
    assert.equal(parentSpanId, undefined);
    assert.notEqual(traceId, TRACE);
  }
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, odd.length);
  assert.deepEqual([theirs?.traceId, theirs?.parentSpanId], [TRACE, CALLER]);
});

test('a span ends with the code of what was thrown, and never with its words', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint);
  const refusal = new RegistryError('quorum_not_reached', 'canary');
  const refused = tracer.span('commit', () => Promise.reject(refusal), { of: [point('1')] });
  await assert.rejects(refused, refusal);
  const broken = tracer.span('verify', () => Promise.reject(new Error('canary')), {
    of: [point('1')],
  });
  await assert.rejects(broken);
  const asked = { route: '/x', method: 'POST', corrId: 'c', traceparent: undefined };
  await tracer.request(asked, nothing, () => ({ status: 409, code: 'conflict' }));
  await tracer.request({ ...asked, route: '/y' }, nothing, () => ({ status: 503 }));
  await tracer[Symbol.asyncDispose]();
  const ends = ['commit', 'verify', 'POST /x', 'POST /y'].map((name) => {
    const { isError, attributes } = named(collector, name);
    return [isError, attributes['error.type'], attributes['http.response.status_code']];
  });
  assert.deepEqual(ends, [
    [true, 'quorum_not_reached', undefined],
    [true, 'internal', undefined],
    [false, 'conflict', 409],
    [true, undefined, 503],
  ]);
  assert.ok(!collector.bodies.join().includes('canary'));
});

function point(digit: string, isSampled = true) {
  return { traceId: digit.repeat(32), spanId: digit.repeat(16), isSampled };
}

test('work for several is a child of the first recorded one and linked to the others', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint);
  const of = [point('1', false), point('2'), point('3')];
  // Done within a span of somebody else: that one has no part in it.
  await request(tracer, () => tracer.span('store.append', nothing, { of }));
  await tracer[Symbol.asyncDispose]();
  const append = named(collector, 'store.append');
  assert.deepEqual([append.traceId, append.parentSpanId], ['2'.repeat(32), '2'.repeat(16)]);
  assert.deepEqual(
    append.links.map(({ spanId }) => spanId),
    ['1'.repeat(16), '3'.repeat(16)],
  );
});

test('work for nobody runs without a span', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint);
  assert.equal(await tracer.span('verify', async () => 'ran'), 'ran');
  await request(tracer, async () => {
    assert.equal(await tracer.span('publish', async () => 'ran', { of: [] }), 'ran');
  });
  await tracer[Symbol.asyncDispose]();
  assert.deepEqual(
    collector.spans().map(({ name }) => name),
    ['GET /registry/head'],
  );
});

test('who sends a request may keep its trace from being recorded', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint);
  const run = () => tracer.span('commit', async () => tracer.current());
  const inside = await request(tracer, run, `00-${TRACE}-${CALLER}-00`);
  await request(tracer, nothing);
  await tracer[Symbol.asyncDispose]();
  assert.deepEqual([inside?.traceId, inside?.isSampled], [TRACE, false]);
  assert.equal(collector.spans().length, 1);
});

test('nothing is global: not the context, not the provider, not another tracer', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint);
  const { tracer: other } = await open(t, collector.endpoint);
  await request(tracer, async () => {
    assert.notEqual(tracer.current(), undefined);
    assert.equal(other.current(), undefined);
    assert.equal(api.context.active(), api.ROOT_CONTEXT);
    assert.equal(api.trace.getTracer('x').startSpan('x').isRecording(), false);
  });
  await tracer[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

test('OTEL_TRACES_SAMPLER decides which traces are recorded', async (t) => {
  const recorded = async (env: Record<string, string>, traceparent?: string) => {
    const collector = await startCollector(t);
    const { tracer } = await open(t, collector.endpoint, { env });
    for (let i = 0; i < 64; i++) await request(tracer, nothing, traceparent);
    await tracer[Symbol.asyncDispose]();
    return collector.spans().length;
  };
  const sampler = (name: string, argument = '') => ({
    OTEL_TRACES_SAMPLER: name,
    OTEL_TRACES_SAMPLER_ARG: argument,
  });
  assert.equal(await recorded(sampler('always_off')), 0);
  assert.equal(await recorded(sampler('always_on'), `00-${TRACE}-${CALLER}-00`), 64);
  assert.equal(await recorded(sampler('parentbased_traceidratio', '0')), 0);
  assert.equal(
    await recorded(sampler('parentbased_traceidratio', '0'), `00-${TRACE}-${CALLER}-01`),
    64,
  );
  assert.equal(await recorded(sampler('traceidratio', '1')), 64);
  const some = await recorded(sampler('traceidratio', '0.5'));
  assert.ok(some > 0 && some < 64, `${some} of 64`);
  assert.equal(await recorded({ OTEL_SERVICE_NAME: 'prod' }), 64);
});

test('a sampler that is none stops the start, with words', async (t) => {
  const env = (name: string, argument: string) => ({
    env: { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument },
  });
  const endpoint = 'http://127.0.0.1:9/v1/traces';
  await assert.rejects(open(t, endpoint, env('jaeger_remote', '')), {
    code: 'invalid_request',
    message: /^OTEL_TRACES_SAMPLER: expected .*, got "jaeger_remote"$/,
  });
  for (const argument of ['1.1', '-1', 'x', 'NaN'])
    await assert.rejects(open(t, endpoint, env('traceidratio', argument)), {
      code: 'invalid_request',
      message: /^OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1/,
    });
});

test('the service is named by OTEL_SERVICE_NAME, where it is set', async (t) => {
  const collector = await startCollector(t);
  const { tracer } = await open(t, collector.endpoint, { env: { OTEL_SERVICE_NAME: 'prod' } });
  await request(tracer, nothing);
  await tracer[Symbol.asyncDispose]();
  assert.deepEqual([...collector.services], ['prod 1.2.3']);
});
