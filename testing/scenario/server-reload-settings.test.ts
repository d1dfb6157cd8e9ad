/**
 * Every setting that a reload applies, one by one: what a running server does before the reload, and what
 * it does after. That the value is taken up is not enough; something must go by it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { globSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashOf } from '../../src/core/hash.ts';
import { blobPaths } from '../../src/server/blobs/blob-paths.ts';
import { loadConfig } from '../../src/server/config.ts';
import { SETTINGS, type SettingKey } from '../../src/server/config-schema.ts';
import type { RunningServer } from '../../src/server/running.ts';
import { startServer } from '../../src/server/start.ts';
import { openToken } from '../../src/server/tokens/make.ts';
import { event, MIB, segmentsIn, writeLog } from '../support/audit-log.ts';
import { runCli } from '../support/cli-io.ts';
import { SILENT_LOG } from '../support/registry.ts';
import { connected } from '../support/server-socket.ts';
import { beginOver, clientOf, LOG_KEY, makeDataDir } from '../support/server-start.ts';
import { makeTokenKey, mint } from '../support/tokens.ts';

type Settings = Readonly<Record<string, string>>;

interface Stage {
  readonly t: TestContext;
  readonly server: RunningServer;
  /** Reloads with these settings beside the ones of the start. */
  reload(changed: Settings): Promise<readonly string[]>;
}

async function open(t: TestContext, settings: Settings = {}): Promise<Stage> {
  const listen = { listen: '127.0.0.1:0', metrics_listen: 'off' };
  const fixed = { ...listen, log_key: LOG_KEY, drain_timeout: '100ms' };
  let flags: Settings = { ...fixed, data: makeDataDir(), ...settings };
  const server = await startServer(loadConfig({ flags }), {
    log: SILENT_LOG,
    reload: async () => loadConfig({ flags }),
  });
  t.after(() => server.stop());
  return {
    t,
    server,
    reload: (changed) => {
      flags = { ...flags, ...changed };
      return server.reload();
    },
  };
}

/** The status of an answer on a connection of its own; 0: it was reset. */
async function ask({ server }: Stage, method: string, path: string, token?: string) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const asked = request(`${server.url}${path}`, { method, headers, agent: false });
  asked.end();
  try {
    const [{ statusCode }] = await once(asked, 'response');
    return Number(statusCode);
  } catch {
    return 0;
  } finally {
    asked.on('error', () => undefined).destroy();
  }
}

async function connect({ t, server }: Stage): Promise<Socket> {
  const { hostname: host, port } = new URL(server.url);
  const socket = await connected({ host, port: Number(port) });
  t.after(() => socket.destroy());
  return socket.on('error', () => undefined);
}

/** A request that does not end; resolves when the server has begun with it. */
async function hold(stage: Stage, head: string): Promise<void> {
  const socket = await connect(stage);
  socket.write(`${head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`);
  socket.write(
    head.startsWith('GET') ? '\r\n' : 'Content-Length: 9\r\nExpect: 100-continue\r\n\r\n',
  );
  await once(socket, 'data');
}

const holdWrite = (stage: Stage) => hold(stage, 'POST /registry/proposals');
const holdStream = (stage: Stage) => hold(stage, 'GET /registry/stream');

const KEY = makeTokenKey();
const COMMIT = `/registry/commit/b3:${'0'.repeat(64)}`;
const ISSUED = Math.floor(Date.now() / 1000);
const TOKEN = await mint(KEY, { issued: ISSUED, expires: ISSUED + 600 });
const REVOKED = join(dirname(makeDataDir()), 'revoked');
writeFileSync(REVOKED, `${(await openToken(TOKEN)).revocationIds[0]}\n`);

const read = (stage: Stage) => ask(stage, 'GET', '/registry/head');
const write = (stage: Stage) => ask(stage, 'POST', COMMIT);
const writeWithToken = (stage: Stage) => ask(stage, 'POST', COMMIT, TOKEN);
const stream = (stage: Stage) => ask(stage, 'GET', '/registry/stream');

async function isDiskShut({ server }: Stage): Promise<number> {
  const { checks } = await (await fetch(`${server.url}/readyz?verbose`)).json();
  return Number(!checks.find(({ name }: { name: string }) => name === 'disk').ok);
}

/** One that is not there yet, of 2 KiB. */
async function putBlob({ server }: Stage): Promise<number> {
  const body = randomBytes(2_048);
  const answer = await fetch(`${server.url}/blobs/${hashOf(body)}`, { method: 'PUT', body });
  return answer.status;
}

interface Proof {
  readonly given?: Settings;
  readonly begin?: (stage: Stage) => Promise<unknown>;
  readonly look: (stage: Stage) => Promise<number>;
  readonly to: string;
  readonly seen: readonly [before: number, after: number];
}

const given = { token_key: KEY.key };
const withBlobs = {
  given: { blobs: 'on' },
  begin: ({ server }: Stage) => beginOver(clientOf(server.url)),
  look: putBlob,
};
const PROOFS: Partial<Record<SettingKey, Proof>> = {
  trusted_proxies: { look: write, to: '127.0.0.1', seen: [404, 403] },
  token_key: { look: write, to: KEY.key, seen: [404, 401] },
  token_revocations: { given, look: writeWithToken, to: REVOKED, seen: [404, 401] },
  max_reads_per_minute: { look: read, to: '1', seen: [404, 429] },
  max_writes_per_minute: { look: write, to: '1', seen: [404, 429] },
  max_token_writes_per_minute: { given, look: writeWithToken, to: '1', seen: [404, 429] },
  max_inflight: { begin: holdWrite, look: write, to: '2', seen: [404, 429] },
  max_connections: { begin: connect, look: read, to: '1', seen: [404, 0] },
  max_connections_per_address: { begin: connect, look: read, to: '1', seen: [404, 0] },
  max_streams: { begin: holdStream, look: stream, to: '1', seen: [200, 429] },
  max_streams_per_address: { begin: holdStream, look: stream, to: '1', seen: [200, 429] },
  min_free_space: { look: isDiskShut, to: '1PiB', seen: [0, 1] },
  max_blob_bytes: { ...withBlobs, to: '1KiB', seen: [201, 413] },
  blob_quota: { ...withBlobs, to: '1KiB', seen: [201, 507] },
};

for (const [key, { given = {}, begin, look, to, seen }] of Object.entries(PROOFS))
  test(`${key} is in force after a reload, and not before`, async (t) => {
    const stage = await open(t, given);
    await begin?.(stage);
    assert.equal(await look(stage), seen[0]);
    assert.deepEqual(await stage.reload({ [key]: to }), [key]);
    assert.equal(await look(stage), seen[1]);
  });

test('drain_timeout and drain_delay are those of the last reload', async (t) => {
  const stage = await open(t, { drain_timeout: '20s', request_timeout: '10m' });
  await holdWrite(stage);
  await stage.reload({ drain_timeout: '100ms', drain_delay: '500ms' });
  const startedMs = performance.now();
  await stage.server.stop();
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs >= 600 && tookMs < 10_000, `${tookMs} ms`);
});

test('audit_max_size is that of the last reload', async (t) => {
  const wide = Array.from({ length: 1_800 }, () => event({ reason: 'x'.repeat(900) }));
  const data = await writeLog(t, wide, 4 * MIB);
  const directory = join(data, 'audit');
  const total = () =>
    segmentsIn(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
  const stage = await open(t, { data, audit_max_size: '4MiB' });
  await write(stage);
  assert.ok(total() > 2 * MIB, `${total()}`);
  await stage.reload({ audit_max_size: '1MiB' });
  await write(stage);
  assert.ok(total() < 2 * MIB, `${total()}`);
});

test('blob_grace is that of the last reload', async (t) => {
  const data = makeDataDir();
  const stage = await open(t, { data, blobs: 'on' });
  await withBlobs.begin(stage);
  assert.equal(await putBlob(stage), 201);
  const old = new Date(Date.now() - 2 * 3_600_000);
  const names = () => globSync(`${blobPaths(data).root}/*/*`);
  for (const path of names()) utimesSync(path, old, old);
  const collect = () => runCli(['operator', 'collect', '--socket', join(data, 'operator.sock')]);
  assert.match((await collect()).stdout, /nothing to remove/);
  await stage.reload({ blob_grace: '1h' });
  assert.match((await collect()).stdout, /removed: 1 blob/);
});

/** In `server-reload.test.ts`, where the log is the process's own, and in `health.test.ts`, `ballast.test.ts`, `set-files.test.ts` and `retention.test.ts`, on a clock of the test. */
const ELSEWHERE = [
  'log_level',
  'shed_storage_after',
  'shed_loop_after',
  'warn_free_space',
  'ballast',
  'max_prepared_sets',
  'retention_age',
  'retention_entries',
  'retention_size',
];

test('no setting that a reload applies is forgotten here', () => {
  const applied = SETTINGS.filter(({ reload }) => reload === true).map(({ key }) => key);
  const together = ['drain_timeout', 'drain_delay', 'audit_max_size', 'blob_grace', ...ELSEWHERE];
  assert.deepEqual([...Object.keys(PROOFS), ...together].sort(), [...applied].sort());
});
