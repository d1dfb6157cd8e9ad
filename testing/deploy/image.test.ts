/** The image: what its Dockerfile says, and what comes of it, built and run on this machine without a container engine. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { before, type TestContext, test } from 'node:test';
import { loadConfig } from '../../src/server/config.ts';
import { SETTINGS } from '../../src/server/config-schema.ts';
import { SERVICE_ENV, SERVICE_FLAGS } from '../performance/service-flags.ts';
import { copiesOf, environmentOf, execForm, only, parseDockerfile } from '../support/dockerfile.ts';
import { buildImage, canBuild, DOCKERFILE, installedNpm, runInImage } from '../support/image.ts';
import { LOG_KEY } from '../support/server-start.ts';

const ROOT = join(import.meta.dirname, '../..');
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const { globals, stages } = parseDockerfile(readFileSync(DOCKERFILE, 'utf8'));
const final = stages.at(-1) ?? assert.fail('expected a stage');
const settings = readFileSync(join(ROOT, 'deploy/docker/quorate.toml'), 'utf8');
const ENV = environmentOf(final);

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

test('the last stage starts from nothing, runs no shell, and its user is a number that is not root', () => {
  assert.equal(final.from, 'scratch');
  assert.deepEqual(
    final.instructions.filter(({ word }) => word === 'RUN'),
    [],
  );
  assert.match(only(final, 'USER'), /^[1-9]\d{3,}:[1-9]\d{3,}$/);
  assert.equal(only(final, 'STOPSIGNAL'), 'SIGTERM');
  const [node, ...flags] = execForm(only(final, 'ENTRYPOINT'));
  assert.deepEqual(
    [node, flags.at(-1), execForm(only(final, 'CMD'))],
    ['/usr/local/bin/node', '/app/bin/quorate.mjs', ['serve']],
  );
  for (const flag of SERVICE_FLAGS) assert.ok(flags.includes(flag), flag);
});

test('every other stage starts from one base image that can be pinned, of a node that the program runs on', () => {
  const bases = new Set(stages.slice(0, -1).map(({ from }) => from));
  assert.deepEqual([...bases], [`$${'{NODE_IMAGE}'}`]);
  const [, major = ''] = /^node:(\d+)-bookworm-slim$/.exec(globals.get('NODE_IMAGE') ?? '') ?? [];
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  assert.match(engines.node, new RegExp(`^>=${major}\\.`));
});

test('its settings are valid, its ports are those it exposes, its data is the volume', () => {
  const config = loadConfig({ file: { name: 'quorate.toml', text: settings } });
  assert.ok('port' in config.listen && config.metricsListen !== null);
  const ports = [config.listen.port, config.metricsListen.port];
  assert.equal(only(final, 'EXPOSE'), ports.join(' '));
  assert.equal(only(final, 'VOLUME'), config.dataDir);
  const [, command = ''] = /^--interval=.* CMD (.*)$/.exec(only(final, 'HEALTHCHECK')) ?? [];
  assert.ok(execForm(command).at(-1)?.includes(`'http://127.0.0.1:${ports[0]}/livez'`));
  assert.deepEqual(ENV, { QUORATE_CONFIG: '/etc/quorate/quorate.toml', ...SERVICE_ENV });
  assert.ok(copiesOf(final).some(({ to }) => to === '/etc/quorate/quorate.toml'));
  assert.equal(
    SETTINGS.find(({ env }) => env === 'QUORATE_CONFIG'),
    undefined,
  );
});

test('what is copied from the checkout exists and is let through by .dockerignore, and nothing else is', () => {
  const copied = stages.flatMap(copiesOf).flatMap((c) => (c.stage === undefined ? c.from : []));
  const [deny, ...allowed] = read('.dockerignore')
    .split('\n')
    .filter((line) => /^[^#]/.test(line));
  assert.equal(deny, '*');
  assert.deepEqual(
    [...new Set(copied.map((path) => `!${path.replace('./', '')}`))].sort(),
    [...allowed].sort(),
  );
  for (const path of copied) assert.ok(existsSync(join(ROOT, path)), path);
});

const directory = mkdtempSync(join(tmpdir(), 'quorate-image-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
let root: string | undefined;

before(() => {
  // Root may build it. Where others may not, their tests say so.
  if (process.getuid?.() !== 0 || !canBuild(directory)) return;
  root = buildImage({ directory, ...(!IS_LONG && { npm: installedNpm() }) });
});

function built(t: TestContext): string | undefined {
  if (root !== undefined) return root;
  assert.notEqual(process.env.QUORATE_CI, '1', 'expected to be root, with overlay file systems');
  t.skip('SKIPPED, NOT PASSED: building an image takes root and overlay file systems');
  return undefined;
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) =>
    entry.isDirectory() ? [] : [join(entry.parentPath, entry.name)],
  );
}

test('the image holds node, its libraries, the program and its packages, and nothing to run but node', (t) => {
  const image = built(t);
  if (image === undefined) return;
  const files = filesIn(image).map((file) => ({ name: relative(image, file), ...stat(file) }));
  const outside = files.filter(({ name }) => !name.startsWith('app/'));
  const kinds = outside.map(({ name }) => name.replace(/^lib\d*\/.*\.so[.\d]*$/, 'library'));
  assert.deepEqual([...new Set(kinds)].sort(), [
    'etc/group',
    'etc/passwd',
    'etc/quorate/quorate.toml',
    'library',
    'usr/local/bin/node',
  ]);
  const app = new Set(files.map(({ name }) => /^app\/([^/]+)/.exec(name)?.[1]));
  for (const expected of ['LICENSE', 'bin', 'dist', 'node_modules', 'package.json'])
    assert.ok(app.has(expected), expected);
  assert.ok(!files.some(({ name }) => /^app\/(src|testing|data)\//.test(name)));
  const native = files.filter(({ name }) => name.endsWith('.node'));
  assert.deepEqual(
    native.map(({ name }) => name.replace(/.*\//, '')),
    [`linux-${process.arch}.node`],
  );
  assert.ok(
    files.some(({ name }) => name.startsWith('app/node_modules/@opentelemetry/sdk-trace/')),
  );
  assert.ok(!files.some(({ name }) => /^app\/node_modules\/(typescript|@biomejs)\//.test(name)));
  assert.deepEqual(
    files.filter(({ mode, uid }) => (mode & 0o6022) !== 0 || uid !== 0),
    [],
  );
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  assert.ok(bytes < 220 * 1024 * 1024, `${bytes} bytes`);
});

function stat(file: string) {
  const found = lstatSync(file);
  return { mode: found.isSymbolicLink() ? 0 : found.mode, uid: found.uid, size: found.size };
}

function container(image: string, env: Readonly<Record<string, string>> = {}) {
  return {
    root: image,
    volume: only(final, 'VOLUME'),
    user: only(final, 'USER'),
    env: { ...ENV, ...env },
  };
}

test('it serves as its user from a tree that cannot be written, is found healthy, and stops in order', {
  timeout: 60_000,
}, async (t) => {
  const image = built(t);
  if (image === undefined) return;
  // As Kubernetes mounts a secret for a group: root's, and the group may read it.
  const key = join(image, 'log.pem');
  copyFileSync(LOG_KEY, key);
  chownSync(key, 0, 10_001);
  chmodSync(key, 0o440);
  t.after(() => rmSync(key));
  const ports = {
    QUORATE_LISTEN: '127.0.0.1:0',
    QUORATE_METRICS_LISTEN: '127.0.0.1:0',
    QUORATE_LOG_KEY: '/log.pem',
  };
  const command = [...execForm(only(final, 'ENTRYPOINT')), ...execForm(only(final, 'CMD'))];
  const engine = runInImage(container(image, ports), command);
  const ended = once(engine, 'exit');
  const log = text(engine.stderr);
  const [url] = await Promise.race([once(createInterface(engine.stdout), 'line'), ended]);
  assert.match(String(url), /^http:/);

  const [pid = 0] = childrenOf(engine.pid);
  // Without the one that made the namespace it would go on.
  t.after(() => engine.exitCode ?? process.kill(pid, 'SIGKILL'));
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  assert.match(status, /^Uid:\s+10001\s+10001\s+10001\s+10001$/m);
  assert.match(status, /^NSpid:\s+\d+\s+1$/m);
  assert.throws(() => execFileSync('touch', [`/proc/${pid}/root/app/x`], { stdio: 'pipe' }));

  const [, check = ''] = / CMD (.*)$/.exec(only(final, 'HEALTHCHECK')) ?? [];
  const health = (liveness: string) => {
    const env = { LIVENESS_URL: liveness };
    const [node = '', ...args] = execForm(check);
    return spawnSync('/usr/sbin/chroot', ['--userspec=10001:10001', image, node, ...args], { env });
  };
  assert.equal(health(`${url}/livez`).status, 0);
  assert.equal(health(`${url}/not-there`).status, 1);

  process.kill(pid, 'SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.match(await log, /"msg":"stopped"/);
  assert.doesNotMatch(await log, /there is no log key/);
  assert.equal(health(`${url}/livez`).status, 1);
});

function childrenOf(pid: number | undefined): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number);
}

test('its other commands run too', { timeout: 60_000 }, async (t) => {
  const image = built(t);
  if (image === undefined) return;
  const said = runInImage(container(image), [
    ...execForm(only(final, 'ENTRYPOINT')),
    'config',
    'print',
    '--json',
  ]);
  const [output, [code]] = await Promise.all([text(said.stdout), once(said, 'exit')]);
  assert.equal(code, 0);
  assert.ok(output.includes('0.0.0.0:7070'));
});

test('a process that must die at once does so as the first process of a container too', {
  timeout: 60_000,
}, async (t) => {
  const image = built(t);
  if (image === undefined) return;
  const end = (how: string) => {
    const alive = 'setTimeout(() => process.exit(7), 2_000)';
    const code = `import(process.argv[1]).then(({ killProcess }) => { ${alive}; ${how} })`;
    const command = ['/usr/local/bin/node', '-e', code, '/app/dist/server/fatal.js'];
    return once(runInImage(container(image), command), 'exit');
  };
  // What it guards against: there its own SIGKILL is nothing.
  assert.deepEqual(await end("process.kill(process.pid, 'SIGKILL')"), [7, null]);
  const [code, signal] = await end('killProcess()');
  assert.ok(code !== 7 && (code !== 0 || signal !== null), `${code} ${signal}`);
});
