import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { loadConfig } from '../../src/server/config.ts';
import { startServer } from '../../src/server/start.ts';
import { until } from '../support/fault-server.ts';
import { put } from '../support/registry.ts';
import { spawnServer } from '../support/server-process.ts';
import { connected, untilClosed } from '../support/server-socket.ts';
import {
  beginOver,
  clientOf,
  commitService,
  makeDataDir,
  startTestServer,
} from '../support/server-start.ts';
import { descriptorsPayload } from '../support/signers.ts';

async function openStream(url: string): Promise<IncomingMessage> {
  const request = get(`${url}/registry/stream`);
  const [stream] = (await once(request, 'response')) as [IncomingMessage];
  return stream.setEncoding('utf8');
}

test('what was committed is there after a restart, and verifies', async (t) => {
  const data = makeDataDir();
  const first = await startTestServer(t, { profile: 'macronode', data });
  const client = clientOf(first.url);
  const registry = await beginOver(client);
  await commitService(client, registry, 'checkout');
  const before = await client.head();
  await first.stop();

  const second = await startTestServer(t, { profile: 'macronode', data });
  const reader = clientOf(second.url);
  assert.deepEqual(await reader.head(), before);
  const { descriptor } = await reader.descriptor({ kind: 'service', id: 'checkout' });
  assert.deepEqual(descriptor?.spec, { port: 80 });
  assert.equal(await commitService(reader, registry, 'billing'), 2);
});

test('a micronode serves the same', async (t) => {
  const { url } = await startTestServer(t);
  const client = clientOf(url);
  await commitService(client, await beginOver(client), 'checkout');
  assert.equal((await client.head()).version, 1);
});

test('a second process on the same data is refused, and the first goes on', async () => {
  const data = makeDataDir();
  const first = await spawnServer(data);
  const registry = await beginOver(first.client);
  const flags = { data, listen: '127.0.0.1:0', metrics_listen: 'off', log_level: 'silent' };
  await assert.rejects(startServer(loadConfig({ flags })), {
    code: 'storage_locked',
    message: /expected to be the only process on .*registry\.db, got another/,
  });
  assert.equal(await commitService(first.client, registry, 'checkout'), 1);
  assert.equal(await first.stop(), 0);
});

test('SIGTERM ends an open stream with a closing event and the process with 0', async () => {
  const server = await spawnServer(makeDataDir());
  await beginOver(server.client);
  const stream = await openStream(server.url);
  let text = '';
  for await (const chunk of stream) {
    const isFirst = !text.includes('event: registry.update');
    text += chunk;
    if (isFirst && text.includes('event: registry.update')) assert.equal(await server.stop(), 0);
  }
  assert.match(text, /\nretry: \d+\nevent: registry\.closing\ndata: \{"reason":"closing"\}\n\n$/);
  assert.ok(stream.complete);
});

test('while it drains a server refuses writes and new connections, and answers what is open', async (t) => {
  const server = await startTestServer(t);
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  const { bytes } = descriptorsPayload(registry, [put('a', {})], { createdAt: Date.now() });
  const waiting = await connected(server.address);
  waiting.write('GET /registry/head?after=0&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const writing = await connected(server.address);
  const headers = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}`;
  writing.write(`POST /registry/proposals HTTP/1.1\r\n${headers}\r\nExpect: 100-continue\r\n\r\n`);
  await once(writing, 'data');
  const stopped = server.stop();
  await assert.rejects(connected(server.address), { code: 'ECONNREFUSED' });
  writing.write(bytes);
  const [answer, refusal] = await Promise.all([untilClosed(waiting), untilClosed(writing)]);
  assert.match(answer, /^HTTP\/1\.1 200 .*"version":0\}$/s);
  assert.match(refusal, /HTTP\/1\.1 503 .*\r\nconnection: close\r\n.*"code":"draining"/is);
  await stopped;
  assert.deepEqual(
    server.records.filter(({ msg }) => /^stop/.test(String(msg))).map(({ msg }) => msg),
    ['stopping: new work is refused, open requests may end', 'stopped'],
  );
});

test('a server can be stopped by its signal, and twice is as good as once', async (t) => {
  const stop = new AbortController();
  const flags = {
    profile: 'micronode',
    listen: '127.0.0.1:0',
    metrics_listen: 'off',
    log_level: 'silent',
  };
  const server = await startServer(loadConfig({ flags }), { signal: stop.signal });
  t.after(() => server.stop());
  stop.abort();
  await Promise.all([server.stopped, server.stop(), server.stop()]);
  await assert.rejects(fetch(`${server.url}/healthz`));
});

test('how a server started is told with how the one before it ended', async (t) => {
  const data = makeDataDir();
  const settings = { profile: 'macronode', data, metrics_listen: '127.0.0.1:0' };
  const first = await spawnServer(data);
  await beginOver(first.client);
  await first.kill();
  for (const after of ['crash', 'stop']) {
    const server = await startTestServer(t, settings);
    const page = async () => (await fetch(server.metricsUrl ?? '')).text();
    const series = (phase: string) =>
      new RegExp(`^registry_start_seconds\\{phase="${phase}",after="${after}"\\} [0-9.]+$`, 'm');
    const text = await until(page, (one) => series('write').test(one));
    assert.match(text, series('read'));
    assert.match(text, /^registry_read_ready 1$/m);
    for (const gate of ['storage', 'disk', 'checkpoint'])
      assert.match(text, new RegExp(`^registry_write_gate\\{gate="${gate}"\\} 1$`, 'm'));
    await server.stop();
  }
});
