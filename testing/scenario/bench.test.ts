import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createBenchClock } from '../../src/cli/bench/clock.ts';
import { runWatch } from '../../src/cli/bench/watch-load.ts';
import { Interruption } from '../../src/cli/io.ts';
import { loadsOf, openBenchStage } from '../support/bench-stage.ts';
import { runCli } from '../support/cli-io.ts';
import { start } from '../support/cli-process.ts';
import { makeDirectory } from '../support/cli-stage.ts';
import { openCertificates } from '../support/server-certificates.ts';
import { startTestServer } from '../support/server-start.ts';

const BRIEF = ['--duration', '300ms', '--warmup', '0s'];

test('bench get counts the requests that the server counts, in both loops, and prints every figure', async (t) => {
  const stage = await openBenchStage(t);
  const head = { route: '/registry/head', method: 'GET', code: '200' };
  const before = await stage.metric('http_requests_total', head);
  const closed = await stage.bench('get', ...BRIEF, '--connections', '4');
  const { get } = loadsOf(closed);
  assert.ok(get !== undefined && get.requests > 0, closed.stdout);
  assert.deepEqual([closed.code, get.failed, get.latency_us?.count], [0, 0, get.requests]);
  assert.equal(await stage.metric('http_requests_total', head), before + get.requests);

  const open = await stage.bench(
    'get',
    ...BRIEF,
    '--rate',
    '100',
    '--path',
    '/registry/0',
    '/version',
  );
  assert.equal(open.code, 0, open.stderr);
  const { requests, unsent } = loadsOf(open).get ?? assert.fail();
  assert.equal(requests + Number(unsent), 30);
  // Beside the question for the version before each run.
  const asked = await stage.metric('http_requests_total', { route: '/version' });
  assert.equal(asked, 2 + Math.floor(requests / 2));
  const [document] = open.json();
  assert.deepEqual(document?.config, {
    duration_ms: 300,
    warmup_ms: 0,
    rate: 100,
    connections: 16,
    paths: ['/registry/0', '/version'],
    is_conditional: false,
  });
  assert.deepEqual(
    [document?.bench, document?.server_version, document?.url],
    ['get', '0.1.0', stage.url],
  );
});

test('bench get --conditional is answered with 304 as long as the page is the same', async (t) => {
  const stage = await openBenchStage(t);
  const run = await stage.bench('get', ...BRIEF, '--rate', '100', '--conditional');
  const { get } = loadsOf(run);
  assert.deepEqual([run.code, get?.failed], [0, 0], run.stderr);
  assert.equal(get?.not_modified, get?.requests);
  const told = { route: '/registry/head', code: '304' };
  assert.equal(await stage.metric('http_requests_total', told), get?.requests);
});

test('bench put commits what it says, and the head stands where its commits lead', async (t) => {
  const stage = await openBenchStage(t);
  const run = await stage.bench(
    'put',
    ...BRIEF,
    '--connections',
    '2',
    '--yes',
    '--key',
    ...stage.keys,
  );
  const { put } = loadsOf(run);
  assert.ok(put !== undefined && put.requests > 0, run.stderr);
  assert.deepEqual([run.code, put.failed], [0, 0], run.stderr);
  // Genesis is version 0, and one entry tried out everything before the run.
  const { version } = await stage.client.head();
  assert.equal(version, 1 + put.requests);
  assert.deepEqual(
    ['propose', 'approve', 'commit'].map((step) => put.steps[step]?.count),
    [put.requests, 2 * put.requests, put.requests],
  );
  const { items } = await stage.client.set();
  assert.deepEqual(
    [items.length, new Set(items.map(({ kind }) => kind))],
    [version, new Set(['bench'])],
  );
  const payload = await stage.client
    .entry(version)
    .then((entry) => entry.bytes.payload ?? assert.fail('expected a payload'));
  assert.ok(Math.abs(payload.length - 4096) < 16, `${payload.length}`);
  assert.match(run.stderr, /for ever/);
});

test('bench put at a fixed rate, and prepared with a count, does exactly that many', async (t) => {
  const stage = await openBenchStage(t);
  const write = ['--yes', '--key', ...stage.keys];
  const time = ['--duration', '300ms', '--warmup', '200ms'];
  const fixed = await stage.bench('put', ...time, '--rate', '20', ...write, '--size', '1KiB');
  const { put } = loadsOf(fixed);
  assert.deepEqual([fixed.code, Number(put?.requests) + Number(put?.unsent)], [0, 6], fixed.stderr);
  const before = (await stage.client.head()).version;
  const prepared = await stage.bench('put', '--prepared', '--count', '8', ...write);
  const loads = loadsOf(prepared);
  assert.deepEqual(
    [prepared.code, loads.prepare?.requests, loads.put?.requests],
    [0, 8, 8],
    prepared.stderr,
  );
  assert.equal((await stage.client.head()).version, before + 1 + 8);
  assert.deepEqual(Object.keys(loads.put?.steps ?? {}), ['commit']);
  assert.equal(loads.put?.steps.commit?.count, 8);
});

test('bench put asks before it writes, and writes nothing without agreement or with too few keys', async (t) => {
  const stage = await openBenchStage(t);
  const [key = ''] = stage.keys;
  const few = await stage.bench('put', ...BRIEF, '--yes', '--key', key);
  assert.equal(few.code, 1);
  assert.match(few.stderr, /quorum_not_reached/);
  assert.deepEqual(
    (await stage.client.unverifiedProposals()).filter(({ type }) => type !== 'genesis'),
    [],
  );
  for (const world of [{ answers: ['n'] }, {}]) {
    const run = await stage.benchIn(world, 'put', ...BRIEF, '--key', ...stage.keys);
    assert.equal(run.code, 1, run.stderr);
    assert.match(run.stderr, /entries stay for ever/);
  }
  assert.equal((await stage.client.head()).version, 0);
  const none = await stage.bench('put', ...BRIEF, '--yes');
  assert.deepEqual([none.code, none.stdout], [2, '']);
  const agreed = await stage.benchIn(
    { answers: ['y'] },
    'put',
    '--count',
    '1',
    '--key',
    ...stage.keys,
  );
  assert.equal(agreed.code, 0, agreed.stderr);
  assert.equal((await stage.client.head()).version, 2);
});

test('bench put counts refusals by their codes and ends with a failure', async (t) => {
  // Enough for the trial: one proposal, two approvals, one commit.
  const stage = await openBenchStage(t, { max_writes_per_minute: '16' });
  const write = ['--yes', '--key', ...stage.keys];
  const run = await stage.bench('put', '--count', '10', '--connections', '1', ...write);
  const { put } = loadsOf(run);
  assert.equal(run.code, 1);
  assert.ok(put !== undefined && put.failed > 0 && put.failed < 11, run.stdout);
  assert.ok(
    Object.keys(put.errors).every((kind) =>
      /^(propose|approve|commit): 429 rate_limited$/.test(kind),
    ),
    run.stdout,
  );
  assert.match(run.stderr, /"unexpected_answer"/);
});

test('bench mixed reads and writes at once, each at its rate', async (t) => {
  const stage = await openBenchStage(t);
  const paces = ['--rate', '60', '--put-rate', '10', '--yes', '--key', ...stage.keys];
  const run = await stage.bench('mixed', ...BRIEF, ...paces);
  const { get, put } = loadsOf(run);
  assert.deepEqual([run.code, get?.failed, put?.failed], [0, 0, 0], run.stderr);
  assert.equal(Number(get?.requests) + Number(get?.unsent), 18);
  assert.equal(Number(put?.requests) + Number(put?.unsent), 3);
  assert.equal((await stage.client.head()).version, 1 + Number(put?.requests));
});

test('bench watch sees every commit reach every subscriber once', async (t) => {
  const stage = await openBenchStage(t);
  const pace = ['--put-rate', '20', '--events', '6', '--yes', '--key', ...stage.keys];
  const run = await stage.bench('watch', '--subscribers', '25', ...pace);
  const { watch, put } = loadsOf(run);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(
    [watch?.events, watch?.complete, watch?.missed, watch?.doubled, watch?.requests, put?.requests],
    [6, 6, 0, 0, 6 * 25, 6],
  );
  const { arrival_us, last_us, spread_us } = watch ?? assert.fail();
  assert.deepEqual([arrival_us?.count, last_us?.count, spread_us?.count], [150, 6, 6]);
});

test('bench watch without keys listens for its time, and says when there are too many streams', async (t) => {
  const stage = await openBenchStage(t, { max_streams_per_address: '5' });
  const quiet = await stage.bench('watch', '--subscribers', '5', '--duration', '100ms');
  const { watch, put } = loadsOf(quiet);
  assert.deepEqual([quiet.code, watch?.events, watch?.failed, put], [0, 0, 0, undefined]);
  const refused = await stage.bench('watch', '--subscribers', '6', '--duration', '100ms');
  assert.deepEqual([refused.code, refused.stdout], [4, '']);
  assert.match(refused.stderr, /too_many_streams after \d/);
});

test('a stream that ends while it is watched is a failure, and is not waited for', {
  timeout: 30_000,
}, async (t) => {
  const frame = (version: number) =>
    `id: ${version}\nevent: registry.update\ndata: {"committed_at":"2026-11-21T09:00:00.000Z"}\n\n`;
  const open: ServerResponse[] = [];
  const url = await fake(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(frame(4));
    open.push(response);
  });
  const { watch } = await runWatch({
    url,
    // Nobody waits until the grace is over.
    clock: { ...createBenchClock(), after: () => () => {} },
    subscribers: 3,
    events: undefined,
    durationMs: 200,
    signal: new AbortController().signal,
    // Of 5 and 6 one gets both, one 6 alone, and one 5 and then its end.
    write: async () => {
      open[0]?.write(frame(5) + frame(6) + frame(6));
      open[1]?.write(frame(6));
      open[2]?.end(frame(5));
      return TWO_WRITTEN;
    },
    onOpened: () => {},
  });
  const { events, complete, failed, errors } = watch;
  assert.deepEqual(
    { events, complete, failed, errors },
    { events: 2, complete: 0, failed: 4, errors: { missed: 2, doubled: 1, 'stream closed': 1 } },
  );
});

test('bench verify verifies the newest entries, from genesis or from the middle of the log', async (t) => {
  const stage = await openBenchStage(t);
  const write = ['--count', '8', '--yes', '--key', ...stage.keys];
  assert.equal((await stage.bench('put', ...write)).code, 0);
  const { version } = await stage.client.head();
  for (const [asked, entries, signatures] of [
    [4, 4, 4 * 2],
    [version, version, version * 2 + 0],
    // Genesis and the rest; all three signers approved it.
    [100, version + 1, version * 2 + 3],
  ] as const) {
    const run = await stage.bench('verify', '--entries', String(asked));
    assert.equal(run.code, 0, run.stderr);
    const { verify } = loadsOf(run);
    assert.deepEqual([verify?.entries, verify?.signatures], [entries, signatures]);
    const { entry_us, signature_us } = verify ?? assert.fail();
    assert.deepEqual([entry_us?.count, signature_us?.count], [entries, signatures]);
    assert.ok(
      Number(verify?.entries_per_second) > 0 && Number(verify?.audit_entries_per_second) > 0,
    );
  }
});

test('a registry that answers 404 gives failures by kind, the result and a failing exit status', async (t) => {
  const stage = await openBenchStage(t);
  const run = await stage.bench(
    'get',
    ...BRIEF,
    '--rate',
    '100',
    '--path',
    '/registry/7',
    '/registry/head',
  );
  const { get } = loadsOf(run);
  assert.equal(run.code, 1);
  assert.deepEqual(get?.errors, { '404 not_found': get?.failed });
  assert.equal(get?.failed, Math.ceil(Number(get?.requests) / 2));
  assert.match(run.stderr, /404 not_found/);
});

test('a registry that dies in the middle gives failures, and the run still ends with its result', async (t) => {
  let answered = 0;
  const url = await fake(t, (request, response, server) => {
    if (request.url !== '/version' && ++answered === 3) {
      server.close();
      server.closeAllConnections();
    } else {
      response.setHeader('content-type', 'application/json');
      response.end('{"version":"9.9.9"}');
    }
  });
  const pace = ['--duration', '1s', '--warmup', '0s', '--rate', '20', '--connections', '1'];
  const run = await runCli(['--url', url, '--json', 'bench', 'get', ...pace]);
  const { get } = loadsOf(run);
  assert.equal(run.code, 1);
  assert.equal(answered, 3);
  assert.equal(run.json()[0]?.server_version, '9.9.9');
  assert.equal(Number(get?.requests) + Number(get?.unsent), 20);
  assert.equal(get?.latency_us?.count, 2 + Number(get?.unsent));
  const kinds = Object.keys(get?.errors ?? {});
  assert.ok(
    kinds.length > 0 && kinds.every((kind) => /^ECONN(RESET|REFUSED)$/.test(kind)),
    `${kinds}`,
  );
  const gone = await runCli(['--url', url, '--json', 'bench', 'get', ...BRIEF]);
  assert.deepEqual([gone.code, gone.stdout], [4, '']);
});

test('an interrupt ends the run early and prints what there is', async (t) => {
  const interruption = new AbortController();
  let answered = 0;
  const url = await fake(t, (_request, response) => {
    if (++answered === 30) interruption.abort(new Interruption(130));
    else response.end('{}');
  });
  const long = ['--duration', '10m', '--warmup', '0s', '--rate', '200', '--connections', '1'];
  const world = { interrupt: interruption.signal };
  const run = await runCli(['--url', url, '--json', 'bench', 'get', ...long], world);
  const { get } = loadsOf(run);
  assert.equal(run.code, 130);
  assert.equal(run.json()[0]?.is_interrupted, true);
  // Beside the version, and the one that was never answered.
  assert.deepEqual([get?.requests, get?.unfinished], [28, 1]);
});

test('the table, its warnings and the figures are on standard output, remarks on standard error', async (t) => {
  const url = await fake(t, (_request, response) => void response.end('ok'));
  const run = await runCli(['--url', url, 'bench', 'get', ...BRIEF, '--rate', '50']);
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /^get: an unknown server at http:/);
  assert.match(run.stdout, /^get: \d+ requests in 0\.30 s/m);
  assert.match(run.stdout, /^ms +count +min +p50 +p90 +p95 +p99 +p99\.9 +max +mean$/m);
  assert.match(run.stdout, /^get +\d+( +\d+\.\d{3}){8}$/m);
  assert.match(run.stdout, /#{40} +\d+$/m);
  assert.match(run.stderr, /does not tell its version/);
});

test('progress is shown on a terminal, and not with --quiet', async (t) => {
  const url = await fake(t, (_request, response) => void response.end('ok'));
  for (const quiet of [[], ['--quiet']]) {
    const argv = ['--url', url, ...quiet, 'bench', 'get', ...BRIEF, '--rate', '50'];
    const { code, stderr } = await runCli(argv, { isTerminal: true });
    assert.equal(code, 0, stderr);
    if (quiet.length === 0) assert.match(stderr, /] requests \d+\/15/);
    else assert.equal(stderr, '');
  }
});

test('options that mean nothing are usage errors, and nothing is sent', async (t) => {
  const url = await fake(t, () => assert.fail('a request was sent'));
  for (const argv of [
    ['get', '--duration', '10'],
    ['get', '--duration', '0s'],
    ['get', '--rate', '0'],
    ['get', '--rate', '-5'],
    ['get', '--connections', '0'],
    ['get', '--path', '/a', 'b'],
    ['get', '--path', '/a b'],
    ['put', '--key', 'a.pem', '--size', '4k'],
    ['put', '--key', 'a.pem', '--size', '2MiB'],
    ['watch'],
    ['verify', '--entries', 'all'],
  ])
    assert.equal((await runCli(['--url', url, 'bench', ...argv])).code, 2, argv.join(' '));
});

test('a registry behind TLS is measured over TLS', async (t) => {
  const certificates = openCertificates(t);
  if (certificates === undefined) return;
  const { certPath, keyPath } = certificates.make('bench');
  const server = await startTestServer(t, { tls_cert: certPath, tls_key: keyPath });
  const env = { NODE_EXTRA_CA_CERTS: certPath };
  const argv = ['--url', server.url, '--json', 'bench', 'get', '--path', '/version'];
  const { code, stdout, stderr } = await start({ cwd: makeDirectory(), env }, ...argv, ...BRIEF)
    .ended;
  assert.equal(code, 0, stderr);
  assert.match(server.url, /^https:/);
  assert.ok(JSON.parse(stdout).loads.get.requests > 0, stdout);
});

const TWO_WRITTEN = {
  requests: 2,
  failed: 0,
  errors: {},
  elapsed_ms: 0,
  rate: 0,
  latency_us: null,
  unsent: 0,
  unfinished: 0,
  late: 0,
  busy_share: 0,
  is_generator_limited: false,
  steps: {},
};

/** Answers its URL; ended with the test. */
async function fake(
  t: TestContext,
  listener: (...args: [...Parameters<RequestListener>, ReturnType<typeof createServer>]) => void,
): Promise<string> {
  const server = createServer((request, response) => listener(request, response, server));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
