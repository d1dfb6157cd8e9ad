/**
 * deploy/nginx.conf in Debian's nginx, caching, in front of a real server: what readers get through it
 * is what the server says, also through a cache that knows less of us than that file does.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseNote } from '../../src/core/tlog/note.ts';
import { loadConfig } from '../../src/server/config.ts';
import { startBehindNginx } from '../support/behind-nginx.ts';
import {
  type AskOptions,
  ask,
  checkConfig,
  type Edit,
  freePort,
  isNginxMissing,
  NAMED_SETTINGS,
  open,
  type RawAnswer,
  startNginx,
} from '../support/nginx.ts';
import { beginOver, clientOf, commitService, startTestServer } from '../support/server-start.ts';

interface Stage {
  /** Through nginx, and past it. */
  through(path: string, options?: AskOptions): Promise<RawAnswer>;
  direct(path: string, options?: AskOptions): Promise<RawAnswer>;
  readonly proxyUrl: string;
  /** Commits one descriptor more, past nginx; answers the version. */
  commit(): Promise<number>;
}

/** A log of `size` leaves. */
async function openStage(
  t: TestContext,
  { size, edits = [] }: { size: number; edits?: readonly Edit[] },
): Promise<Stage> {
  const { server, client, registry, proxyUrl } = await startBehindNginx(t, {}, edits);
  let version = 0;
  const commit = () => commitService(client, registry, `d${++version}`);
  while (version + 1 < size) await commit();
  return {
    through: (path, options) => ask(proxyUrl + path, options),
    direct: (path, options) => ask(server.url + path, options),
    proxyUrl,
    commit,
  };
}

const IMMUTABLE = [
  ...['/tile/0/000.p/4', '/tile/entries/000.p/4', '/tile/0/000.p/2', '/registry/0', '/registry/3'],
  ...['/registry/2/set', '/registry/3/governance', '/registry/2/descriptors/service/d1'],
  ...['/registry/2/descriptors/service/d1?proof=1', '/registry/diff?from=0&to=3'],
  ...['/registry/proof/inclusion/1/4', '/registry/proof/consistency/2/4'],
];
const CURRENT = [
  ...['/registry/head', '/checkpoint', '/registry/head/set', '/registry/2/tlog-proof'],
  ...['/registry/head/entry', '/registry/head/descriptors/service/d1?proof=1'],
];

/** What a reader goes by: everything but what names one exchange or one connection. */
function substanceOf({ status, headers, body }: RawAnswer): object {
  const names = [
    ...['content-type', 'content-length', 'content-encoding', 'content-location', 'vary', 'etag'],
    ...['cache-control', 'access-control-allow-origin', 'access-control-expose-headers'],
    ...['cross-origin-resource-policy', 'x-content-type-options', 'retry-after', 'allow'],
  ];
  return { status, body, headers: Object.fromEntries(names.map((name) => [name, headers[name]])) };
}

function cacheStatus({ headers }: RawAnswer): unknown {
  return headers['x-cache-status'];
}

/** Asks again until it is so, for at most that long; answers for how long it was not. */
async function until(isSo: () => Promise<boolean>, maxMs: number): Promise<number> {
  const startedMs = performance.now();
  while (!(await isSo())) {
    assert.ok(performance.now() - startedMs < maxMs, `not so within ${maxMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return performance.now() - startedMs;
}

test('nginx in front of a server', { concurrency: true, timeout: 60_000 }, async (t) => {
  if (isNginxMissing(t)) return;
  await Promise.all([
    t.test('nginx takes the committed configuration', async () => {
      const { isTaken, output } = checkConfig(await freePort());
      assert.ok(isTaken, output);
      assert.doesNotMatch(output, /\[(?:warn|error|crit|alert|emerg)\]/);
    }),
    t.test('every answer comes through as the server gives it, the second time too', servesAll),
    t.test('a client that has it is told so, by nginx as by the server', answersConditional),
    t.test('each coding of a body is cached apart', keepsCodings),
    t.test('a head that was asked for often is new within seconds of a commit', showsNew),
    t.test('a head that nobody asked for is not served old', showsNothingOld),
    t.test('what is not there is not remembered as absent', forgetsAbsence),
    t.test('events come through at once, on a stream that stays open', passesEvents),
    t.test('the server counts the streams of each reader, not those of the proxy', countsReaders),
    t.test('an answer out of the cache carries the id of its own request', namesRequests),
    t.test('a cache that ignores queries serves no wrong bytes of log and proofs', ignoresQueries),
    t.test('what may not be cached or written through a proxy is not', guardsWrites),
  ]);
});

async function servesAll(t: TestContext): Promise<void> {
  const { through, direct } = await openStage(t, { size: 4 });
  for (const path of [...IMMUTABLE, ...CURRENT]) {
    const expected = substanceOf(await direct(path));
    const first = await through(path);
    assert.equal(first.status, 200, path);
    assert.deepEqual(substanceOf(first), expected, path);
    const second = await through(path);
    assert.deepEqual(substanceOf(second), expected, path);
    const bare = await through(path, { method: 'HEAD' });
    assert.deepEqual(substanceOf(bare), { ...expected, body: Buffer.alloc(0) }, path);
    if (IMMUTABLE.includes(path))
      assert.deepEqual([first, second, bare].map(cacheStatus), ['MISS', 'HIT', 'HIT'], path);
  }
  const preflight = { origin: 'https://example.com', 'access-control-request-method': 'GET' };
  const options = { method: 'OPTIONS', headers: preflight };
  const granted = (await through('/checkpoint', options)).headers;
  assert.equal(granted['access-control-allow-origin'], '*');
  assert.equal(granted['access-control-allow-methods'], 'GET, HEAD');
}

async function answersConditional(t: TestContext): Promise<void> {
  const { through, direct } = await openStage(t, { size: 4 });
  for (const path of [...IMMUTABLE, ...CURRENT]) {
    const { etag = '' } = (await direct(path)).headers;
    for (const round of ['asked of the server', 'out of the cache']) {
      const known = await through(path, { headers: { 'if-none-match': etag } });
      assert.deepEqual([known.status, known.body.length], [304, 0], `${path} ${round}`);
      assert.equal(known.headers.etag, etag, `${path} ${round}`);
      const other = await through(path, { headers: { 'if-none-match': '"other"' } });
      assert.equal(other.status, 200, `${path} ${round}`);
    }
  }
}

async function keepsCodings(t: TestContext): Promise<void> {
  const { through, direct } = await openStage(t, { size: 4 });
  const codings = ['gzip', 'br', 'zstd', 'identity'];
  for (const path of ['/tile/entries/000.p/4', '/registry/3/set'])
    for (const round of ['MISS', 'HIT'])
      for (const coding of codings) {
        const options = { headers: { 'accept-encoding': coding } };
        const answer = await through(path, options);
        assert.equal(cacheStatus(answer), round, `${path} ${coding}`);
        assert.deepEqual(substanceOf(answer), substanceOf(await direct(path, options)), path);
        const expected = coding === 'identity' ? undefined : coding;
        assert.equal(answer.headers['content-encoding'], expected);
      }
  // What the server sends as it is, nginx does too: a coding made here would not have the strong tag.
  const options = { headers: { 'accept-encoding': 'gzip' } };
  for (const path of ['/tile/0/000.p/4', '/registry/3', '/registry/head', '/checkpoint'])
    assert.deepEqual(substanceOf(await through(path, options)), substanceOf(await direct(path)));
}

async function showsNew(t: TestContext): Promise<void> {
  const { through, direct, commit } = await openStage(t, { size: 2 });
  for (const path of ['/registry/head', '/checkpoint']) {
    await through(path);
    assert.match(String(cacheStatus(await through(path))), /^(?:HIT|STALE|UPDATING)$/, path);
    await commit();
    const { body } = await direct(path);
    const isNew = async () => (await through(path)).body.equals(body);
    // A second of s-maxage, up to one more because nginx counts whole ones, and the way.
    await until(isNew, 3_500);
  }
}

async function showsNothingOld(t: TestContext): Promise<void> {
  const { through, direct, commit } = await openStage(t, { size: 2 });
  const paths = ['/registry/head', '/checkpoint'];
  for (const path of paths) await through(path);
  await commit();
  // s-maxage and stale-while-revalidate; nginx has no clock that a test could drive.
  await new Promise((resolve) => setTimeout(resolve, 7_500));
  for (const path of paths)
    assert.ok((await through(path)).body.equals((await direct(path)).body), path);
}

async function forgetsAbsence(t: TestContext): Promise<void> {
  const { through, commit } = await openStage(t, { size: 2 });
  const paths = [
    ...['/tile/0/000.p/3', '/tile/entries/000.p/3', '/registry/2', '/registry/2/set'],
    ...['/registry/proof/inclusion/2/3', '/registry/proof/consistency/1/3'],
    ...['/registry/2/descriptors/service/d2?proof=1', '/registry/2/tlog-proof'],
  ];
  for (const path of [...paths, ...paths]) {
    const absent = await through(path);
    assert.deepEqual([absent.status, cacheStatus(absent)], [404, 'MISS'], path);
    assert.equal(absent.headers['cache-control'], 'no-store');
  }
  await commit();
  for (const path of paths) assert.equal((await through(path)).status, 200, path);
}

async function passesEvents(t: TestContext): Promise<void> {
  const { proxyUrl, commit, direct } = await openStage(t, { size: 2 });
  const stream = await open(`${proxyUrl}/registry/stream`);
  assert.equal(stream.headers['content-type'], 'text/event-stream');
  stream.setEncoding('utf8');
  let text = '';
  stream.on('data', (chunk: string) => {
    text += chunk;
  });
  await until(async () => text.includes('id: 1\n'), 2_000);
  for (const version of [2, 3]) {
    assert.equal(await commit(), version);
    const waitedMs = await until(async () => text.includes(`id: ${version}\n`), 1_000);
    assert.ok(waitedMs < 1_000 && !stream.complete && !stream.destroyed);
  }
  const last = text.split('\n').findLast((line) => line.startsWith('data: ')) ?? '';
  const { checkpoint } = JSON.parse(last.slice('data: '.length));
  assert.equal(parseNote(checkpoint).text.split('\n')[1], '4');
  assert.equal((await direct('/checkpoint')).body.toString(), checkpoint);
  stream.destroy();
}

async function countsReaders(t: TestContext): Promise<void> {
  assert.deepEqual(Object.keys(NAMED_SETTINGS), ['trusted_proxies', 'token_key']);
  const { proxyUrl } = await openStage(t, { size: 1 });
  const { maxConnectionsPerAddress, maxStreamsPerAddress } = loadConfig().limits;
  const subscribe = (localAddress: string) => open(`${proxyUrl}/registry/stream`, { localAddress });
  const readers = Array.from({ length: 300 }, (_, i) => `127.0.1.${1 + (i % 40)}`);
  assert.ok(readers.length > maxConnectionsPerAddress && 300 / 40 <= maxStreamsPerAddress);
  const streams = await Promise.all(readers.map(subscribe));
  t.after(() => {
    for (const stream of streams) stream.destroy();
  });
  assert.deepEqual([...new Set(streams.map(({ statusCode }) => statusCode))], [200]);
  assert.ok(streams.every((stream) => !stream.complete));
  // One address has eight, whoever it says it is, and the refusal is the server's.
  const asked = { localAddress: '127.0.1.1', headers: { 'x-forwarded-for': '198.51.100.1' } };
  const refused = await ask(`${proxyUrl}/registry/stream`, asked);
  assert.equal(refused.status, 429);
  assert.equal(JSON.parse(refused.body.toString()).code, 'too_many_streams');
  assert.ok(Number(refused.headers['retry-after']) > 0);
}

async function namesRequests(t: TestContext): Promise<void> {
  const { through } = await openStage(t, { size: 1 });
  for (const id of ['first', 'second']) {
    const { headers } = await through('/registry/0', { headers: { 'x-corr-id': id } });
    assert.equal(headers['x-corr-id'], id);
  }
  const made = await Promise.all([through('/registry/0'), through('/registry/9')]);
  const [hit, refusal] = made.map(({ headers }) => String(headers['x-corr-id']));
  assert.notEqual(hit, refusal);
  assert.match(hit ?? '', /^[0-9a-f]{32}$/);
  assert.equal(JSON.parse(made[1]?.body.toString() ?? '').corr_id, refusal);
  const hostile = await through('/registry/0', { headers: { 'x-corr-id': 'no id' } });
  assert.match(String(hostile.headers['x-corr-id']), /^[0-9a-f]{32}$/);
}

/** Of a cache that was set up by somebody who never heard of queries. */
const QUERIES_IGNORED: readonly Edit[] = [
  ['proxy_cache_key $proxy_host$request_uri;', 'proxy_cache_key $uri;'],
  ['proxy_cache_key $proxy_host$uri;', 'proxy_cache_key $uri;'],
  ['proxy_cache_bypass $is_args;', ''],
  ['proxy_no_cache $is_args;', ''],
];

async function ignoresQueries(t: TestContext): Promise<void> {
  const { through, direct, commit } = await openStage(t, { size: 4, edits: QUERIES_IGNORED });
  const paths = [
    ...['/tile/0/000.p/4', '/tile/entries/000.p/3', '/registry/0', '/registry/2'],
    ...['/registry/proof/inclusion/1/4', '/registry/proof/inclusion/1/3'],
    ...['/registry/proof/consistency/1/4', '/registry/proof/consistency/1/3', '/registry/2/set'],
  ];
  // A query that the server refuses, before and after the path itself is in the cache.
  for (const query of ['?x=1', '', '?x=1', '?size=2', ''])
    for (const path of paths) {
      const { status, body } = await through(path + query);
      if (status !== 200) assert.deepEqual([status, query !== ''], [400, true], path + query);
      else assert.ok(body.equals((await direct(path)).body), path + query);
    }
  // By query a proof differs, so it is never out of the cache.
  for (const size of [2, 3, 4, 2, 3, 4]) {
    const path = `/registry/proof/inclusion/1?size=${size}`;
    assert.deepEqual(substanceOf(await through(path)), substanceOf(await direct(path)));
  }
  // With `after` the head is some head, an old one for as long as without it.
  await through('/registry/head');
  const version = await commit();
  const versionAt = async (query: string): Promise<number> => {
    const { status, body } = await through(`/registry/head${query}`);
    assert.equal(status, 200);
    return JSON.parse(body.toString()).version;
  };
  await until(async () => (await versionAt('')) === version, 3_500);
  assert.equal(await versionAt(`?after=${version - 1}`), version);
}

async function guardsWrites(t: TestContext): Promise<void> {
  // Without tokens, and not told of the proxy: it still is not this machine.
  const { url } = await startTestServer(t);
  await beginOver(clientOf(url));
  const proxyUrl = await startNginx(t, url);
  const through = (path: string, options?: AskOptions) => ask(proxyUrl + path, options);
  const options = { method: 'POST', headers: { 'content-type': 'application/json' } };
  const refused = await through('/registry/proposals', options);
  assert.equal(refused.status, 403);
  assert.match(refused.body.toString(), /"code":"forbidden"/);
  for (const path of ['/registry/proposals', '/readyz', '/registry/head?after=0', '/version'])
    for (let round = 0; round < 2; round++) {
      const answer = await through(path);
      assert.equal(answer.status, 200, path);
      assert.notEqual(cacheStatus(answer), 'HIT', path);
    }
}
