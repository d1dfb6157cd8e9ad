/** The end of a server, as whoever runs it sees it: SIGTERM, what is still answered, and how long it takes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Hash } from '../../src/core/hash.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import { databasePath } from '../../src/server/open-store.ts';
import { readLog } from '../support/audit-log.ts';
import {
  type FaultServer,
  type FaultServerOptions,
  newPayload,
  readinessOf,
  serve,
  shutChecks,
  tryWrite,
  until,
} from '../support/fault-server.ts';
import { connected, untilClosed } from '../support/server-socket.ts';
import { beginOver, clientOf, SIGNERS } from '../support/server-start.ts';
import { attach, isAttachMissing } from '../support/strace-attach.ts';

const DRAINING = /"msg":"stopping: new work is refused/;
const MICRONODE = { profile: 'micronode' };

interface Begun {
  readonly server: FaultServer;
  readonly registry: Hash;
}

async function begun(t: TestContext, options: FaultServerOptions): Promise<Begun> {
  const server = await serve(t, options);
  return { server, registry: await beginOver(server.client) };
}

async function connectTo({ url }: FaultServer): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return (await connected({ host: hostname, port: Number(port) })).on('error', () => undefined);
}

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/** One answer on a connection that stays open. */
async function ask(socket: Socket, path: string): Promise<string> {
  socket.write(GET(path));
  let text = '';
  while (!text.endsWith('ok\n')) text += (await once(socket, 'data'))[0];
  return text;
}

/** Everything a stream says until it ends. */
async function followed(url: string): Promise<{ readonly ended: Promise<string> }> {
  const response = await fetch(`${url}/registry/stream`);
  assert.equal(response.status, 200);
  return { ended: response.text() };
}

/** Approved by all and not yet committed. */
async function ready({ server, registry }: Begun, id: string): Promise<DecodedPayload> {
  const proposal = newPayload(registry, id);
  await server.client.propose(proposal.bytes);
  for (const signer of SIGNERS)
    await server.client.approve(proposal.payloadB3, signer.approve(proposal));
  return proposal;
}

test('during the drain delay a server is not ready and serves everything; then it ends with 0', async (t) => {
  const stage = await begun(t, { settings: { ...MICRONODE, drain_delay: '1500ms' } });
  const { server, registry } = stage;
  const kept = await connectTo(server);
  assert.match(await ask(kept, '/livez'), /^HTTP\/1\.1 200 /);
  const stream = await followed(server.url);
  const signalledMs = performance.now();
  server.signal('SIGTERM');
  const {
    status,
    ready: isReady,
    write_ready: isWriteReady,
  } = await until(
    () => readinessOf(server),
    (readiness) => !readiness.ready,
  );
  assert.deepEqual([status, isReady, isWriteReady], [503, false, false]);
  // Balancers that have not noticed yet lose nothing, on new connections and on old ones.
  assert.equal((await tryWrite(server, newPayload(registry, 'late'))).status, 202);
  assert.equal((await fetch(`${server.url}/registry/head`)).status, 200);
  assert.match(await ask(kept, '/livez'), /^HTTP\/1\.1 200 /);
  const { code, stderr } = await server.ended;
  const tookMs = performance.now() - signalledMs;
  assert.equal(code, 0);
  assert.ok(tookMs >= 1_500 && tookMs < 12_000, `${tookMs} ms`);
  assert.match(await stream.ended, /event: registry\.closing\n/);
  assert.match(
    stderr,
    /"msg":"stopping soon: not ready[^\n]*\n(?:.*\n)*.*"msg":"stopping: new work is refused[^\n]*\n(?:.*\n)*.*"msg":"stopped"/,
  );
});

test('streams are told to come back at different times, also those that nobody reads are no delay', async (t) => {
  const settings = { ...MICRONODE, drain_timeout: '2s', max_streams_per_address: '100' };
  const { server } = await begun(t, { settings });
  const streams = await Promise.all(Array.from({ length: 12 }, () => followed(server.url)));
  const stalled = await connectTo(server);
  stalled.write(GET('/registry/stream'));
  await once(stalled, 'data');
  stalled.pause();
  const signalledMs = performance.now();
  assert.equal(await server.stop(), 0);
  assert.ok(performance.now() - signalledMs < 10_000);
  const retries = (await Promise.all(streams.map(({ ended }) => ended))).map((text) => {
    const [, retry] = /\nretry: (\d+)\nevent: registry\.closing\ndata: .*\n\n$/.exec(text) ?? [];
    return Number(retry);
  });
  for (const retry of retries) assert.ok(retry >= 500 && retry <= 2_500, `${retry} ms`);
  assert.ok(new Set(retries).size > 6, `${retries}`);
  stalled.destroy();
});

test('while it drains, a request that had begun is answered, liveness too, and a new write is not done', async (t) => {
  const { server, registry } = await begun(t, { settings: MICRONODE });
  const probing = await connectTo(server);
  await ask(probing, '/livez');
  probing.write(GET('/livez').slice(0, -2));
  const { bytes } = newPayload(registry, 'late');
  const writing = await connectTo(server);
  writing.write(
    `POST /registry/proposals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await once(writing, 'data');
  // Both have been seen by the server: it answers in the order in which it reads.
  assert.equal((await readinessOf(server)).status, 200);
  server.signal('SIGTERM');
  await server.remarked(DRAINING);
  probing.write('\r\n');
  writing.write(bytes);
  const [alive, refused] = await Promise.all([untilClosed(probing), untilClosed(writing)]);
  assert.match(alive, /^HTTP\/1\.1 200 .*\r\nconnection: close\r\n.*\r\n\r\nok\n$/is);
  assert.match(refused, /HTTP\/1\.1 503 .*\r\nretry-after: 5\r\n.*"code":"draining"/is);
  assert.match(refused, /"details":\{"reason":"running"\}/);
  assert.equal((await server.ended).code, 0);
});

/** A commit that waits for a disk which takes `delay` longer, once it is known to wait. */
async function waitingCommit(t: TestContext, { drainTimeout = '10s', delay = '3s' }) {
  const settings = { drain_timeout: drainTimeout, shed_storage_after: '1s' };
  const stage = await begun(t, { settings });
  const { server } = stage;
  const proposal = await ready(stage, 'a');
  const fault = await attach(t, server.pid, {
    call: 'fsync',
    effect: `delay_enter=${delay}`,
    path: `${databasePath(server.data)}-wal`,
  });
  const commit = server.client.commit(proposal.payloadB3);
  commit.catch(() => undefined);
  await until(
    () => shutChecks(server),
    (shut) => shut.includes('storage'),
  );
  return { server, proposal, fault, commit };
}

test('a commit that is on its way at SIGTERM is answered, and is there after a restart', async (t) => {
  if (isAttachMissing(t)) return;
  const { server, fault, commit } = await waitingCommit(t, {});
  server.signal('SIGTERM');
  assert.equal((await commit).version, 1);
  assert.ok((await fault.detach()) >= 1);
  assert.equal((await server.ended).code, 0);
  const next = await serve(t, { data: server.data });
  assert.equal((await clientOf(next.url).head()).version, 1);
  assert.equal(await next.stop(), 0);
});

test('a commit that outlasts the drain timeout loses its connection and nothing else', async (t) => {
  if (isAttachMissing(t)) return;
  const times = { drainTimeout: '200ms', delay: '4s' };
  const { server, proposal, fault, commit } = await waitingCommit(t, times);
  server.signal('SIGTERM');
  await assert.rejects(commit);
  // The store is closed in order all the same: what it was given is on the disk.
  assert.ok((await fault.detach()) >= 1);
  assert.equal((await server.ended).code, 0);
  const { records } = await readLog(server.data);
  const [last, end] = records.slice(-2);
  assert.ok(last?.act === 'commit' && end?.act === 'stop', `${last?.act}, ${end?.act}`);
  assert.deepEqual(
    [last.decision, last.version],
    ['accepted', 1],
    'nobody heard of it but the log',
  );
  const next = await serve(t, { data: server.data });
  const client = clientOf(next.url);
  assert.equal((await client.commit(proposal.payloadB3)).version, 1, 'repeating it resolves it');
  assert.equal((await client.head()).version, 1);
  assert.equal(await next.stop(), 0);
});

test('a request that never ends is cut at the drain timeout, and the server ends with 0', async (t) => {
  const { server } = await begun(t, { settings: { ...MICRONODE, drain_timeout: '700ms' } });
  const writing = await connectTo(server);
  const headers = 'Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 9';
  writing.write(`POST /registry/proposals HTTP/1.1\r\n${headers}\r\nExpect: 100-continue\r\n\r\n`);
  await once(writing, 'data');
  const signalledMs = performance.now();
  assert.equal(await server.stop(), 0);
  const tookMs = performance.now() - signalledMs;
  // Long before its 10 s for a whole request.
  assert.ok(tookMs >= 700 && tookMs < 5_000, `${tookMs} ms`);
});

test('requests that never end, on every listener, have the drain timeout once for all of them', async (t) => {
  const { server } = await begun(t, { settings: { drain_timeout: '2s' } });
  const headers = 'Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 9';
  const begin = (path: string) =>
    `POST ${path} HTTP/1.1\r\n${headers}\r\nExpect: 100-continue\r\n\r\n`;
  const writing = await connectTo(server);
  const acting = connect(join(server.data, 'operator.sock')).on('error', () => undefined);
  writing.write(begin('/registry/proposals'));
  acting.write(begin('/operator/freeze'));
  await Promise.all([once(writing, 'data'), once(acting, 'data')]);
  const signalledMs = performance.now();
  assert.equal(await server.stop(), 0);
  const tookMs = performance.now() - signalledMs;
  assert.ok(tookMs >= 2_000 && tookMs < 3_800, `${tookMs} ms`);
  const { records } = await readLog(server.data);
  assert.deepEqual(
    records.slice(-3).map(({ act }) => act),
    ['propose', 'freeze', 'stop'],
  );
});

test('a second signal ends a server at once, also in its drain delay', async (t) => {
  const { server } = await begun(t, { settings: { ...MICRONODE, drain_delay: '10m' } });
  server.signal('SIGTERM');
  await server.remarked(/"msg":"stopping soon/);
  const signalledMs = performance.now();
  server.signal('SIGTERM');
  const { signal } = await server.ended;
  assert.equal(signal, 'SIGTERM');
  assert.ok(performance.now() - signalledMs < 10_000);
});
