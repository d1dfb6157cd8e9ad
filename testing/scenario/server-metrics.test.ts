import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { GOLDEN } from '../support/server-golden.ts';
import { spawnServer } from '../support/server-process.ts';
import { exchange, statuses } from '../support/server-socket.ts';
import {
  beginOver,
  clientOf,
  commitService,
  makeDataDir,
  startTestServer,
} from '../support/server-start.ts';

async function scrape(metricsUrl: string | null): Promise<(series: string) => number | undefined> {
  const text = await (await fetch(metricsUrl ?? '')).text();
  return (series) => {
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
}

test('a scrape of a server at work has every golden metric, and what it did', async (t) => {
  const { url, metricsUrl } = await startTestServer(t, {
    profile: 'macronode',
    data: makeDataDir(),
    metrics_listen: '127.0.0.1:0',
  });
  const client = clientOf(url);
  const registry = await beginOver(client);
  await commitService(client, registry, 'checkout');
  const stream = get(`${url}/registry/stream`).on('error', () => undefined);
  t.after(() => stream.destroy());
  await new Promise((resolve) => stream.once('response', resolve));
  await assert.rejects(commitService(client, registry, 'checkout'), { code: 'fence_broken' });

  const text = await (await fetch(metricsUrl ?? '')).text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]);
  const found = Object.fromEntries(types);
  for (const [name, [type]] of Object.entries(GOLDEN)) assert.equal(found[name], type, name);
  assert.ok(found.process_resident_memory_bytes);

  const value = await scrape(metricsUrl);
  assert.equal(value('registry_version'), 1);
  assert.equal(value('registry_updates_total{result="committed"}'), 2);
  assert.equal(value('commit_latency_seconds_count'), 2);
  assert.equal(value('approvals_per_commit_sum'), 6);
  assert.equal(value('registry_stream_subscribers'), 1);
  assert.equal(value('rejected_total{reason="fence_broken"}'), 1);
  assert.equal(value('registry_pending_proposals'), 1);
  const verified = value('approval_verify_seconds_count') ?? 0;
  assert.ok(verified >= 6, `${verified} approvals verified`);
  assert.ok((value('storage_fsync_seconds_count') ?? 0) >= 2);
  assert.ok((value('registry_storage_bytes') ?? 0) > 4096);
  const posts = '{route="/registry/proposals",method="POST"';
  assert.equal(value(`http_requests_total${posts},code="202"}`), 3);
  assert.equal(value(`request_latency_seconds_count${posts}}`), 3);
  assert.equal(value(`http_requests_total${posts},code="500"}`), 0);

  assert.equal(value('audit_records_total{decision="refused"}'), 1);
  assert.ok((value('audit_records_total{decision="accepted"}') ?? 0) >= 10);
  assert.equal(value('audit_failures_total'), 0);
  assert.ok((value('http_connections') ?? 0) >= 1);
  assert.equal(value('tls_certificate_not_after_timestamp_seconds'), undefined);
});

test('readiness and the time of the start are on the page, before genesis and after', async (t) => {
  const { url, metricsUrl } = await startTestServer(t, { metrics_listen: '127.0.0.1:0' });
  const before = await scrape(metricsUrl);
  assert.equal(before('registry_read_ready'), 0);
  assert.equal(before('registry_write_ready'), 1);
  assert.equal(before('registry_write_gate{gate="genesis"}'), 0);
  assert.ok((before('registry_start_seconds{phase="read",after="stop"}') ?? 0) > 0);
  await beginOver(clientOf(url));
  const after = await scrape(metricsUrl);
  assert.equal(after('registry_read_ready'), 1);
  assert.equal(after('registry_write_gate{gate="genesis"}'), 1);
  const read = after('registry_start_seconds{phase="read",after="stop"}') ?? 0;
  const write = after('registry_start_seconds{phase="write",after="stop"}') ?? 0;
  assert.ok(read > 0 && write >= read, `read after ${read} s, write after ${write} s`);
});

test('a start after a crash says so, and one after a stop does not', async (t) => {
  const data = makeDataDir();
  const crashed = await spawnServer(data);
  await beginOver(crashed.client);
  assert.equal(await crashed.kill(), 'SIGKILL');
  for (const [after, other] of [
    ['crash', 'stop'],
    ['stop', 'crash'],
  ] as const) {
    const settings = { profile: 'macronode', data, metrics_listen: '127.0.0.1:0' };
    const server = await startTestServer(t, settings);
    const value = await scrape(server.metricsUrl);
    assert.ok((value(`registry_start_seconds{phase="read",after="${after}"}`) ?? 0) > 0, after);
    assert.equal(value(`registry_start_seconds{phase="read",after="${other}"}`), undefined, after);
    assert.equal(value('registry_recoveries_total'), 1);
    assert.equal(value('registry_version'), 0);
    await server.stop();
  }
});

test('an event that a subscriber waited for is in the propagation', async (t) => {
  const { url, metricsUrl } = await startTestServer(t, { metrics_listen: '127.0.0.1:0' });
  const client = clientOf(url);
  const registry = await beginOver(client);
  const stream = get(`${url}/registry/stream`).on('error', () => undefined);
  t.after(() => stream.destroy());
  const events = await new Promise<AsyncIterable<Buffer>>((resolve) =>
    stream.once('response', resolve),
  );
  await commitService(client, registry, 'checkout');
  for await (const chunk of events) if (`${chunk}`.includes('id: 1\n')) break;
  const value = await scrape(metricsUrl);
  assert.equal(value('event_propagation_seconds_count'), 1);
  assert.ok((value('event_propagation_seconds_sum') ?? 9) < 5);
});

test('requests that never reach the application are counted too', async (t) => {
  const { address, metricsUrl } = await startTestServer(t, { metrics_listen: '127.0.0.1:0' });
  await exchange(address, 'nonsense\r\n\r\n');
  await exchange(address, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
  await exchange(address, 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n');
  const value = await scrape(metricsUrl);
  assert.equal(value('rejected_total{reason="invalid_request"}'), 3);
});

test('the metrics listener serves nothing but metrics, and the API listener none', async (t) => {
  const { url, address, metricsUrl } = await startTestServer(t, { metrics_listen: '[::1]:0' });
  assert.match(metricsUrl ?? '', /^http:\/\/\[::1\]:\d+\/metrics$/);
  const port = Number(new URL(metricsUrl ?? '').port);
  const ask = async (text: string) =>
    statuses(
      await exchange(
        { host: '::1', port },
        `${text} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      ),
    );
  assert.deepEqual(await ask('GET /metrics?a=1'), [200]);
  assert.deepEqual(await ask('HEAD /metrics'), [200]);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    assert.deepEqual(await ask(`${method} /metrics`), [405], method);
  assert.deepEqual(await ask('GET /registry/head'), [404]);
  for (const path of ['/metrics', '/metrics/', '//metrics', '/registry/../metrics'])
    assert.equal((await fetch(`${url}${path}`)).status, 404, path);
  assert.notEqual(port, address.port);
});

test('the metrics listener keeps 64 connections: it cannot take the file descriptors of the api', async (t) => {
  const { metricsUrl } = await startTestServer(t, { metrics_listen: '127.0.0.1:0' });
  const { hostname: host, port } = new URL(metricsUrl ?? assert.fail());
  const sockets = Array.from({ length: 80 }, () => connect(Number(port), host));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  let closed = 0;
  const overCap = Promise.withResolvers<void>();
  for (const socket of sockets)
    socket
      .resume()
      .on('error', () => undefined)
      .once('close', () => ++closed === 16 && overCap.resolve());
  await overCap.promise;
  const open = sockets.filter(({ destroyed }) => !destroyed);
  assert.equal(open.length, 64);
  const [last = assert.fail()] = open;
  last.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(String((await once(last, 'data'))[0]), /^HTTP\/1\.1 200 /);
});
