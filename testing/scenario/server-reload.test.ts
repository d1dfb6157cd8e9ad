/** SIGHUP: what a running server takes up, what it refuses, and that it goes on in every case. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readLog } from '../support/audit-log.ts';
import { type Started, start } from '../support/cli-process.ts';
import { LOG_KEY, makeDataDir } from '../support/server-start.ts';

interface Reloading {
  readonly process: Started;
  readonly url: string;
  readonly metricsUrl: string;
  readonly dataDir: string;
  /** Replaces the file, sends SIGHUP and resolves with the next record about a reload. */
  reload(toml: string): Promise<Readonly<Record<string, unknown>>>;
}

interface Options {
  readonly toml: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const FIXED = 'listen = "127.0.0.1:0"\nmetrics_listen = "127.0.0.1:0"\n';

async function serve(t: TestContext, options: Options): Promise<Reloading> {
  const cwd = dirname(makeDataDir());
  const config = join(cwd, 'quorate.toml');
  writeFileSync(config, FIXED + options.toml);
  const argv = ['serve', '--json', '--config', config, '--log-key', LOG_KEY];
  const env = options.env ?? {};
  const process = start({ cwd, env }, ...argv, ...(options.flags ?? []));
  t.after(async () => {
    process.child.kill('SIGKILL');
    await process.ended;
  });
  const [line = ''] = (await process.said(/\n/)).split('\n');
  const { url, metrics_url: metricsUrl } = JSON.parse(line);
  let seen = 0;
  return {
    process,
    url,
    metricsUrl,
    dataDir: join(cwd, 'data'),
    reload: async (toml) => {
      writeFileSync(config, FIXED + toml);
      process.child.kill('SIGHUP');
      seen++;
      const records = new RegExp(`(the configuration was (not )?reloaded[^]*?){${seen}}\\n`);
      return reloadsIn(await process.remarked(records))[seen - 1] ?? assert.fail();
    },
  };
}

function reloadsIn(stderr: string): readonly Readonly<Record<string, unknown>>[] {
  return stderr
    .split('\n')
    .filter((line) => line.includes('the configuration was '))
    .map((line) => JSON.parse(line));
}

async function readStatuses(url: string, count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < count; i++) statuses.push((await fetch(`${url}/registry/head`)).status);
  return statuses;
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1) ?? Number.NaN);
}

test('SIGHUP reads the file again, and the limits in it hold from then on', async (t) => {
  const { process, url, metricsUrl, reload } = await serve(t, {
    toml: 'max_reads_per_minute = 100000',
  });
  assert.deepEqual(await readStatuses(url, 4), [404, 404, 404, 404]);
  const { changed, level } = await reload('max_reads_per_minute = 2\nlog_level = "debug"');
  assert.deepEqual([level, changed], ['info', 'log_level, max_reads_per_minute']);
  assert.equal((await readStatuses(url, 4)).at(-1), 429);
  assert.equal((await fetch(`${url}/version`)).status, 200);
  await reload('max_reads_per_minute = 2\nlog_level = "debug"');
  const log = await process.remarked(/./);
  assert.match(log, /"level":"debug".*"msg":"request answered"/);
  assert.doesNotMatch(log.split('the configuration was reloaded')[0] ?? '', /"level":"debug"/);
  assert.equal(await metric(metricsUrl, 'config_reloads_total{result="applied"}'), 2);
  assert.equal(await metric(metricsUrl, 'config_last_reload_successful'), 1);
});

test('a file with a mistake is refused whole, told and counted, and the server goes on as it was', async (t) => {
  const { url, metricsUrl, reload } = await serve(t, { toml: '' });
  const { msg, level, error } = await reload(
    'max_reads_per_minute = 1\nthreshold = 1\nprofile = 5',
  );
  assert.deepEqual([msg, level], ['the configuration was not reloaded', 'error']);
  assert.match(
    JSON.stringify(error),
    /got 2 mistakes:.*threshold: expected no governance.*profile/,
  );
  assert.deepEqual(await readStatuses(url, 3), [404, 404, 404]);
  assert.equal(await metric(metricsUrl, 'config_reloads_total{result="refused"}'), 1);
  assert.equal(await metric(metricsUrl, 'config_last_reload_successful'), 0);
  const after = await reload('max_reads_per_minute = 1');
  assert.equal(after.changed, 'max_reads_per_minute');
});

test('settings that need a restart are refused with their reasons, and what could be applied with them', async (t) => {
  const { url, reload } = await serve(t, { toml: '' });
  const { error } = await reload('max_reads_per_minute = 1\nmax_stream_age = "1m"\ndata = "other"');
  const text = JSON.stringify(error);
  assert.match(text, /got 2 reasons against it:/);
  assert.match(text, /data: expected no change without a restart: where a registry is kept/);
  assert.match(text, /max_stream_age: expected no change without a restart: open streams have it/);
  assert.deepEqual(await readStatuses(url, 3), [404, 404, 404]);
});

test('flags and the environment of the start stay in force, and a file that a variable names is read again', async (t) => {
  const secret = join(dirname(makeDataDir()), 'reads');
  writeFileSync(secret, '100000\n');
  const { url, reload } = await serve(t, {
    toml: '',
    flags: ['--max-writes-per-minute', '7'],
    env: { QUORATE_MAX_READS_PER_MINUTE_FILE: secret, QUORATE_MAX_STREAMS: '8' },
  });
  writeFileSync(secret, '2\n');
  const { changed } = await reload(
    'max_writes_per_minute = 1\nmax_streams = 1\nmax_reads_per_minute = 5\nmax_inflight = 9',
  );
  assert.equal(changed, 'max_reads_per_minute, max_inflight');
  assert.equal((await readStatuses(url, 3)).at(-1), 429);
});

test('a SIGHUP during the start ends nothing: the reload follows the start', async (t) => {
  const folder = dirname(makeDataDir());
  // Asked for its public key at the start, it sends the signal first.
  const program = join(folder, 'sign');
  const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  const key = Buffer.from(x, 'base64url').toString('base64');
  writeFileSync(program, `#!/bin/sh\nkill -HUP "$PPID" && echo sent >> "$0.sent"\necho ${key}\n`);
  chmodSync(program, 0o755);
  const argv = ['serve', '--listen', '127.0.0.1:0', '--metrics-listen', 'off'];
  const server = start({ cwd: folder }, ...argv, '--log-key', `exec:${program}`);
  t.after(() => server.child.kill('SIGKILL'));
  const records = reloadsIn(await server.remarked(/the configuration was reloaded.*\n/));
  assert.equal(readFileSync(`${program}.sent`, 'utf8'), 'sent\n');
  assert.deepEqual(
    records.map(({ changed }) => changed),
    ['nothing'],
  );
  server.child.kill('SIGTERM');
  const { code, stdout } = await server.ended;
  assert.equal(code, 0);
  assert.match(stdout, /^http:\/\/127\.0\.0\.1:\d+\n$/);
});

test('a configuration that came through a pipe is not taken for an empty one', async (t) => {
  const ports = 'listen = "127.0.0.1:0"\nmetrics_listen = "off"\nmax_reads_per_minute = 2\n';
  const cwd = dirname(makeDataDir());
  const pipe = join(cwd, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const server = start({ cwd }, 'serve', '--config', pipe, '--log-key', LOG_KEY);
  t.after(() => server.child.kill('SIGKILL'));
  await Promise.race([writeFile(pipe, ports), server.ended]);
  const url = (await server.said(/\n/)).trim();
  server.child.kill('SIGHUP');
  const stderr = await server.remarked(/the configuration was .*\n/);
  assert.match(
    JSON.stringify(reloadsIn(stderr)),
    /expected a regular file, got another kind.*not reloaded/,
  );
  assert.equal((await readStatuses(url, 3)).at(-1), 429);
});

test('a reload by signal is an act of an operator: taken up or refused, it is on record', async (t) => {
  const { process, dataDir, reload } = await serve(t, { toml: '' });
  await reload('max_streams = 7');
  await reload('max_streams = 0');
  process.child.kill('SIGTERM');
  assert.equal((await process.ended).code, 0);
  const { records } = await readLog(dataDir);
  const told = records.flatMap((r) =>
    r.act === 'reload' ? [[r.client, r.decision, r.code, r.corr_id]] : [],
  );
  assert.deepEqual(told, [
    ['signal', 'accepted', null, null],
    ['signal', 'refused', 'invalid_request', null],
  ]);
});

test('as many signals as come in are one after another, and a stop still stops', async (t) => {
  const { process, url, reload } = await serve(t, { toml: '' });
  for (let i = 0; i < 50; i++) process.child.kill('SIGHUP');
  await reload('max_streams = 7');
  assert.deepEqual(await readStatuses(url, 1), [404]);
  process.child.kill('SIGHUP');
  process.child.kill('SIGTERM');
  const { code, signal } = await process.ended;
  assert.deepEqual([code, signal], [0, null]);
});
