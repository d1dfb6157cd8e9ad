/** What a server logs of requests that carry secrets, payloads and nonsense: that they came, never what they were. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { loadConfig } from '../../../src/server/config.ts';
import { createLog } from '../../../src/server/log.ts';
import { startServer } from '../../../src/server/start.ts';
import { put } from '../../support/registry.ts';
import { beginOver, clientOf, commitOver, LOG_KEY } from '../../support/server-start.ts';
import { descriptorsPayload } from '../../support/signers.ts';

const CANARY = 'canary-5f3a';

interface Sent {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function start(t: TestContext) {
  const lines: string[] = [];
  const flags = {
    profile: 'micronode',
    log_key: LOG_KEY,
    listen: '127.0.0.1:0',
    metrics_listen: 'off',
  };
  const server = await startServer(loadConfig({ flags }), {
    log: createLog({ level: 'debug', destination: { write: (line) => lines.push(line) } }),
  });
  t.after(() => server.stop());
  return { server, lines };
}

/** `node:http`, because `fetch` would correct what is to stay wrong. */
async function send(url: string, { path, method = 'GET', headers = {}, body }: Sent) {
  const { hostname, port } = new URL(url);
  const outgoing = request({ hostname, port, path, method, headers, agent: false });
  const answered = once(outgoing, 'response');
  outgoing.end(body);
  const [response] = await answered;
  response.resume();
  await once(response, 'end');
  return response.statusCode as number;
}

const json = { 'content-type': 'application/json' };
const hash = `b3:${'0'.repeat(64)}`;

/** Each with the canary in another place. */
const REQUESTS: readonly Sent[] = [
  { path: `/registry/${CANARY}` },
  { path: `/${CANARY}` },
  { path: `/registry/head?after=${CANARY}` },
  { path: `/registry/head?${CANARY}=1` },
  { path: `/registry/head?token=${CANARY}` },
  { path: `/registry/head/descriptors/service/${CANARY}` },
  { path: `/registry/0/descriptors/${CANARY.toUpperCase()}/x` },
  { path: `/tile/0/${CANARY}` },
  { path: `/schema/${CANARY}` },
  { path: `/%zz${CANARY}` },
  { path: `/registry/proposals/${CANARY}` },
  { path: '/registry/head', headers: { authorization: `Bearer ${CANARY}` } },
  { path: '/registry/head', headers: { cookie: CANARY, 'user-agent': CANARY, referer: CANARY } },
  { path: '/registry/head', headers: { 'x-corr-id': `${CANARY} with spaces` } },
  { path: '/registry/head', headers: { traceparent: CANARY, tracestate: `a=${CANARY}` } },
  { path: '/registry/head', headers: { 'if-none-match': `"${CANARY}"`, accept: CANARY } },
  { path: '/registry/head', headers: { host: CANARY } },
  { path: '/registry/stream', headers: { 'last-event-id': CANARY } },
  { path: `/registry/stream?mode=${CANARY}` },
  { path: '/registry/head', method: 'DELETE', headers: { 'x-http-method-override': CANARY } },
  { path: '/registry/proposals', method: 'POST', headers: json, body: CANARY },
  { path: '/registry/proposals', method: 'POST', headers: json, body: `{"a":"${CANARY}"}` },
  { path: '/registry/proposals', method: 'POST', headers: json, body: `{ "a": "${CANARY}" }` },
  { path: '/registry/proposals', method: 'POST', headers: json, body: `{"a":${CANARY}}` },
  { path: '/registry/proposals', method: 'POST', headers: { 'content-type': CANARY }, body: '{}' },
  {
    path: '/registry/proposals',
    method: 'POST',
    headers: { ...json, 'content-encoding': CANARY },
    body: '{}',
  },
  {
    path: '/registry/proposals',
    method: 'POST',
    headers: { ...json, authorization: `Bearer ${CANARY}`, 'x-forwarded-for': CANARY },
    body: '{}',
  },
  {
    path: `/registry/approvals/${hash}`,
    method: 'POST',
    headers: json,
    body: `{"algo":"ed25519","sig":"${CANARY}","signed_at":"${CANARY}","signer_id":"${CANARY}"}`,
  },
  { path: `/registry/approvals/${CANARY}`, method: 'POST', headers: json, body: '{}' },
  { path: `/registry/commit/${CANARY}`, method: 'POST' },
  {
    path: '/registry/supersede',
    method: 'POST',
    headers: { ...json, origin: `http://${CANARY}`, 'sec-fetch-site': CANARY },
    body: '{}',
  },
];

test('no line has anything of a path, a query, a header or a body, and each request has one with its id', async (t) => {
  const { server, lines } = await start(t);
  const registry = await beginOver(clientOf(server.url));
  const changes = [put(CANARY, { [CANARY]: CANARY })];
  const payload = { createdAt: Date.now(), note: CANARY };
  await commitOver(clientOf(server.url), descriptorsPayload(registry, changes, payload));
  const before = lines.length;
  assert.ok(before > 8);
  const statuses: number[] = [];
  for (const one of REQUESTS) statuses.push(await send(server.url, one));
  assert.ok(statuses.every((status) => status >= 200 && status < 500));
  assert.ok(statuses.filter((status) => status >= 400).length > 20);
  const records = lines.slice(before).map((line) => JSON.parse(line) as Record<string, unknown>);
  const named = records.filter(({ corr_id }) => typeof corr_id === 'string');
  assert.ok(named.length >= REQUESTS.length - 1);
  assert.deepEqual(
    lines.filter((line) => line.toLowerCase().includes(CANARY)),
    [],
  );
});

test('no line has anything of bytes that are no request', async (t) => {
  const { server, lines } = await start(t);
  const { hostname, port } = new URL(server.url);
  const raw = [
    `${CANARY}\r\n\r\n`,
    `GET /${CANARY} HTTP/9.9\r\nHost: a\r\n\r\n`,
    `${CANARY.toUpperCase()} / HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: ${CANARY}\r\nHost: ${CANARY}\r\n\r\n`,
    `GET http://${CANARY}/ HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET //${CANARY}:bad:port/ HTTP/1.1\r\nHost: ${CANARY}:bad\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\n${CANARY} : x\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, ${CANARY}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nExpect: ${CANARY}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${CANARY.repeat(4_000)}\r\n\r\n`,
  ];
  for (const bytes of raw) {
    const socket = connect(Number(port), hostname)
      .setEncoding('utf8')
      .on('error', () => {});
    socket.resume().end(bytes);
    await once(socket, 'close');
  }
  const refused = lines.filter((line) => line.includes('request refused'));
  assert.ok(refused.length >= raw.length - 2, `${refused.length} of ${raw.length}`);
  assert.deepEqual(
    lines.filter((line) => line.toLowerCase().includes(CANARY)),
    [],
  );
});
