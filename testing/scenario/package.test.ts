/**
 * The package as its users get it: built, packed, unpacked into an empty folder with its runtime
 * dependencies and nothing else. Links to the installed packages stand in for a network.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, test } from 'node:test';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');
const work = mkdtempSync(join(tmpdir(), 'quorate-package-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

const { name, version, dependencies } = JSON.parse(
  readFileSync(join(ROOT, 'package.json'), 'utf8'),
) as { name: string; version: string; dependencies: Record<string, string> };

const user = join(work, 'user');
const installed = join(user, 'node_modules', name);
let packed: readonly string[] = [];

const exec = promisify(execFile);

/** Resolves with standard output; a failure shows everything that was printed. */
async function run(command: string, args: readonly string[], cwd = ROOT): Promise<string> {
  try {
    return (await exec(command, args, { cwd })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return assert.fail(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  }
}

before(async () => {
  const staging = join(work, 'staging');
  mkdirSync(staging);
  for (const file of ['package.json', 'LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md'])
    if (existsSync(join(ROOT, file))) copyFileSync(join(ROOT, file), join(staging, file));
  for (const folder of ['bin', 'src', 'testing/support'])
    cpSync(join(ROOT, folder), join(staging, folder), { recursive: true });
  await run(join(ROOT, 'scripts/build'), [join(staging, 'dist')]);
  const listing = await run('npm', ['pack', '--json', '--ignore-scripts'], staging);
  const [tarball] = JSON.parse(listing) as [{ filename: string; files: { path: string }[] }];
  packed = tarball.files.map(({ path }) => path);
  mkdirSync(installed, { recursive: true });
  const archive = join(staging, tarball.filename);
  await run('tar', ['-xzf', archive, '-C', installed, '--strip-components=1']);
  for (const dependency of Object.keys(dependencies)) {
    const link = join(user, 'node_modules', dependency);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', dependency), link);
  }
});

const node = (...args: string[]) => run(process.execPath, args, user);

test('the package holds what was built and nothing of the workshop', () => {
  const kinds = new Set(
    packed.map((path) => path.replace(/^dist\/.*(\.d\.ts|\.c?js)$/, 'dist/*$1')),
  );
  assert.ok(kinds.delete('package.json') && kinds.delete('bin/quorate.mjs'));
  assert.ok(kinds.delete('dist/*.js') && kinds.delete('dist/*.d.ts') && kinds.delete('dist/*.cjs'));
  assert.ok(kinds.delete('dist/program/LICENSES.txt'));
  for (const page of ['LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md']) kinds.delete(page);
  assert.deepEqual([...kinds], []);
});

test('quorate --version runs from the package', async () => {
  assert.match(await node(join(installed, 'bin/quorate.mjs'), '--version'), new RegExp(version));
});

const COUNTING = `import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
process.on('exit', () => console.log(JSON.stringify(loaded)));
`;

test('the program that a package runs is a few files, workers and licences beside them', async () => {
  writeFileSync(join(user, 'counting.mjs'), COUNTING);
  const bin = join(installed, 'bin/quorate.mjs');
  const check = [bin, 'config', 'check', '--data', 'data', '--json'];
  const loaded = (await node('--import', './counting.mjs', ...check)).trim().split('\n').at(-1);
  const files = (JSON.parse(loaded ?? '') as string[]).filter((url) => !url.startsWith('node:'));
  assert.ok(files.length < 40, `${files.length}: ${files}`);
  const ours = files.filter((url) => url.includes('/quorate/'));
  assert.ok(ours.length < 10, `${ours.length}: ${ours}`);
  assert.ok(files.some((url) => url.endsWith('/dist/program/main.cjs')));
  const workers = packed.filter((path) => /^dist\/program\/[a-z-]+-worker\.cjs$/.test(path));
  const sources = globSync('src/**/*-worker.ts', { cwd: ROOT });
  assert.equal(workers.length, sources.length);
  const licences = readFileSync(join(installed, 'dist/program/LICENSES.txt'), 'utf8');
  for (const name of ['hono', 'zod', '@noble/hashes', 'pino', 'commander'])
    assert.match(licences, new RegExp(`^${name} \\d`, 'm'));
});

test('a thread of the program has one file, and V8 takes one byte for each letter of any', () => {
  const programs = packed.filter((path) => /^dist\/program\/.*\.cjs$/.test(path));
  assert.ok(programs.length > 10);
  for (const path of programs) {
    const code = readFileSync(join(installed, path), 'utf8');
    assert.doesNotMatch(code, /[\u0080-\uffff]/, path);
    if (path.endsWith('-worker.cjs')) assert.doesNotMatch(code, /require\("\.\//, path);
  }
});

test('the bundled program serves a database: its threads are found', async () => {
  const bin = join(installed, 'bin/quorate.mjs');
  const ports = ['--listen', '127.0.0.1:0', '--metrics-listen', 'off', '--log-level', 'error'];
  const child = spawn(process.execPath, [bin, 'serve', '--data', 'served', ...ports], {
    cwd: user,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const body = Buffer.alloc(100_000, '"');
  const headers = { 'content-type': 'application/json' };
  const refused = await fetch(`${url}/registry/proposals`, { method: 'POST', headers, body });
  assert.deepEqual([refused.status, (await refused.json()).code], [400, 'malformed']);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('the bundled program finds the token library, which lies beside it', async (t) => {
  const bin = join(installed, 'bin/quorate.mjs');
  const key = (await node(bin, 'token', 'keygen', '--plain', '--output', 'mint.pem')).trim();
  const settings = ['--data', 'tokens', '--token-key', key, '--log-level', 'error'];
  const ports = ['--listen', '127.0.0.1:0', '--metrics-listen', 'off'];
  const child = spawn(process.execPath, [bin, 'serve', ...settings, ...ports], {
    cwd: user,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const refused = await fetch(`${url}/registry/proposals`, { method: 'POST' });
  assert.deepEqual([refused.status, (await refused.json()).code], [401, 'unauthenticated']);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

const TELLING = `process.on('SIGUSR2', () =>
  console.error(process.moduleLoadList.some((name) => name.endsWith('undici/undici'))),
);`;

test('the bundled program starts without fetch, which the first request that needs it loads', async (t) => {
  writeFileSync(join(user, 'telling.cjs'), TELLING);
  const bin = join(installed, 'bin/quorate.mjs');
  const settings = ['--profile', 'micronode', '--log-level', 'silent'];
  const ports = ['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'];
  const child = spawn(
    process.execPath,
    ['--require', './telling.cjs', bin, 'serve', ...settings, ...ports],
    { cwd: user, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const told = createInterface({ input: child.stderr });
  const isLoaded = async () => {
    child.kill('SIGUSR2');
    return (await once(told, 'line'))[0];
  };
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  assert.equal(await isLoaded(), 'false');
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  assert.equal(await isLoaded(), 'true');
});

test('what is optional is not in the program, which says what to install where it is needed', async () => {
  const bin = join(installed, 'bin/quorate.mjs');
  const listing = exec(process.execPath, [bin, 'snapshot', 'list', 's3://backup'], { cwd: user });
  await assert.rejects(listing, { code: 1, stderr: /npm install "@aws-sdk\/client-s3@/ });
});

test('a program can run a registry on a database and read it with the package alone', async () => {
  writeFileSync(
    join(user, 'program.mjs'),
    `import { loadConfig, nativeVerifier, startServer } from '${name}';
     import { createClient } from '${name}/client';
     import { canonicalText } from '${name}/core';
     const flags = { data: 'data', listen: '127.0.0.1:0', metrics_listen: 'off', log_level: 'error' };
     await using server = await startServer(loadConfig({ flags }));
     const client = createClient({ url: server.url, verifier: nativeVerifier() });
     const refusal = await client.head().catch(({ code }) => code);
     console.log(canonicalText({ refusal, build: await client.unverifiedJson('/version') }));`,
  );
  const { refusal, build } = JSON.parse(await node('program.mjs')) as {
    refusal: string;
    build: { version: string };
  };
  assert.deepEqual([refusal, build.version], ['not_initialised', version]);
});

const TYPED = `import { type Config, loadConfig, type RunningServer, startServer } from '${name}';
import { type Client, createClient, type VerifiedHead } from '${name}/client';
import { type Hash, hashOf } from '${name}/core';
const config: Config = loadConfig({ flags: { profile: 'micronode' } });
export const server: Promise<RunningServer> = startServer(config);
export const client: Client = createClient({ url: 'http://127.0.0.1:7070' });
export const head: Promise<VerifiedHead> = client.head();
export const hash: Hash = hashOf(new Uint8Array());
`;

async function compile(program: string): Promise<string> {
  writeFileSync(join(user, 'typed.mts'), program);
  const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')];
  const options = [
    '--strict',
    '--noEmit',
    '--skipLibCheck',
    '--target',
    'es2024',
    '--module',
    'nodenext',
  ];
  return run(join(ROOT, 'node_modules/.bin/tsc'), [...options, ...types, 'typed.mts'], user);
}

test('the declarations of all three entry points hold for a strict program', async () => {
  assert.equal(await compile(TYPED), '');
  const wrong = `${TYPED}config.profile = 'other';`;
  await assert.rejects(compile(wrong), /typed\.mts\(9,8\): error TS2540: .*'profile'/);
});
