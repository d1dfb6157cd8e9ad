/** The two profiles as processes: a micronode makes no file and writes none, and a macronode does. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { isInMemory } from '../../src/server/config-rules.ts';
import { CHILD_ENV } from '../support/child.ts';
import {
  beginOver,
  clientOf,
  commitService,
  LOG_KEY,
  startTestServer,
} from '../support/server-start.ts';
import { isStraceMissing } from '../support/strace.ts';

const BIN = join(import.meta.dirname, '../../bin/quorate.mjs');

/** Whatever makes, changes or removes a file, a directory or a socket in the file system. */
const CALLS =
  'open,openat,openat2,creat,truncate,ftruncate,fallocate,rename,renameat,renameat2,mkdir,mkdirat,rmdir,unlink,unlinkat,link,linkat,symlink,symlinkat,mknod,mknodat,bind,fchmod,chmod,fchmodat';

interface Traced {
  readonly cwd: string;
  readonly lines: readonly string[];
  /** Traced calls that change something on a disk, tried ones included. */
  readonly changes: readonly string[];
}

/** A life of a registry under strace: begun, written to, scraped, reloaded, stopped. */
async function trace(t: TestContext, profile: string): Promise<Traced> {
  const root = mkdtempSync(join(tmpdir(), 'quorate-profile-'));
  t.after(() => rmSync(root, { recursive: true }));
  const cwd = mkdtempSync(join(root, 'cwd-'));
  const path = join(root, 'trace');
  // Node's own cache of compiled modules is on only here, for tests.
  const { NODE_COMPILE_CACHE: _, ...env } = CHILD_ENV;
  const ports = ['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'];
  const argv = [BIN, 'serve', '--json', '--profile', profile, '--log-key', LOG_KEY, ...ports];
  // -D: the tracer is a grandchild, so that signals go to the server itself.
  const strace = ['-D', '-f', '--seccomp-bpf', '-y', '-qq', '-o', path, '-e', `trace=${CALLS}`];
  const child = spawn('strace', [...strace, process.execPath, ...argv], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [lines] = await Promise.all([live(child), once(child, 'close')]);
  return { cwd, lines, changes: changesIn(readFileSync(path, 'utf8')) };
}

/** Answers the lines of standard output. */
async function live(child: ChildProcess): Promise<readonly string[]> {
  const { stdout, stderr } = child;
  assert.ok(stdout !== null && stderr !== null);
  const [first] = await once(stdout.setEncoding('utf8'), 'data');
  const output = text(stdout);
  const { url, metrics_url: metricsUrl } = JSON.parse(String(first).split('\n')[0] ?? '');
  const client = clientOf(url);
  await commitService(client, await beginOver(client), 'checkout');
  assert.match(await (await fetch(metricsUrl)).text(), /^registry_version 1$/m);
  await signalled(child, { signal: 'SIGHUP', said: 'the configuration was reloaded' });
  child.kill('SIGTERM');
  const all = String(first) + (await output);
  return all.split('\n').filter((line) => line !== '');
}

async function signalled(
  child: ChildProcess,
  { signal, said }: { signal: NodeJS.Signals; said: string },
): Promise<void> {
  const { stderr } = child;
  assert.ok(stderr !== null);
  let seen = '';
  const heard = new Promise<void>((resolve, reject) => {
    stderr.setEncoding('utf8').on('data', (chunk: string) => {
      seen += chunk;
      if (seen.includes(said)) resolve();
    });
    child.once('exit', () => reject(new Error(`it ended: ${seen}`)));
  });
  child.kill(signal);
  await heard;
}

function changesIn(trace: string): readonly string[] {
  const calls = trace.split('\n').filter((line) => / [a-z0-9_]+\(/.test(line));
  assert.ok(calls.length > 100, 'the calls were traced');
  return calls.filter((line) => {
    if (/ open(at2?)?\(/.test(line)) return /O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)/.test(line);
    return !/ bind\(.*sa_family=AF_INET/.test(line);
  });
}

test('a micronode makes no file, writes none and removes none, in a whole life', async (t) => {
  if (isStraceMissing(t)) {
    assert.notEqual(process.env.QUORATE_CI, '1', 'expected strace');
    return;
  }
  const { cwd, lines, changes } = await trace(t, 'micronode');
  assert.deepEqual(changes, []);
  assert.deepEqual(readdirSync(cwd), []);
  const [first = '', ...audit] = lines.map((line) => JSON.parse(line));
  assert.deepEqual(Object.keys(first), ['metrics_url', 'url']);
  assert.deepEqual(
    audit.map(({ seq }) => seq),
    audit.map((_, i) => i + 1),
  );
  const acts = audit.map(({ act }) => act);
  assert.deepEqual(
    [acts.includes('start'), acts.includes('commit'), acts.at(-1)],
    [true, true, 'stop'],
  );
});

test('the same life of a macronode leaves its database, and only the url on standard output', async (t) => {
  if (isStraceMissing(t)) return;
  const { cwd, lines, changes } = await trace(t, 'macronode');
  assert.match(changes.join('\n'), /openat\(.*registry\.db.*O_RDWR\|O_CREAT/);
  assert.match(changes.join('\n'), /mkdir(at)?\(.*data/);
  assert.match(changes.join('\n'), /bind\(.*sa_family=AF_UNIX.*operator\.sock/);
  assert.ok(readdirSync(join(cwd, 'data')).includes('registry.db'));
  assert.equal(lines.length, 1);
});

test('a micronode takes a directory in memory for its operator socket, and leaves nothing there', async (t) => {
  if (!isInMemory('/dev/shm')) {
    assert.notEqual(process.env.QUORATE_CI, '1', 'expected /dev/shm on tmpfs');
    t.skip('SKIPPED, NOT PASSED: /dev/shm is no tmpfs here');
    return;
  }
  const data = mkdtempSync('/dev/shm/quorate-profile-');
  t.after(() => rmSync(data, { recursive: true }));
  const server = await startTestServer(t, { data });
  const path = join(data, 'operator.sock');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const socket = connect({ path });
  await once(socket, 'connect');
  socket.destroy();
  assert.deepEqual(readdirSync(data), ['operator.sock']);
  await server.stop();
  assert.deepEqual(readdirSync(data), []);
});
