import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { loadConfig } from '../../../src/server/config.ts';
import { createFatal } from '../../../src/server/fatal.ts';
import { metricsListener } from '../../../src/server/metrics-listener.ts';
import { closeAll, Running } from '../../../src/server/running.ts';
import { createMetrics } from '../../../src/telemetry/create-metrics.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { listening } from '../../support/server-listening.ts';

test('what was opened last is closed first, also when a part fails to close', async () => {
  const order: string[] = [];
  const closer = (name: string, failure?: Error) => async () => {
    order.push(name);
    if (failure !== undefined) throw failure;
  };
  const closers = [
    closer('store'),
    closer('api', new Error('first')),
    closer('metrics', new Error('second')),
  ];
  await assert.rejects(closeAll(closers), { message: 'second' });
  assert.deepEqual(order, ['metrics', 'api', 'store']);
});

test('a server refuses work before it closes anything, and stops once', async () => {
  const order: string[] = [];
  const server = new Running({
    url: 'http://127.0.0.1:1',
    metricsUrl: null,
    registry: {
      announceEnd: () => void order.push('announce'),
      drain: () => void order.push('drain'),
    },
    live: liveOf(order),
    reload: async () => [],
    log: SILENT_LOG,
    closers: [async () => void order.push('close')],
  });
  {
    await using used = server;
    void used.stop();
  }
  await server.stopped;
  assert.deepEqual(order, ['announce', 'drain', 'no reload', 'close']);
});

test('for the drain delay a server that is to stop serves everything and says that it is not ready', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const order: string[] = [];
  const server = new Running({
    url: 'http://127.0.0.1:1',
    metricsUrl: null,
    registry: {
      announceEnd: () => void order.push('announce'),
      drain: () => void order.push('drain'),
    },
    live: liveOf(order, { drain_delay: '5s' }),
    reload: async () => [],
    log: SILENT_LOG,
    closers: [async () => void order.push('close')],
  });
  const stops = [server.stop(), server.stop()];
  t.mock.timers.tick(4_999);
  await Promise.resolve();
  assert.deepEqual(order, ['announce']);
  t.mock.timers.tick(1);
  await Promise.all(stops);
  assert.deepEqual(order, ['announce', 'drain', 'no reload', 'close']);
});

test('a reload that hangs keeps a server from ending no longer than the drain timeout', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const server = new Running({
    url: 'http://127.0.0.1:1',
    metricsUrl: null,
    registry: { announceEnd() {}, drain() {} },
    live: { ...liveOf([]), close: () => new Promise(() => {}) },
    reload: async () => [],
    log: SILENT_LOG,
    closers: [],
  });
  const stopped = server.stop();
  t.mock.timers.tick(10_000);
  await stopped;
});

function liveOf(order: string[], flags: Readonly<Record<string, string>> = {}) {
  return {
    current: loadConfig({ flags }),
    close: async () => void order.push('no reload'),
  };
}

test('the process is killed once, after the answers had time to leave', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let kills = 0;
  const onFatal = createFatal({ log: SILENT_LOG, kill: () => kills++ });
  onFatal(new RegistryError('storage_failed', 'the store says so'));
  t.mock.timers.tick(199);
  onFatal(new RegistryError('outcome_unknown', 'and so does the registry'));
  assert.equal(kills, 0);
  t.mock.timers.tick(1);
  assert.equal(kills, 1);
  t.mock.timers.tick(1000);
  assert.equal(kills, 1);
});

test('metrics are served though the store does not answer', async (t) => {
  const metrics = createMetrics({
    build: { version: '0', node: '0' },
    reasons: [],
    now: () => 0,
    isProcessObserved: false,
  });
  const observe = () => Promise.reject(new Error('no store'));
  const { address } = await listening(t, metricsListener(metrics, observe));
  const answer = await fetch(`http://${address.host}:${address.port}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /^registry_version -1$/m);
});

test('metrics that can not be written are a 500, not a silence', async (t) => {
  const metrics = { render: () => Promise.reject(new Error('no metrics')) };
  const { address } = await listening(
    t,
    metricsListener(metrics, async () => undefined),
  );
  const answer = await fetch(`http://${address.host}:${address.port}/metrics`);
  assert.equal(answer.status, 500);
});
