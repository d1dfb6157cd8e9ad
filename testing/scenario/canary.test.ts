/**
 * No secret, token or payload in anything a server writes. Each is a canary: a text that is nowhere else.
 * Requests carry them everywhere a request can, and then everything written is searched: both standard
 * streams at log level debug, every file, file names, metrics, and what other clients are told. The
 * database is left out: payloads and approvals are kept there, and served from there to everybody.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROUTES } from '../../src/api/routes.ts';
import { canonicalBytes, canonicalText } from '../../src/core/canonical.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import { mintToken } from '../../src/server/tokens/make.ts';
import { Canaries } from '../support/canaries.ts';
import { type Started, start } from '../support/cli-process.ts';
import { keyDirectory, logKeyFile } from '../support/log-key-file.ts';
import { put } from '../support/registry.ts';
import { exchange } from '../support/server-socket.ts';
import { SIGNERS } from '../support/server-start.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  privateKeyOf,
  supersedePayload,
} from '../support/signers.ts';
import { grantOf, HOUR, makeTokenKey } from '../support/tokens.ts';

const KEY = makeTokenKey();

interface Stage {
  readonly started: Started;
  readonly url: string;
  readonly metricsUrl: string;
  readonly dataDir: string;
  readonly canaries: Canaries;
  /** Valid, of every scope. */
  readonly token: string;
  readonly genesis: DecodedPayload;
}

async function openStage(t: TestContext, profile: string): Promise<Stage> {
  const canaries = new Canaries();
  const directory = keyDirectory();
  const dataDir = join(directory, 'data');
  const logKey = logKeyFile();
  const [, pem = ''] = readFileSync(logKey, 'utf8').split('\n');
  canaries.add('log key', pem);
  canaries.add('token key', String(KEY.privateKey.export({ format: 'jwk' }).d));
  const [name = ''] = SIGNERS.map(({ signer }) => signer.signer_id.split('#')[1] ?? '');
  canaries.add('signer key', String(privateKeyOf(name).export({ format: 'jwk' }).d));
  const started = start(
    { cwd: directory },
    ...['serve', '--profile', profile, '--listen', '127.0.0.1:0'],
    ...['--metrics-listen', '127.0.0.1:0', '--max-writes-per-minute', '1000000'],
    ...(profile === 'macronode' ? ['--data', dataDir] : []),
    ...['--log-key', logKey, '--token-key', KEY.key, '--log-level', 'debug'],
  );
  t.after(() => started.child.kill('SIGKILL'));
  const log = await started.remarked(/serving on http.*\n/);
  const [, url = assert.fail()] = /serving on (http:\/\/[0-9.:]+)/.exec(log) ?? [];
  const [, metricsUrl = assert.fail()] = /"metrics":"([^"]+)"/.exec(log) ?? [];
  const genesis = genesisPayload(makeGovernance(SIGNERS, { threshold: 2 }), {
    createdAt: Date.now(),
    note: canaries.make('note of genesis'),
  });
  const issued = Math.floor(Date.now() / 1000);
  const grant = grantOf({ registry: genesis.payloadB3, issued, expires: issued + HOUR });
  const token = canaries.add('valid token', await mintToken(KEY.privateKey, grant));
  return { started, url, metricsUrl, dataDir, canaries, token, genesis };
}

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly body?: Uint8Array | string;
  readonly authorization?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Told {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** Over a connection of its own: a refused body closes it. */
function ask(
  base: string,
  { method = 'POST', path, body = '', headers = {} }: Sent,
): Promise<Told> {
  return new Promise((resolve, reject) => {
    const sent = request(`${base}${path}`, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('close', () => {
        const { statusCode: status = 0, rawHeaders } = response;
        const told = Buffer.concat(chunks).toString('latin1');
        resolve({ status, headers: rawHeaders.join('\n'), body: told });
      });
    });
    // Also of a body that nobody reads to its end: then the answer is there, and this comes too late.
    sent.on('error', reject);
    sent.end(method === 'POST' ? Buffer.from(body) : undefined);
  });
}

/** Every header that a client may send in good faith carries a canary. */
async function send({ url, canaries }: Stage, place: string, sent: Sent): Promise<Told> {
  const { body = '', authorization, headers = {} } = sent;
  const carrying = {
    Cookie: `session=${canaries.make(`cookie, ${place}`)}`,
    'User-Agent': canaries.make(`user agent, ${place}`),
    Referer: `http://localhost/?token=${canaries.make(`referrer, ${place}`)}`,
    'X-Api-Key': canaries.make(`api key, ${place}`),
    'X-Forwarded-For': canaries.make(`forwarded, ${place}`),
    'X-Corr-ID': `not one of ours: ${canaries.make(`correlation id, ${place}`)}`,
    ...(body.length > 0 && { 'Content-Type': 'application/json' }),
    ...(authorization !== undefined && { Authorization: authorization }),
    ...headers,
  };
  return ask(url, { ...sent, headers: carrying });
}

/** What a ceremony brings: payloads with canaries in specs and notes, approvals with their signatures. */
async function commitWithCanaries(stage: Stage): Promise<void> {
  const { canaries, token, genesis } = stage;
  const authorization = `Bearer ${token}`;
  const spec = { password: canaries.make('spec'), nested: [{ list: canaries.make('in a spec') }] };
  const change = descriptorsPayload(genesis.payloadB3, [put('a', spec)], {
    createdAt: Date.now(),
    note: canaries.make('note'),
  });
  for (const proposal of [genesis, change]) {
    const id = proposal.payloadB3;
    const write = async (name: string, path: string, body: Uint8Array | string) => {
      const { status } = await send(stage, name, { path, body, authorization });
      assert.ok(status < 300, `${name}: ${status}`);
    };
    await write('propose', '/registry/proposals', proposal.bytes);
    for (const by of SIGNERS) {
      const approval = by.approve(proposal);
      canaries.add(`signature of ${by.signer.signer_id} over ${id}`, approval.sig);
      await write('approve', `/registry/approvals/${id}`, canonicalBytes(approval));
    }
    await write('commit', `/registry/commit/${id}`, '');
  }
}

/** Bodies that are refused, each for another reason, by name. */
function badBodies(
  { canaries, genesis }: Stage,
  path: string,
): Readonly<Record<string, string | Uint8Array>> {
  const make = (place: string): string => canaries.make(`${place}, ${path}`);
  const now = { createdAt: Date.now() };
  const secret = (place: string) => [put('x', { secret: make(place) })];
  const elsewhere = descriptorsPayload(`b3:${'0'.repeat(64)}`, secret('of another registry'), now);
  const changes = secret('not at the head');
  const late = supersedePayload(
    genesis.payloadB3,
    { supersedes: `b3:${'1'.repeat(64)}`, changes },
    now,
  );
  return {
    'not json': `{"${make('not json')}`,
    'not canonical': `{ "spec": "${make('not canonical')}"}`,
    'unknown members': canonicalText({ [make('member')]: make('value') }),
    'no utf-8': Buffer.concat([Buffer.from(`"${make('no utf-8')}`), Buffer.from([0xff, 0x22])]),
    'too deep': `${'['.repeat(40)}"${make('too deep')}"${']'.repeat(40)}`,
    'too large': canonicalText({ a: make('too large'), b: 'x'.repeat(1024 * 1024) }),
    'of another registry': elsewhere.bytes,
    ...(path !== '/registry/supersede' && { 'not at the head': late.bytes }),
    'a forged approval': canonicalBytes({ ...SIGNERS[0]?.approve(elsewhere) }),
  };
}

/** Each write route with each kind of mistake; nothing of it may be kept anywhere. Answers the statuses. */
async function failWithCanaries(stage: Stage): Promise<ReadonlySet<number>> {
  const { canaries, token, genesis } = stage;
  const authorization = `Bearer ${token}`;
  const statuses = new Set<number>();
  const fail = async (place: string, sent: Sent): Promise<void> => {
    const { status } = await send(stage, `${place} at ${sent.path}`, sent);
    assert.ok(status >= 400, `${place} at ${sent.path} is ${status}`);
    statuses.add(status);
  };
  const pending = descriptorsPayload(genesis.payloadB3, [put('b', {})], {
    createdAt: Date.now(),
    note: canaries.make('note in flight'),
  });
  const inFlight = { path: '/registry/proposals', body: pending.bytes, authorization };
  assert.equal((await send(stage, 'in flight', inFlight)).status, 202);
  for (const path of [
    '/registry/proposals',
    '/registry/supersede',
    `/registry/approvals/${pending.payloadB3}`,
    `/registry/commit/${pending.payloadB3}`,
    `/registry/commit/b3:${'7'.repeat(64)}`,
  ]) {
    const make = (place: string): string => canaries.make(`${place}, ${path}`);
    for (const [place, body] of Object.entries(badBodies(stage, path)))
      await fail(place, { path, body, authorization });
    for (const wrong of [
      `Bearer ${make('token')}`,
      `Basic ${Buffer.from(`me:${make('password')}`).toString('base64')}`,
      `Bearer ${token.slice(0, -8)}AAAAAAAA`,
      make('scheme'),
    ])
      await fail('authorization', { path, authorization: wrong });
    await fail('query', { path: `${path}?token=${make('query')}`, authorization });
    const type = { 'Content-Type': `text/${make('media type')}` };
    await fail('media type', { path, body: '{}', authorization, headers: type });
    const coding = { 'Content-Encoding': make('encoding') };
    await fail('encoding', { path, body: '{}', authorization, headers: coding });
  }
  await fail('nothing to commit', { path: `/registry/commit/b3:${'7'.repeat(64)}`, authorization });
  return statuses;
}

/** Every path of the interface that answers and ends, its parameters filled by `fill`. */
function pathsWith(fill: (path: string) => string): string[] {
  return Object.values(ROUTES)
    .filter(({ path }) => path !== '/registry/stream')
    .map(({ path }) => path.replaceAll(/\{[a-z]+\}/g, () => fill(path)));
}

/** Each route of the interface by each method, with canaries in what it is asked for. */
async function readWithCanaries(stage: Stage): Promise<void> {
  const { canaries, token } = stage;
  const asked = [
    ...pathsWith((path) => canaries.make(`parameter of ${path}`)),
    ...pathsWith(() => '0'),
    ...pathsWith(() => '0').map((path) => `${path}?token=${canaries.make(`query of ${path}`)}`),
  ];
  for (const path of asked)
    for (const method of ['GET', 'HEAD', 'DELETE', 'PUT', 'POST'])
      await send(stage, `${method} ${path}`, { method, path, authorization: `Bearer ${token}` });
}

/** What no client sends in good faith. */
async function sendRaw({ url, canaries, token }: Stage): Promise<void> {
  const { hostname: host, port } = new URL(url);
  const make = (place: string): string => canaries.make(`raw: ${place}`);
  const end = 'Connection: close\r\n\r\n';
  const bearer = `Authorization: Bearer ${token}\r\n`;
  const json = 'Content-Type: application/json\r\n';
  for (const text of [
    `GET /${make('path')} HTTP/1.1\r\nHost: ${make('port')}:99999\r\n${end}`,
    `GET / HTTP/1.1\r\nHost: a\r\nHost: ${make('second host')}\r\n${end}`,
    `GET / HTTP/1.1\r\nHost: ${make('host')} x\r\n${end}`,
    `GET http://${make('absolute')}/ HTTP/1.1\r\nHost: a\r\n${end}`,
    `CONNECT ${make('connect')}:443 HTTP/1.1\r\nHost: a\r\n\r\n`,
    `${make('method')} / HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\n${make('header')} : x\r\n\r\n`,
    `GET /%ff${make('percent')} HTTP/1.1\r\nHost: a\r\n${end}`,
    `GET / HTTP/1.1\r\nHost: a\r\n${bearer}X: ${make('long')}${'x'.repeat(20_000)}\r\n\r\n`,
    `POST /registry/proposals HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${make('coding')}\r\n${end}`,
    `POST /registry/proposals HTTP/1.1\r\nHost: a\r\n${bearer}${json}Transfer-Encoding: chunked\r\n${end}${make('chunk')}\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nExpect: ${make('expect')}\r\n${end}`,
    `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: ${make('upgrade')}\r\nConnection: upgrade, close\r\n\r\n`,
  ]) {
    const told = await exchange({ host, port: Number(port) }, text);
    assert.match(told, /^(?:HTTP\/1\.1 \d{3} |$)/);
  }
}

/** What somebody else is told who makes mistakes too. */
async function tellOthers({ url }: Stage): Promise<string> {
  const told: string[] = [];
  const asked = [
    ...pathsWith(() => '!'),
    ...pathsWith(() => '77'),
    ...pathsWith(() => '0').map((path) => `${path}?x=1`),
  ];
  for (const path of asked)
    for (const method of ['GET', 'POST', 'DELETE']) {
      const { status, headers, body } = await ask(url, { method, path });
      // A read that succeeds gives out the registry: what is looked for is what answers add to it.
      told.push(headers, status >= 400 ? body : '');
    }
  return told.join('\n');
}

/** Everything below a directory but the database: contents, and all names as one. */
function filesIn(directory: string): Map<string, string> {
  const files = new Map<string, string>();
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries)
    if (entry.isFile() && !entry.name.startsWith('registry.db'))
      files.set(entry.name, readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  files.set('file names', entries.map(({ name }) => name).join('\n'));
  return files;
}

/** Answers all that was written, by where. */
async function collect(stage: Stage): Promise<Map<string, string>> {
  const { started, dataDir, metricsUrl } = stage;
  const others = await tellOthers(stage);
  const metrics = await ask(metricsUrl, { method: 'GET', path: '' });
  started.child.kill('SIGTERM');
  const { code, stdout, stderr } = await started.ended;
  assert.equal(code, 0, stderr.slice(-2_000));
  return new Map([
    ...filesIn(dataDir),
    ['standard output', stdout],
    ['standard error', stderr],
    ['metrics', metrics.body],
    ['answers to others', others],
  ]);
}

for (const profile of ['macronode', 'micronode'])
  test(`nothing that a ${profile} writes holds a secret, a token or a payload`, async (t) => {
    const stage = await openStage(t, profile);
    const { canaries, dataDir, token } = stage;
    if (profile === 'micronode') mkdirSync(dataDir);
    await commitWithCanaries(stage);
    const statuses = await failWithCanaries(stage);
    for (const status of [400, 401, 403, 404, 413, 415, 422]) assert.ok(statuses.has(status));
    await readWithCanaries(stage);
    await sendRaw(stage);
    // Well formed, so written down: proves that the requests are in what is searched.
    const planted = `planted-${randomBytes(8).toString('hex')}`;
    await send(stage, 'planted', {
      path: '/registry/proposals',
      body: '{',
      authorization: `Bearer ${token}`,
      headers: { 'X-Corr-ID': planted },
    });
    const written = await collect(stage);

    const textOf = (where: string): string => written.get(where) ?? assert.fail(where);
    const audit = profile === 'macronode' ? '00000001.ndjson' : 'standard output';
    assert.ok(textOf('standard error').includes(planted));
    assert.ok(textOf(audit).includes(planted));
    assert.match(textOf('standard error'), /"level":"debug"/);
    assert.match(textOf('metrics'), /http_requests_total\{[^}]*code="413"/);
    assert.match(textOf('answers to others'), /"code":"not_found"/);
    const samples = canaries.samples();
    for (const [where, text] of written) {
      const spoiled = new Map([[where, [text, ...samples.map(([canary]) => canary)].join('\n')]]);
      const expected = samples.map(([, place]) => `${place} in ${where}`);
      assert.deepEqual(canaries.foundIn(spoiled), expected);
    }
    assert.ok(canaries.count > 2_000, `${canaries.count}`);
    assert.deepEqual(canaries.foundIn(written), []);
  });

test('a canary is found as it is, in hex, and in base64 at any place', () => {
  const canaries = new Canaries();
  const text = canaries.make('here');
  const secret = canaries.add('there', randomBytes(32).toString('base64url'));
  const forms = (one: string): string[] => [
    one,
    Buffer.from(one).toString('hex'),
    ...['', 'x', 'xx', 'xxx'].map((before) =>
      Buffer.from(`${before}${one}more`).toString('base64'),
    ),
    encodeURIComponent(`?${one}&`),
    JSON.stringify({ a: one }),
  ];
  for (const form of forms(text))
    assert.deepEqual(canaries.foundIn(new Map([['log', form]])), ['here in log'], form);
  for (const form of forms(secret))
    assert.deepEqual(canaries.foundIn(new Map([['log', form]])), ['there in log'], form);
  const piece = new Map([['log', text.slice(0, -4)]]);
  assert.deepEqual(canaries.foundIn(piece), ['a piece of some canary in log']);
  assert.deepEqual(canaries.foundIn(new Map([['log', 'canary']])), []);
});
