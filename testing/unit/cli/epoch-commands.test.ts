import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { canonicalText, type Json } from '../../../src/core/canonical.ts';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { type CliRun, runCli } from '../../support/cli-io.ts';
import { makeDirectory, openCliStage, writeKey } from '../../support/cli-stage.ts';
import { openTestRegistry, put, type TestRegistry } from '../../support/registry.ts';
import {
  governancePayload,
  makeGovernance,
  makeLogSigner,
  makeSigner,
  ORIGIN,
  START,
} from '../../support/signers.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const NEXT = 'registry.example.com/next';
const OLD_SIGNERS = ['signer-000', 'signer-001', 'signer-002'];

let directory: string;
let data: string;
let old: TestRegistry;

const file = (name: string) => join(directory, name);
const cli = (...argv: readonly string[]): Promise<CliRun> =>
  runCli(['--state', file('state'), ...argv], { now: () => START + 60_000 });

/** 0 genesis; 1 and 2 put; 3 a governance with another threshold. */
before(async () => {
  directory = makeDirectory();
  data = file('registry.db');
  old = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path: data }) });
  await old.change(put('a', { n: 1 }));
  await old.change(put('b', { n: 1 }));
  const { governance: current, signers, registryHash } = old;
  const next = makeGovernance(signers, { threshold: 2, version: 2 });
  await old.commit(governancePayload(registryHash, { next, current }));
  await old.registry[Symbol.asyncDispose]();
  for (const name of [...OLD_SIGNERS, 'dave', 'erin']) writeKey(directory, name);
  const bundle = await cli('bundle', 'export', '--data', data, '-o', file('old.qbundle'));
  assert.equal(bundle.code, 0, bundle.stderr);
});

const vkey = (name: string, origin = NEXT) =>
  encodeVerifierKey({ name: origin, publicKey: makeLogSigner(name).publicKey });

async function begin(name: string, ...options: readonly string[]): Promise<CliRun> {
  const from = ['--data', data, '--origin', NEXT, '--log-key', vkey('next-log')];
  return cli('epoch', ...from, '-o', file(name), ...options);
}

/** Each one's approval of a genesis, as files. */
async function approve(genesis: string, names: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const name of names) {
    const path = file(`${genesis}-${name}.approval.json`);
    const key = ['--key', file(`${name}.pem`), '--yes'];
    const { code, stderr } = await cli('approve', file(genesis), ...key, '-o', path);
    assert.equal(code, 0, stderr);
    paths.push(path);
  }
  return paths;
}

const verify = (genesis: string, approvals: readonly string[], ...options: readonly string[]) =>
  cli('epoch', 'verify', file(genesis), ...approvals, '--from', old.registryHash, ...options);

const BUNDLE = () => ['--bundle', file('old.qbundle')];

test('a log goes on under a new origin: genesis, approvals, commit, set', async () => {
  const begun = await begin('genesis.json', '--set', file('set.ndjson'), '--json');
  assert.equal(begun.code, 0, begun.stderr);
  const [{ registry } = {}] = begun.json();
  assert.match(begun.stderr, /goes on from registry\.example\.com\/test b3:/);
  assert.match(begun.stderr, /every new signer and 2 of the 3 old ones: quorate approve/);
  assert.match(begun.stderr, new RegExp(`publish the new pin .*--registry ${registry}`));
  assert.deepEqual(
    readFileSync(file('set.ndjson'), 'utf8'),
    ['a', 'b'].map((id) => `{"id":"${id}","kind":"service","spec":{"n":1}}\n`).join(''),
  );
  const approvals = await approve('genesis.json', OLD_SIGNERS);
  const checked = await verify('genesis.json', approvals, ...BUNDLE());
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stdout, /goes on from .*\n {2}which ends at 4 entries/);
  const committed = await cli(
    'init',
    'commit',
    file('genesis.json'),
    ...approvals,
    '--data',
    file('next'),
  );
  assert.equal(committed.code, 0, committed.stderr);
  assert.equal(committed.stdout.trim(), registry);
  const audited = await cli('verify', '--data', file('next'), '--registry', String(registry));
  assert.equal(audited.code, 0, audited.stderr);
});

test('a review shows plainly which log is ended, and who carries the new one', async () => {
  await begin('review.json');
  const { stderr } = await runCli(
    ['approve', file('review.json'), '--key', file('signer-000.pem'), '-o', file('no.json')],
    { now: () => START, answers: ['n'] },
  );
  assert.match(stderr, /^goes on from registry\.example\.com\/test b3:[0-9a-f]{64}$/m);
  assert.match(stderr, /^ {2}which ends at 4 entries, root /m);
  assert.match(stderr, /^ {2}governance version 2: 2 of 3 signers$/m);
  assert.match(stderr, /^governance version 1: 2 of 3 signers$/m);
  assert.match(stderr, /0 of 3 \(every signer\), 0 of 2 of the log before/);
  assert.match(stderr, /warning: ends registry\.example\.com\/test/);
});

test('other signers may go on, when enough of the old ones agree', async () => {
  const signers = ['dave', 'erin'].map((name) => file(`${name}.pub.json`));
  await begin('others.json', '--signer', ...signers, '--threshold', '1');
  const entering = await approve('others.json', ['dave', 'erin']);
  const few = await verify(
    'others.json',
    [...entering, ...(await approve('others.json', ['signer-000']))],
    ...BUNDLE(),
  );
  assert.equal(few.code, 3);
  assert.match(few.stderr, /1 of 2 previous/);
  const enough = await approve('others.json', ['signer-000', 'signer-002']);
  assert.equal((await verify('others.json', [...entering, ...enough], ...BUNDLE())).code, 0);
  assert.equal((await verify('others.json', enough, ...BUNDLE())).code, 3);
  const commit = (...approvals: readonly string[]) =>
    cli('init', 'commit', file('others.json'), ...approvals, '--data', file('others'));
  assert.equal((await commit(...entering, enough[0] ?? '')).code, 1);
  assert.equal((await commit(...entering, ...enough)).code, 0);
});

/** The genesis with another `previous`, approved by its signers and all old ones. */
async function lie(
  name: string,
  change: (previous: Record<string, Json>) => object,
  names = OLD_SIGNERS,
) {
  await begin('honest.json');
  const genesis = JSON.parse(readFileSync(file('honest.json'), 'utf8'));
  const previous = { ...genesis.previous, ...change(genesis.previous) };
  writeFileSync(file(name), canonicalText({ ...genesis, previous }));
  return verify(name, await approve(name, names), ...BUNDLE());
}

test('a genesis whose story of the old log is not that of its bundle is refused', async () => {
  const honest = await lie('0.json', () => ({}));
  assert.equal(honest.code, 0, honest.stderr);
  const registry = await lie('1.json', () => ({ registry: `b3:${'0'.repeat(64)}` }));
  assert.deepEqual([registry.code, /goes on from/.test(registry.stderr)], [3, true]);
  const governance = makeGovernance(old.signers.slice(0, 1), { threshold: 1, version: 2 });
  const mine = await lie('2.json', () => ({ governance }));
  assert.equal(mine.code, 3);
  assert.match(mine.stderr, /old governance to be version 2/);
  const before = await lie('3.json', () => ({ governance: old.governance }));
  assert.equal(before.code, 3);
  const forged = await lie('4.json', ({ checkpoint }) => ({
    checkpoint: String(checkpoint).replace('\n4\n', '\n5\n'),
  }));
  assert.equal(forged.code, 3);
  assert.match(forged.stderr, /over this checkpoint, got one that does not verify/);
  const shorter = await lie('5.json', ({ checkpoint }) => ({
    checkpoint: String(checkpoint).replace('\n4\n', '\n3\n'),
  }));
  assert.equal(shorter.code, 3);
  assert.match(shorter.stderr, /entries are left out/);
  const forked = await lie('6.json', ({ checkpoint }) => ({
    checkpoint: String(checkpoint).replace(
      /\n4\n./,
      (text) => `\n4\n${text.endsWith('A') ? 'B' : 'A'}`,
    ),
  }));
  assert.equal(forked.code, 3);
  assert.match(forked.stderr, /to end with root/);
  const stranger = await lie('7.json', ({ checkpoint }) => ({
    checkpoint: String(checkpoint).replace(/(\u2014 \S+ )....../, '$1AAAAAA'),
  }));
  assert.equal(stranger.code, 3);
  assert.match(stranger.stderr, /signed by a log key of the old governance/);
});

test('what begins anew, or goes on from elsewhere, is not carried by the old quorum', async () => {
  await begin('anew.json');
  const { previous: _, ...genesis } = JSON.parse(readFileSync(file('anew.json'), 'utf8'));
  writeFileSync(file('anew.json'), canonicalText(genesis));
  const anew = await verify('anew.json', await approve('anew.json', OLD_SIGNERS), ...BUNDLE());
  assert.equal(anew.code, 3);
  assert.match(anew.stderr, /one that begins anew/);
  await begin('away.json');
  const argv = [
    'epoch',
    'verify',
    file('away.json'),
    '--from',
    `b3:${'1'.repeat(64)}`,
    ...BUNDLE(),
  ];
  assert.equal((await cli(...argv)).code, 3);
});

test('without a bundle only trusted state says who the old signers were', async () => {
  await begin('trusting.json');
  const approvals = await approve('trusting.json', OLD_SIGNERS);
  const unknown = await verify('trusting.json', approvals);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /expected --bundle .*, or trusted state/);
});

test('the entry of a new log is verified as its payload with approvals is', async () => {
  await begin('entry.json');
  const approvals = await approve('entry.json', OLD_SIGNERS);
  const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
  const entry = { approvals: approvals.map(read), leaf: {}, payload: read(file('entry.json')) };
  writeFileSync(file('entry0.json'), JSON.stringify(entry));
  assert.equal((await verify('entry0.json', [], ...BUNDLE())).code, 0);
  writeFileSync(
    file('entry0.json'),
    JSON.stringify({ ...entry, approvals: entry.approvals.slice(1) }),
  );
  assert.equal((await verify('entry0.json', [], ...BUNDLE())).code, 3);
});

test('an epoch needs a new name, new log keys and one source', async () => {
  const epoch = (...options: readonly string[]) => cli('epoch', '--data', data, ...options);
  const same = await epoch('--origin', ORIGIN, '--log-key', vkey('next-log', ORIGIN));
  assert.equal(same.code, 2);
  assert.match(same.stderr, /that of the old log/);
  const key = await epoch('--origin', NEXT, '--log-key', vkey('log'));
  assert.equal(key.code, 2);
  assert.match(key.stderr, /expected --log-key with a new key/);
  assert.equal((await epoch('--origin', NEXT)).code, 2);
  assert.equal((await epoch('--origin', 'No Origin', '--log-key', vkey('x'))).code, 2);
  assert.equal((await epoch('--origin', NEXT, '--log-key', vkey('x'), '--from-state')).code, 2);
  const nothing = await cli('epoch', '--origin', NEXT, '--log-key', vkey('x'), '--from-state');
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /expected trusted state in .*, got none/);
});

test('an empty service begins with a handover as with any genesis, when the old quorum is there', async () => {
  const stage = await openCliStage({ isBegun: false });
  await begin('served.json');
  const genesis = JSON.parse(readFileSync(file('served.json'), 'utf8'));
  // The key that the service of these tests has.
  const governance = { ...genesis.governance, log_keys: [vkey('log')] };
  const signers = [makeSigner('dave').signer];
  writeFileSync(
    file('served.json'),
    canonicalText({ ...genesis, governance: { ...governance, signers, threshold: 1 } }),
  );
  const [dave = '', ...old] = await approve('served.json', ['dave', 'signer-000', 'signer-001']);
  const few = await stage.cli('init', 'commit', file('served.json'), dave, old[0] ?? '');
  assert.equal(few.code, 1);
  assert.match(few.stderr, /1 of 1 all, 1 of 2 previous/);
  const { code, stderr } = await stage.cli('init', 'commit', file('served.json'), dave, ...old);
  assert.equal(code, 0, stderr);
  assert.equal((await stage.cli('verify')).code, 0);
  const entry = await stage.cli('get', '0', '--json');
  writeFileSync(file('served0.json'), entry.stdout);
  assert.equal((await verify('served0.json', [], ...BUNDLE())).code, 0);
});

test('an approval whose signature does not hold carries nothing', async () => {
  await begin('forged.json');
  await begin('elsewhere.json', '--note', 'another payload');
  const approvals = await approve('forged.json', OLD_SIGNERS);
  assert.equal((await verify('forged.json', approvals, ...BUNDLE())).code, 0);
  const [other = ''] = await approve('elsewhere.json', ['signer-002']);
  const { code, stderr } = await verify('forged.json', approvals.with(2, other), ...BUNDLE());
  assert.equal(code, 3);
  assert.match(stderr, /expected a signature by org:acme#signer-002 over this payload/);
});
