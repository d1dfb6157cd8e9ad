/** The systemd unit: valid, sandboxed, and with limits that fit the settings. Checked by systemd's own tools, on no running systemd. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { loadConfig } from '../../src/server/config.ts';
import { parseBytes, parseDuration } from '../../src/server/config-values.ts';
import { SERVICE_ENV, SERVICE_FLAGS } from '../performance/service-flags.ts';
import { runCli } from '../support/cli-io.ts';
import { beginOver, clientOf, LOG_KEY } from '../support/server-start.ts';

const FOLDER = join(import.meta.dirname, '../../deploy/systemd');
const BIN = join(import.meta.dirname, '../../bin/quorate.mjs');
const unit = readFileSync(join(FOLDER, 'quorate.service'), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'quorate-systemd-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

/** 0 to 10; that of a service without any directive is 9.6. */
const MAX_EXPOSURE = 1.5;

function valuesOf(name: string): string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

function only(name: string): string {
  const [value, ...more] = valuesOf(name);
  assert.ok(value !== undefined && more.length === 0, `expected one ${name}`);
  return value;
}

function isMissing(t: TestContext, program: string): boolean {
  if (spawnSync(program, ['--version']).status === 0) return false;
  assert.notEqual(process.env.QUORATE_CI, '1', `expected ${program}, got none`);
  t.skip(`SKIPPED, NOT PASSED: ${program} is not installed`);
  return true;
}

/** With the node of this machine, which has none where the unit says. */
function written(text = unit): string {
  const path = join(directory, 'quorate.service');
  writeFileSync(path, text.replace('/usr/bin/node', process.execPath));
  return path;
}

test('systemd finds nothing wrong with the unit', (t) => {
  if (isMissing(t, 'systemd-analyze')) return;
  const verify = (path: string) => spawnSync('systemd-analyze', ['verify', path]);
  const { status, stdout, stderr } = verify(written());
  assert.deepEqual([status, `${stdout}${stderr}`], [0, '']);
  // It would find something.
  const typo = unit.replace('ProtectSystem=', 'ProtectSytem=');
  assert.match(`${verify(written(typo)).stderr}`, /ProtectSytem/);
});

test('systemd finds the service well confined', (t) => {
  if (isMissing(t, 'systemd-analyze')) return;
  const options = ['security', '--offline=true', '--no-pager', `--threshold=${MAX_EXPOSURE * 10}`];
  const { status, stdout } = spawnSync('systemd-analyze', [...options, written()]);
  const [, exposure = ''] = /Overall exposure level for \S+ ([\d.]+)/.exec(`${stdout}`) ?? [];
  assert.ok(Number(exposure) <= MAX_EXPOSURE, exposure);
  assert.equal(status, 0);
  // V8 compiles: with it, the service would not start.
  assert.deepEqual(valuesOf('MemoryDenyWriteExecute'), []);
});

/** What the filter lets through, by systemd's own list. */
function allowedCalls(): ReadonlySet<string> {
  const listing = execFileSync('systemd-analyze', ['syscall-filter', '--no-pager'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const groups = new Map<string, string[]>();
  for (const line of listing.split('\n').filter((text) => !/^\s*#/.test(text))) {
    const word = line.trim();
    if (/^@/.test(line)) groups.set(word, []);
    else if (word !== '') [...groups.values()].at(-1)?.push(word);
  }
  const expand = (name: string): string[] =>
    (groups.get(name) ?? assert.fail(name)).flatMap((x) => (x.startsWith('@') ? expand(x) : [x]));
  const allowed = new Set<string>();
  for (const filter of valuesOf('SystemCallFilter'))
    for (const word of filter.replace('~', '').split(' '))
      for (const call of word.startsWith('@') ? expand(word) : [word])
        filter.startsWith('~') ? allowed.delete(call) : allowed.add(call);
  return allowed;
}

/** SQLite, when it is root's, gives its files the owner of the database. */
const ONLY_AS_ROOT = ['fchown'];

test('a service that starts, commits, looks for what nothing names and stops makes no system call that the unit denies it', {
  timeout: 60_000,
}, async (t) => {
  if (isMissing(t, 'systemd-analyze') || isMissing(t, 'strace')) return;
  const allowed = allowedCalls();
  assert.ok(allowed.has('epoll_wait') && !allowed.has('mount') && !allowed.has('ptrace'));
  const trace = join(directory, 'trace');
  const settings = ['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'];
  const data = ['--data', join(directory, 'data'), '--log-key', LOG_KEY, '--blobs', 'on'];
  const program = [process.execPath, BIN, 'serve', ...settings, ...data];
  const child = spawn('strace', ['-f', '-qq', '-o', trace, ...program], { stdio: 'pipe' });
  const ended = once(child, 'exit');
  t.after(() => child.exitCode ?? child.kill('SIGKILL'));
  const [url] = await Promise.race([once(createInterface(child.stdout), 'line'), ended]);
  await beginOver(clientOf(String(url)));
  const socket = join(directory, 'data/operator.sock');
  const { code, stderr } = await runCli(['operator', 'collect', '--socket', socket]);
  assert.equal(code, 0, stderr);
  const [pid] = childrenOf(child.pid);
  process.kill(pid ?? assert.fail('expected the service'), 'SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  const calls = readFileSync(trace, 'utf8').matchAll(/^\d+ +([a-z_0-9]+)\(/gm);
  const made = new Set([...calls].map(([, call = '']) => call));
  assert.ok(made.has('fdatasync') || made.has('fsync'));
  assert.ok(made.has('setpriority'), 'the walk lowers its own');
  const denied = [...made].filter((call) => !allowed.has(call) && !ONLY_AS_ROOT.includes(call));
  assert.deepEqual(denied, []);
});

function childrenOf(pid: number | undefined): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number);
}

test('a service that killed itself is started again, one with a mistake in its settings is not', () => {
  // A signal that is no orderly end is a failure.
  assert.equal(only('Restart'), 'on-failure');
  assert.equal(only('RestartPreventExitStatus'), '2');
  const mistaken = spawnSync(process.execPath, [BIN, 'serve', '--listen', 'nowhere']);
  assert.equal(mistaken.status, 2);
});

test('there is time to drain, and its reload is a hangup', () => {
  const file = { name: 'quorate.toml', text: readFileSync(join(FOLDER, 'quorate.toml'), 'utf8') };
  const { drainMs, drainDelayMs } = loadConfig({ file }).timeouts;
  const stopMs = parseDuration(only('TimeoutStopSec')) ?? 0;
  assert.ok(stopMs >= drainMs + drainDelayMs + 10_000);
  assert.equal(only('KillSignal'), 'SIGTERM');
  assert.equal(only('ExecReload'), '/bin/kill -HUP $MAINPID');
  assert.equal(only('Type'), 'exec');
});

test('its limits hold what the settings allow', () => {
  const { limits } = loadConfig();
  assert.ok(Number(only('LimitNOFILE')) > limits.maxConnections + 1_000);
  const [high = 0, max = 0] = ['MemoryHigh', 'MemoryMax'].map((name) =>
    parseBytes(only(name).replace('M', 'MiB')),
  );
  assert.ok(high >= 512 * 1024 * 1024 && max > high);
});

test('what the unit and its example set are settings', () => {
  const example = readFileSync(join(FOLDER, 'environment.example'), 'utf8');
  const lines = [...valuesOf('Environment'), ...example.split('\n')];
  const env = Object.fromEntries(
    lines
      .map((line) => line.replace(/^#(?=\w+=)/, ''))
      .filter((line) => /^QUORATE_/.test(line))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  assert.ok(Object.keys(env).length >= 4);
  const config = loadConfig({ env });
  const [data, mark] = only('StateDirectory')
    .split(' ')
    .map((name) => `/var/lib/${name}`);
  assert.equal(config.dataDir, data);
  // All else is read-only to the unit: a mark anywhere else would never be kept.
  assert.equal(only('ProtectSystem'), 'strict');
  const file = { name: 'quorate.toml', text: readFileSync(join(FOLDER, 'quorate.toml'), 'utf8') };
  assert.equal(dirname(loadConfig({ file, env }).cosigners.highWater ?? ''), mark);
  const [credential = ''] = only('LoadCredential').split(':');
  assert.deepEqual(config.logKeys, [{ file: `%d/${credential}` }]);
  assert.match(only('ExecStart'), / serve --config \/etc\/quorate\/quorate\.toml$/);
});

test('the unit runs node with the flags and the environment that its memory was measured with', () => {
  const words = only('ExecStart').split(' ');
  const flags = words.slice(
    1,
    words.findIndex((word) => word.endsWith('.mjs')),
  );
  for (const flag of SERVICE_FLAGS) assert.ok(flags.includes(flag), flag);
  for (const [name, value] of Object.entries(SERVICE_ENV))
    assert.ok(valuesOf('Environment').includes(`${name}=${value}`), name);
});
