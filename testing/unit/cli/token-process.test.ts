/** The token library prints when it is loaded as it comes: what a shell sees of `quorate token`, and of whoever imports it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CHILD_ENV } from '../../support/child.ts';
import { type Ended, quorate } from '../../support/cli-process.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { REGISTRY } from '../../support/tokens.ts';

const ROOT = join(import.meta.dirname, '../../..');

test('standard output of every token command holds what was asked for, and standard error no warning', async () => {
  const cwd = makeDirectory();
  const run = (input: string, ...argv: readonly string[]): Promise<Ended> =>
    quorate({ cwd, input }, 'token', ...argv);
  const done = async (input: string, ...argv: readonly string[]) => {
    const { code, stdout, stderr } = await run(input, ...argv);
    assert.equal(code, 0, stderr);
    assert.ok(!/warning|experimental|biscuit/i.test(stderr + stdout), stderr + stdout);
    return stdout;
  };
  assert.match(await done('', 'keygen', '-o', 'token.pem', '--plain'), /^ed25519\/[0-9a-f]{64}\n$/);
  const mint = ['mint', '--key', 'token.pem', '--registry', REGISTRY, '--scope', 'propose'];
  const token = await done('', ...mint);
  assert.match(token, /^[A-Za-z0-9_=-]+\n$/);
  const narrower = await done(token, 'attenuate', '--kind', 'service');
  assert.match(narrower, /^[A-Za-z0-9_=-]+\n$/);
  const [line, ...more] = (await done(narrower, 'inspect', '--json', '--key', 'token.pub')).split(
    '\n',
  );
  assert.deepEqual([JSON.parse(line ?? '').kinds, more], [['service'], ['']]);
  assert.match(await done(narrower, 'inspect'), /^registry {4}b3:/);
  assert.match(await done(narrower, 'revoke', 'revoked'), /^[0-9a-f]{128}\n$/);
  const failed = await run('no token', 'inspect', '--json');
  assert.deepEqual([failed.code, failed.stdout], [1, '']);
  assert.deepEqual(Object.keys(JSON.parse(failed.stderr)), ['code', 'message', 'details']);
});

async function nodeRun(source: string): Promise<{ stdout: string; stderr: string }> {
  const path = join(makeDirectory(), 'program.mts');
  writeFileSync(path, source);
  const child = spawn(process.execPath, [path], {
    env: CHILD_ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output.stderr);
  return output;
}

/** A program that tells when the library is loaded. */
const program = (body: string) => `
import { registerHooks } from 'node:module';
registerHooks({
  load(url, context, next) {
    if (url.includes('biscuit_bg')) console.log('loaded');
    return next(url, context);
  },
});
const { openAuthority } = await import(${JSON.stringify(join(ROOT, 'src/server/tokens/authority.ts'))});
const log = { debug() {}, info() {}, warn() {}, error() {} };
const open = (keys) => openAuthority({ tokens: { keys, revocations: null } }, { log, now: Date.now });
${body}
console.log('done');
`;

test('an authority without keys loads nothing of the library, and one with keys prints nothing', async () => {
  const key = `ed25519/${Buffer.from(readKey()).toString('hex')}`;
  const without = program(`(await open([])).close();`);
  assert.deepEqual(await nodeRun(without), { stdout: 'done\n', stderr: '' });
  const withKey = program(`(await open([${JSON.stringify(key)}])).close();`);
  assert.deepEqual(await nodeRun(withKey), { stdout: 'loaded\ndone\n', stderr: '' });
});

/** RFC 8032, 7.1, test 1: any public key. */
function readKey(): Uint8Array {
  return Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
}

test('the library that is installed is the one that prints: the stubs have something to do', () => {
  const glue = join(ROOT, 'node_modules/@biscuit-auth/biscuit-wasm/module/biscuit_bg.js');
  assert.match(readFileSync(glue, 'utf8'), /function __wbg_log_[0-9a-f]+\(.*\n\s*console\.log\(/);
});
