/** Each limit that a listener has, at its value and one past it, over sockets to a whole server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Address, SocketPath } from '../../src/server/config-values.ts';
import { until } from '../support/fault-server.ts';
import { exchange, statuses } from '../support/server-socket.ts';
import { makeDataDir, startTestServer } from '../support/server-start.ts';
import { makeTokenKey, mint } from '../support/tokens.ts';

const MIB = 1024 * 1024;
const TWO = '127.0.0.2';
const THREE = '127.0.0.3';
const COMMIT = `/registry/commit/b3:${'0'.repeat(64)}`;

interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly localAddress?: string;
}

interface Answer {
  readonly status: number | undefined;
  readonly retryAfter: number;
  readonly code: string | undefined;
}

/** On a connection of its own. */
async function ask(
  to: Address | SocketPath,
  { path, method = 'GET', headers = {}, body = '', localAddress }: Ask,
): Promise<Answer> {
  const where = 'path' in to ? { socketPath: to.path } : to;
  const from = localAddress === undefined ? {} : { localAddress };
  const request = httpRequest({ ...where, ...from, path, method, headers, agent: false });
  request.end(body);
  const [response]: IncomingMessage[] = await once(request, 'response');
  assert.ok(response);
  const text = (await response.toArray()).join('');
  const { statusCode: status, headers: got } = response;
  const isProblem = got['content-type'] === 'application/problem+json';
  const code = isProblem ? JSON.parse(text).code : undefined;
  return { status, retryAfter: Number(got['retry-after'] ?? 0), code };
}

const POST_PROPOSAL =
  'POST /registry/proposals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
const JSON_TYPE = { 'content-type': 'application/json' };

/** A proposal, so that what it is refused for says how far it was read. */
async function codeOfBody(to: Address, body: string, headers = {}): Promise<string | undefined> {
  const path = '/registry/proposals';
  return (await ask(to, { path, method: 'POST', headers: { ...JSON_TYPE, ...headers }, body }))
    .code;
}

test('a body of 1 MiB is read and one byte more is not, with its length told or in chunks', async (t) => {
  const { address } = await startTestServer(t);
  const ofSize = (bytes: number) => `"${'x'.repeat(bytes - 2)}"`;
  for (const headers of [{ 'content-length': '' }, { 'transfer-encoding': 'chunked' }]) {
    const told = (body: string) =>
      'content-length' in headers ? { 'content-length': `${body.length}` } : headers;
    const [at, past] = [ofSize(MIB), ofSize(MIB + 1)];
    assert.equal(await codeOfBody(address, at, told(at)), 'invalid_payload');
    assert.equal(await codeOfBody(address, past, told(past)), 'too_large');
  }
});

test('a body without an end is dropped at the first byte too many', async (t) => {
  const { address } = await startTestServer(t);
  const chunk = `100000\r\n${'x'.repeat(MIB)}\r\n`;
  const answer = await exchange(
    address,
    `${POST_PROPOSAL}Transfer-Encoding: chunked\r\n\r\n${chunk}1\r\nx\r\n`,
  );
  assert.deepEqual(statuses(answer), [413]);
});

test('a body in a thousand chunks is read, one in a million chunks of a byte is not', async (t) => {
  const { address } = await startTestServer(t);
  const inChunks = (count: number, bytes: number) =>
    `${`${bytes.toString(16)}\r\n${' '.repeat(bytes)}\r\n`.repeat(count)}4\r\nnull\r\n0\r\n\r\n`;
  const post = `${POST_PROPOSAL}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const read = await exchange(address, post + inChunks(1000, 1000));
  assert.match(read, /^HTTP\/1\.1 400 .*"code":"not_canonical"/s);
  const refused = await exchange(address, post + inChunks(1_000_000, 1));
  assert.match(refused, /^HTTP\/1\.1 413 .*got more than 4096 chunks"/s);
});

test('32 containers in each other and 100,000 values are read, and one more of each is not', async (t) => {
  const { address } = await startTestServer(t);
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  assert.equal(await codeOfBody(address, deep(32)), 'invalid_payload');
  assert.equal(await codeOfBody(address, deep(33)), 'too_deep');
  const wide = (values: number) => `[${Array(values - 1).fill(1)}]`;
  assert.equal(await codeOfBody(address, wide(100_000)), 'invalid_payload');
  assert.equal(await codeOfBody(address, wide(100_001)), 'too_deep');
});

test('reads and writes of one address have each their own rate, with when to come back', async (t) => {
  const rates = { max_reads_per_minute: '2', max_writes_per_minute: '1' };
  const { address } = await startTestServer(t, rates);
  const read = { path: '/registry/head' };
  const write = { path: COMMIT, method: 'POST' };
  const got: Answer[] = [];
  for (const what of [read, read, read, write, write]) got.push(await ask(address, what));
  assert.deepEqual(
    got.map(({ status }) => status),
    [404, 404, 429, 404, 429],
  );
  assert.deepEqual(
    got.map(({ retryAfter }) => retryAfter >= 1 && retryAfter <= 60),
    [false, false, true, false, true],
  );
  assert.equal(got[2]?.code, 'rate_limited');
  assert.equal((await ask(address, { ...read, localAddress: TWO })).status, 404);
  assert.equal((await ask(address, { path: '/readyz' })).status, 503, 'a probe is never limited');
});

test('one token has its own rate, from wherever it comes', async (t) => {
  const key = makeTokenKey();
  const settings = { token_key: key.key, max_token_writes_per_minute: '2' };
  const { address } = await startTestServer(t, settings);
  const issued = Math.floor(Date.now() / 1000);
  const tokens = [0, 1].map((i) => mint(key, { issued, expires: issued + 60 + i }));
  const [one = '', two = ''] = await Promise.all(tokens);
  const write = (token: string, localAddress: string) => {
    const headers = { authorization: `Bearer ${token}` };
    return ask(address, { path: COMMIT, method: 'POST', headers, localAddress });
  };
  const first = [await write(one, TWO), await write(one, THREE)];
  assert.deepEqual(first.map(({ code }) => code).includes('rate_limited'), false);
  const past = await write(one, '127.0.0.4');
  assert.deepEqual([past.status, past.code], [429, 'rate_limited']);
  assert.ok(past.retryAfter >= 1 && past.retryAfter <= 60);
  assert.notEqual((await write(two, TWO)).code, 'rate_limited');
});

/** Stays open; resolves with its status. */
async function openStream(t: TestContext, to: Address, localAddress: string) {
  const request = httpRequest({ ...to, localAddress, path: '/registry/stream', agent: false });
  t.after(() => request.destroy());
  request.end();
  const [response]: IncomingMessage[] = await once(request, 'response');
  assert.ok(response);
  response.on('error', () => undefined);
  return {
    status: response.statusCode,
    retryAfter: Number(response.headers['retry-after']),
    request,
  };
}

test('streams have caps of one address and in all, and a closed one gives its place back', async (t) => {
  const caps = { max_streams: '3', max_streams_per_address: '2' };
  const { address } = await startTestServer(t, caps);
  const statusesOf = async (...from: string[]) => {
    const got: (number | undefined)[] = [];
    for (const one of from) got.push((await openStream(t, address, one)).status);
    return got;
  };
  const first = await openStream(t, address, TWO);
  assert.equal(first.status, 200);
  assert.deepEqual(await statusesOf(TWO, TWO), [200, 429]);
  assert.deepEqual(await statusesOf(THREE, THREE), [200, 429]);
  const refused = await openStream(t, address, '127.0.0.4');
  assert.deepEqual([refused.status, refused.retryAfter], [429, 10]);
  first.request.destroy();
  // Who closes may only have ended its side, and is waited for a second.
  await until(
    () => statusesOf('127.0.0.4'),
    ([status]) => status === 200,
  );
});

test('behind a trusted proxy each client has its own rate; a stranger says nothing of himself', async (t) => {
  const settings = { trusted_proxies: TWO, max_reads_per_minute: '1' };
  const { address } = await startTestServer(t, settings);
  const status = async (localAddress: string, forwarded: string) => {
    const headers = { 'x-forwarded-for': forwarded };
    return (await ask(address, { path: '/registry/head', headers, localAddress })).status;
  };
  assert.equal(await status(TWO, '198.51.100.1'), 404);
  assert.equal(await status(TWO, '127.0.0.1, 198.51.100.1'), 429, 'its own word does not help');
  assert.equal(await status(TWO, '198.51.100.2'), 404);
  assert.equal(await status(TWO, '2001:db8::1'), 404);
  assert.equal(await status(TWO, '[2001:db8::2]:80'), 429, 'the same /64');
  assert.equal(await status(THREE, '198.51.100.3'), 404);
  assert.equal(await status(THREE, '198.51.100.4'), 429);
});

test('without tokens a trusted proxy is not this machine, whether it says for whom it asks or not', async (t) => {
  const { address } = await startTestServer(t, { trusted_proxies: '127.0.0.1' });
  const write = { path: COMMIT, method: 'POST' };
  const forwarded = { headers: { 'x-forwarded-for': '127.0.0.5' } };
  assert.equal((await ask(address, write)).code, 'forbidden');
  assert.equal((await ask(address, { ...write, ...forwarded })).code, 'forbidden');
  assert.equal((await ask(address, { ...write, localAddress: TWO })).status, 404, 'this machine');
});

test('without tokens a write in http/1.0 is refused: many a proxy speaks it, and says no more', async (t) => {
  const { address } = await startTestServer(t);
  const post = `POST ${COMMIT} HTTP/1.0\r\nHost: localhost\r\n\r\n`;
  assert.deepEqual(statuses(await exchange(address, post)), [403]);
  assert.deepEqual(
    statuses(
      await exchange(
        address,
        post.replace('1.0', '1.1').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
      ),
    ),
    [404],
  );
});

/** A macronode, for a micronode writes no file. */
async function onUnixSocket(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const data = makeDataDir();
  const to = { path: join(dirname(data), 's') };
  const where = { profile: 'macronode', data, listen: `unix:${to.path}` };
  return { server: await startTestServer(t, { ...settings, ...where }), to, data };
}

/** Of each record in the audit log. */
function auditedClients(data: string): unknown[] {
  const directory = join(data, 'audit');
  return readdirSync(directory)
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
    .flatMap((line) => (line.includes('"act":"commit"') ? [JSON.parse(line).client] : []));
}

test('on a Unix socket the mode decides who writes, under a name of this machine and through no proxy', async (t) => {
  const { server, to, data } = await onUnixSocket(t, { socket_mode: '600' });
  assert.equal(server.url, `unix:${to.path}`);
  assert.equal(statSync(to.path).mode & 0o777, 0o600);
  const write = { path: COMMIT, method: 'POST', headers: { host: 'localhost' } };
  assert.equal((await ask(to, write)).status, 404);
  assert.deepEqual(auditedClients(data), ['local']);
  for (const headers of [{ host: 'registry.example.com' }, { host: 'localhost', via: '1.1 nginx' }])
    assert.equal((await ask(to, { ...write, headers })).code, 'forbidden');
  const read = { path: '/version', headers: { host: 'registry.example.com' } };
  assert.equal((await ask(to, read)).status, 200);
});

test('a proxy in front of a Unix socket is believed where loopback is trusted, and then no local writer', async (t) => {
  const limits = { trusted_proxies: '127.0.0.1', max_reads_per_minute: '1' };
  const { to } = await onUnixSocket(t, limits);
  const from = (client: string) => ({
    path: '/registry/head',
    headers: { 'x-forwarded-for': client },
  });
  assert.equal((await ask(to, from('198.51.100.1'))).status, 404);
  assert.equal((await ask(to, from('198.51.100.1'))).status, 429);
  assert.equal((await ask(to, from('198.51.100.2'))).status, 404);
  assert.equal((await ask(to, { path: COMMIT, method: 'POST' })).code, 'forbidden');
});
