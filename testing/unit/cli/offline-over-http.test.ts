import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { governancePayload, makeGovernance, makeLogSigner } from '../../support/signers.ts';

const NEXT = 'registry.example.com/next';
const NAMES = ['signer-000', 'signer-001', 'signer-002'];

let stage: CliStage;

/** 0 genesis; 1 to 5 put; 6 and 7 set a governance; 8 to 12 put. */
before(async () => {
  stage = await openCliStage();
  await stage.grow(5);
  let current = stage.governance;
  for (const threshold of [3, 2]) {
    const next = makeGovernance(stage.signers, { threshold, version: current.version + 1 });
    await stage.commit(governancePayload(stage.registryHash, { next, current }), stage.signers);
    current = next;
  }
  await stage.grow(5);
});

const pinned = (...argv: readonly string[]) => stage.cli('--registry', stage.registryHash, ...argv);

const vkey = encodeVerifierKey({ name: NEXT, publicKey: makeLogSigner('next-log').publicKey });

for (const version of [0, 3, 6, 7, 8, 12])
  test(`a bundle of version ${version} over HTTP has the governance that leads to it, and no more`, async () => {
    const path = stage.file(`${version}.qbundle`);
    const made = await pinned('bundle', 'export', '--version', String(version), '-o', path);
    assert.equal(made.code, 0, made.stderr);
    const { entries } = JSON.parse(readFileSync(path, 'utf8'));
    assert.deepEqual(
      entries.map((entry: { leaf: { version: number } }) => entry.leaf.version),
      [...new Set([0, 6, 7, version])].sort((a, b) => a - b),
    );
    stage.requests.length = 0;
    const verified = await stage.cli('bundle', 'verify', path, '--pin', stage.registryHash);
    assert.equal(verified.code, 0, verified.stderr);
    assert.deepEqual(stage.requests, []);
  });

test('a bundle over HTTP is verified before it is written: a lie makes none', async () => {
  stage.lie(async (path, honest) => {
    const answer = await honest();
    if (!path.startsWith('/registry/proof/inclusion/8/')) return answer;
    return honest(path.replace('/8/', '/9/'));
  });
  const path = stage.file('lie.qbundle');
  const { code, stderr } = await pinned('bundle', 'export', '--version', '8', '-o', path);
  stage.lie(undefined);
  assert.equal(code, 3);
  assert.match(stderr, /version 8 is in the checkpoint of 13 leaves/);
  assert.throws(() => readFileSync(path), /ENOENT/);
});

test('a proof over HTTP is verified by the log key alone', async () => {
  const path = stage.file('9.tlog-proof');
  assert.equal((await pinned('proof', '9', '-o', path)).code, 0);
  const [logKey = ''] = stage.governance.log_keys;
  const { code, stdout } = await stage.cli('proof', 'verify', path, '--log-key', logKey);
  assert.equal(code, 0);
  assert.match(stdout, /leaf 9 of .*, in the checkpoint of 13 entries/);
});

async function approvalsOf(genesis: string): Promise<string[]> {
  const paths: string[] = [];
  for (const name of NAMES) {
    const path = stage.file(`${name}.approval.json`);
    const key = ['--key', stage.file(`${name}.pem`), '--yes'];
    const { code, stderr } = await stage.cli('approve', genesis, ...key, '-o', path);
    assert.equal(code, 0, stderr);
    paths.push(path);
  }
  return paths;
}

test('an epoch begins from the service, or from trusted state alone when nobody is believed', async () => {
  const begin = ['--origin', NEXT, '--log-key', vkey, '-o'];
  const [over, alone] = [stage.file('over.json'), stage.file('alone.json')];
  const set = stage.file('set.ndjson');
  const online = await pinned('epoch', ...begin, over, '--set', set);
  assert.equal(online.code, 0, online.stderr);
  assert.equal(readFileSync(set, 'utf8').trim().split('\n').length, 10);
  stage.requests.length = 0;
  const offline = await pinned('epoch', ...begin, alone, '--from-state');
  assert.equal(offline.code, 0, offline.stderr);
  assert.deepEqual(stage.requests, []);
  assert.equal(readFileSync(alone, 'utf8'), readFileSync(over, 'utf8'));
  const withSet = await pinned('epoch', ...begin, alone, '--from-state', '--set', set);
  assert.equal(withSet.code, 2);
  const approvals = await approvalsOf(over);
  const check = ['epoch', 'verify', over, ...approvals, '--from', stage.registryHash];
  stage.requests.length = 0;
  const known = await stage.cli(...check);
  assert.equal(known.code, 0, known.stderr);
  assert.deepEqual(stage.requests, []);
  assert.equal((await stage.cli(...check.toSpliced(3, 2))).code, 3);
});

test('a handover that ends before what was trusted is refused', async () => {
  const path = stage.file('early.json');
  await pinned('epoch', '--origin', NEXT, '--log-key', vkey, '-o', path);
  const approvals = await approvalsOf(path);
  await stage.grow(1);
  assert.equal((await pinned('head')).code, 0);
  const { code, stderr } = await stage.cli(
    'epoch',
    'verify',
    path,
    ...approvals,
    '--from',
    stage.registryHash,
  );
  assert.equal(code, 3);
  assert.match(stderr, /to end at 14 entries or later, got 13: entries are left out/);
});
