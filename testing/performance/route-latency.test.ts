/** What is read of a server's own histogram. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestMetrics } from '../../src/telemetry/request-metrics.ts';
import { latencyBetween, parseRouteLatency } from './route-latency.ts';

const ROUTE = '/registry/{version}/descriptors/{kind}/{id}';

function metered() {
  const metrics = new RequestMetrics([0.0005, 0.001, 0.01]);
  const record = (route: string, ...all: readonly number[]) => {
    for (const seconds of all) metrics.record({ route, method: 'GET', code: 200, seconds });
  };
  return { record, read: () => parseRouteLatency(metrics.render(), ROUTE) };
}

test('the requests between two readings are told from those before, and from those of other routes', () => {
  const { record, read } = metered();
  record(ROUTE, 0.5);
  const before = read();
  record(ROUTE, 0.0002, 0.0004, 0.0003, 0.0011);
  record('/registry/head', 3);
  const { meanUs, atMostUs } = latencyBetween(before, read());
  assert.ok(Math.abs(meanUs - 500) < 1e-6, `${meanUs}`);
  assert.deepEqual([0.5, 0.75, 0.95].map(atMostUs), [500, 500, 10_000]);
});

test('what is above the last bound is at most infinite', () => {
  const { record, read } = metered();
  record(ROUTE, 0.0001);
  const before = read();
  record(ROUTE, 0.5);
  assert.equal(latencyBetween(before, read()).atMostUs(0.95), Number.POSITIVE_INFINITY);
});

test('a route that was not asked for in between has no latency', () => {
  const { record, read } = metered();
  record('/registry/head', 1);
  const before = read();
  assert.equal(before.count, 0);
  assert.throws(() => latencyBetween(before, read()), /expected requests/);
  record(ROUTE, 0.0007);
  assert.equal(latencyBetween(before, read()).atMostUs(0.95), 1_000);
});
