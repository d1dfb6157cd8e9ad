import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { createLog } from '../../../src/server/log.ts';
import { loggedExporter } from '../../../src/server/tracing/exporter.ts';
import { openTracer } from '../../../src/server/tracing/open.ts';
import type { Tracer } from '../../../src/telemetry/tracer.ts';
import { startCollector } from '../../support/trace-collector.ts';

type Line = Readonly<Record<string, unknown>>;

function logTo(lines: Line[]) {
  const write = (line: string) => lines.push(JSON.parse(line) as Line);
  return createLog({ level: 'debug', destination: { write } });
}

async function open(endpoint: string, flushMs?: number) {
  const lines: Line[] = [];
  const service = { name: 'quorate', version: '1' };
  const parts = { log: logTo(lines), service, env: {}, ...(flushMs !== undefined && { flushMs }) };
  return { tracer: await openTracer(endpoint, parts), lines };
}

async function ask(tracer: Tracer, times: number): Promise<void> {
  const asked = { route: '/registry/head', method: 'GET', corrId: 'c', traceparent: undefined };
  for (let i = 0; i < times; i++)
    await tracer.request(
      asked,
      async () => 200,
      (status) => ({ status }),
    );
}

/** Answers that are held until a test lets them go. */
function held() {
  const waiting: ServerResponse[] = [];
  const first = Promise.withResolvers<void>();
  return {
    answer: (response: ServerResponse) => {
      waiting.push(response);
      first.resolve();
    },
    asked: first.promise,
    release: () => {
      for (const response of waiting.splice(0)) response.end('{}');
    },
  };
}

test('a collector that is not there fails no request, and stopping takes no longer than allowed', async () => {
  const { tracer, lines } = await open('http://127.0.0.1:9/v1/traces', 100);
  await ask(tracer, 5);
  const began = performance.now();
  await tracer[Symbol.asyncDispose]();
  assert.ok(performance.now() - began < 2_000);
  assert.equal(lines.length, 0);
});

test('a collector that refuses what it is sent is told of once', async (t) => {
  const collector = await startCollector(t, (response) => response.writeHead(400).end('canary'));
  const { tracer, lines } = await open(collector.endpoint);
  // More than two batches: each is sent on its own.
  await ask(tracer, 1_200);
  await tracer[Symbol.asyncDispose]();
  assert.ok(collector.requests() >= 2);
  assert.deepEqual(
    lines.map(({ level, msg, reason, collector: where }) => [level, msg, reason, where]),
    [
      [
        'warn',
        'spans can not be delivered and are lost',
        '400',
        new URL(collector.endpoint).origin,
      ],
    ],
  );
  assert.ok(!JSON.stringify(lines).includes('canary'));
});

test('while a collector is slow, spans are kept up to a bound and more are dropped', async (t) => {
  const { answer, asked, release } = held();
  const collector = await startCollector(t, answer);
  const { tracer } = await open(collector.endpoint, 10_000);
  await ask(tracer, 512);
  await asked;
  await ask(tracer, 20_000);
  const closed = tracer[Symbol.asyncDispose]();
  const timer = setInterval(release, 5);
  await closed;
  clearInterval(timer);
  const sent = collector.spans().length;
  assert.ok(sent >= 2_048 && sent <= 512 + 2_048, `${sent} spans`);
});

test('a collector that never answers does not hold the end, and its connection is cut', async (t) => {
  const { answer, asked } = held();
  const collector = await startCollector(t, answer);
  const { tracer } = await open(collector.endpoint, 100);
  await ask(tracer, 512);
  await asked;
  assert.equal(await collector.openConnections(), 1);
  const began = performance.now();
  await tracer[Symbol.asyncDispose]();
  assert.ok(performance.now() - began < 2_000);
  while ((await collector.openConnections()) > 0) await new Promise(setImmediate);
});

test('the log says when spans stop being taken, and when they are taken again, and how many were lost', () => {
  const lines: Line[] = [];
  const results = [0, 1, 1, 0, 0, 1];
  const failure = Object.assign(new Error('canary'), { code: 'ECONNREFUSED' });
  const exporter: SpanExporter = {
    export: (_spans, done) => done({ code: results.shift() ?? 0, error: failure }),
    shutdown: async () => undefined,
  };
  const endpoint = 'https://collector.example/v1/traces?key=canary';
  const logged = loggedExporter(exporter, { log: logTo(lines), endpoint });
  const answers: number[] = [];
  const batch = new Array<ReadableSpan>(2);
  while (results.length > 0) logged.export(batch, ({ code }) => answers.push(code));
  assert.deepEqual(answers, [0, 1, 1, 0, 0, 1]);
  assert.deepEqual(
    lines.map(({ level, reason, lost }) => [level, reason, lost]),
    [
      ['warn', 'ECONNREFUSED', undefined],
      ['info', undefined, 4],
      ['warn', 'ECONNREFUSED', undefined],
    ],
  );
  assert.ok(!JSON.stringify(lines).includes('canary'));
});
