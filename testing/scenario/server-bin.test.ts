import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { connected } from '../support/server-socket.ts';
import { LOG_KEY, makeDataDir } from '../support/server-start.ts';

const BIN = join(import.meta.dirname, '../../bin/quorate.mjs');

type Bin = ChildProcessByStdio<null, Readable, Readable>;

function startBin(
  t: TestContext,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): Bin {
  const { QUORATE_CONFIG: _, ...env } = process.env;
  const child = spawn(process.execPath, [...nodeOptions, BIN, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function ended(
  child: Bin,
): Promise<{ code: number; signal: string; out: string; err: string }> {
  const [[code, signal], out, err] = await Promise.all([
    once(child, 'exit'),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, signal, out, err };
}

/** Starts a server and answers its first line of output, the URL. */
async function serve(t: TestContext, ...args: string[]): Promise<{ child: Bin; url: URL }> {
  const ports = ['--listen', '127.0.0.1:0', '--metrics-listen', 'off'];
  const child = startBin(t, ['serve', ...ports, ...args]);
  // The audit log of a micronode follows it.
  const [line = ''] = String(await once(child.stdout.setEncoding('utf8'), 'data')).split('\n');
  return { child, url: new URL(line) };
}

test('an old node is told what is missing, in one line, before anything is loaded', async (t) => {
  const old =
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
  const child = startBin(
    t,
    ['serve'],
    ['--import', `data:text/javascript,${encodeURIComponent(old)}`],
  );
  const { code, out, err } = await ended(child);
  assert.deepEqual([code, out], [1, '']);
  assert.equal(
    err,
    'quorate: expected Node.js 24.14.1 or newer, got 20.20.2: see https://nodejs.org/en/download\n',
  );
});

test('serve prints its url, logs to standard error, and SIGTERM ends it with 0', async (t) => {
  const { child, url } = await serve(t, '--data', makeDataDir(), '--log-key', LOG_KEY);
  const { status } = await fetch(new URL('/healthz', url));
  assert.equal(status, 200);
  const end = ended(child);
  child.kill('SIGTERM');
  const { code, err } = await end;
  assert.equal(code, 0);
  const messages = err
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
  assert.match(messages.join('\n'), /^serving on .* write routes are open to this machine only$/m);
  assert.equal(messages.at(-1), 'stopped');
});

test('a second signal ends a server at once that still waits for a request to end', async (t) => {
  const { child, url } = await serve(t, '--profile', 'micronode', '--drain-timeout', '10m');
  const socket = await connected({ host: url.hostname, port: Number(url.port) });
  socket.on('error', () => undefined);
  socket.write('POST /registry/proposals HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n');
  socket.write('Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n');
  await once(socket, 'data');
  child.kill('SIGTERM');
  for await (const [chunk] of on(child.stderr.setEncoding('utf8'), 'data'))
    if (String(chunk).includes('stopping')) break;
  child.kill('SIGTERM');
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGTERM');
});

test('serve does not start with a log key that others can read, and opens nothing', async (t) => {
  const data = makeDataDir();
  mkdirSync(data, { recursive: true });
  const key = join(data, 'key.pem');
  writeFileSync(key, readFileSync(LOG_KEY), { mode: 0o644 });
  const args = ['--log-key', key, '--data', join(data, 'not')];
  const { code, out, err } = await ended(startBin(t, ['serve', ...args]));
  assert.deepEqual([code, out], [1, '']);
  assert.match(
    err,
    /^quorate: expected a private key that its owner alone may use at .*: chmod 600 .*\n/,
  );
  assert.equal(existsSync(join(data, 'not')), false);
});

test('a bad configuration is refused with every mistake, and nothing is opened', async (t) => {
  const data = makeDataDir();
  mkdirSync(data, { recursive: true });
  const file = join(data, 'quorate.toml');
  writeFileSync(file, 'threshold = 1\nlisten = "here"\n');
  const { code, out, err } = await ended(
    startBin(t, ['serve', '--config', file, '--log-level', 'loud', '--data', join(data, 'not')]),
  );
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /got 3 mistakes:/);
  for (const place of ['--log-level', `${file}: threshold`, `${file}: listen`])
    assert.ok(err.includes(`\n  ${place}: expected `), place);
});
