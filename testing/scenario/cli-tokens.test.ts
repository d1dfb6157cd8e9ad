/** docs/tokens.md as its readers run it: an operator, a pipeline and a thief, each with a process of its own. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Ended, quorate, type Started, start } from '../support/cli-process.ts';
import { makeDirectory } from '../support/cli-stage.ts';

const ORIGIN = 'registry.example.com/prod';
const cwd = makeDirectory();
const env: Record<string, string> = { QUORATE_STATE: join(cwd, 'state') };
let service: Started;
let registry: string;

function run(token: string | undefined, ...argv: readonly string[]): Promise<Ended> {
  const given = token === undefined ? {} : { QUORATE_TOKEN_FILE: token };
  return quorate({ cwd, env: { ...env, ...given } }, ...argv);
}

async function done(token: string | undefined, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(token, ...argv);
  assert.equal(code, 0, `quorate ${argv.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** Standard output into a file, as a shell does it. */
async function into(file: string, ...argv: readonly string[]): Promise<void> {
  writeFileSync(join(cwd, file), `${await done(undefined, ...argv)}\n`);
}

function declare(name: string, ...items: readonly object[]): string {
  writeFileSync(join(cwd, name), items.map((item) => `${JSON.stringify(item)}\n`).join(''));
  return name;
}

before(async () => {
  const [tokenKey] = await Promise.all([
    done(undefined, 'token', 'keygen', '-o', 'token.pem'),
    done(undefined, 'keygen', '-o', 'alice.pem', '--id', 'org:acme#alice'),
    done(undefined, 'keygen', '--log', '--origin', ORIGIN, '-o', 'log.pem'),
  ]);
  writeFileSync(join(cwd, 'revoked'), '');
  const serve = ['serve', '--data', 'data', '--log-key', 'log.pem', '--log-level', 'warn'];
  const tokens = ['--token-key', tokenKey, '--token-revocations', 'revoked'];
  const listen = ['--listen', '127.0.0.1:0', '--metrics-listen', 'off'];
  service = start({ cwd, env }, ...serve, ...tokens, ...listen);
  env.QUORATE_URL = (await service.said(/\n/)).trim();
  const signers = ['--threshold', '1', '--signer', 'alice.pub.json', '--log-key', 'log.vkey'];
  const { code, stderr } = await run(undefined, 'init', '--origin', ORIGIN, ...signers);
  assert.equal(code, 0, stderr);
  registry = /b3:[0-9a-f]{64}/.exec(stderr)?.[0] ?? assert.fail(stderr);
  await done(undefined, 'approve', 'genesis.json', '--key', 'alice.pem', '-y', '-o', 'a.json');
});

after(() => {
  service.child.kill('SIGKILL');
});

const mint = (...options: readonly string[]) =>
  ['token', 'mint', '--key', 'token.pem', '--registry', registry, ...options] as const;

test('a token for the hash of a genesis begins a registry, and no write goes without one', async () => {
  const commit = ['init', 'commit', 'genesis.json', 'a.json'];
  const refused = await run(undefined, ...commit);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /expected Authorization: Bearer and a token, got no such header/);
  assert.match(refused.stderr, /QUORATE_TOKEN or with --token-file/);
  await into(
    'begin.token',
    ...mint('--scope', 'propose', 'approve', 'commit', '--proposal', registry),
  );
  assert.equal(await done('begin.token', ...commit), registry);
  env.QUORATE_REGISTRY = registry;
});

test('a pipeline narrows its token, and the narrow one does the one thing', async () => {
  await into('ci.token', ...mint('--scope', 'propose', 'commit', '--ttl', '12h'));
  const narrow = ['--scope', 'propose', '--kind', 'route', '--ttl', '5m'];
  await into('route.token', 'token', 'attenuate', '--token-file', 'ci.token', ...narrow);
  const services = declare('services', { kind: 'service', id: 'checkout', spec: {} });
  const routes = declare('routes', { kind: 'route', id: 'checkout', spec: {} });
  const refused = await run('route.token', 'propose', '-f', services);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /expected a token that allows this propose, got one that does not/);
  assert.match(refused.stderr, /quorate token inspect/);
  const id = await done('route.token', 'propose', '-f', routes);
  assert.equal((await run('route.token', 'commit', id)).code, 1);
  assert.equal((await run('ci.token', 'approve', id, '--key', 'alice.pem', '-y')).code, 1);
  await into('alice.token', ...mint('--scope', 'approve'));
  await done('alice.token', 'approve', id, '--key', 'alice.pem', '-y');
  await done('ci.token', 'commit', id);
  assert.match(await done(undefined, 'ls'), /route\/checkout|route +checkout/);
});

test('a revoked token ends within seconds, without a restart', async () => {
  await into('leaked.token', ...mint('--scope', 'propose'));
  const change = declare('change', { kind: 'service', id: 'new', spec: {} });
  await done('leaked.token', 'propose', '-f', change);
  await done(undefined, 'token', 'revoke', 'revoked', '--token-file', 'leaked.token');
  const deadline = Date.now() + 60_000;
  let last: Ended;
  // Each try is a process: there is no need to wait between two.
  do last = await run('leaked.token', 'propose', '-f', change);
  while (last.code === 0 && Date.now() < deadline);
  assert.equal(last.code, 1);
  assert.match(last.stderr, /expected a token that is not revoked, got one that is/);
  await done('ci.token', 'propose', '-f', change);
});
