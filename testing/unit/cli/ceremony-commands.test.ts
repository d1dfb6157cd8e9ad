import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { hashOf } from '../../../src/core/hash.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../../src/core/vkey.ts';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { LOG_SIGNER, ORIGIN } from '../../support/signers.ts';

const NAMES = ['signer-000', 'signer-001', 'signer-002'];

/** An empty registry, its log key, and a genesis of three signers. */
async function openCeremony(...options: readonly string[]): Promise<CliStage> {
  const stage = await openCliStage({ isBegun: false });
  const { publicKey } = LOG_SIGNER;
  stage.write('log.vkey', `${encodeVerifierKey({ name: ORIGIN, publicKey })}\n`);
  const { code, stderr } = await init(stage, ...options);
  assert.equal(code, 0, stderr);
  return stage;
}

function init(stage: CliStage, ...options: readonly string[]) {
  const signers = NAMES.map((name) => stage.file(`${name}.pub.json`));
  const keys = ['--signer', ...signers, '--log-key', stage.file('log.vkey')];
  const output = ['-o', stage.file('genesis.json')];
  return stage.cli('init', '--origin', ORIGIN, '--threshold', '2', ...keys, ...output, ...options);
}

async function approveGenesis(stage: CliStage, name: string): Promise<string> {
  const path = stage.file(`${name}.approval.json`);
  const key = ['--key', stage.file(`${name}.pem`), '--yes'];
  const { code } = await stage.cli('approve', stage.file('genesis.json'), ...key, '-o', path);
  assert.equal(code, 0);
  return path;
}

test('keygen writes a key for its owner, and what the ceremony needs beside it', async () => {
  const stage = await openCliStage({ isBegun: false });
  const path = stage.file('dave.pem');
  const keygen = ['keygen', '-o', path, '--id', 'org:acme#dave-2026'];
  const { code, json, stderr: told } = await stage.cli(...keygen);
  assert.equal(code, 0);
  // Nobody is at a terminal to be asked.
  assert.match(told, /^warning: .*dave\.pem is not encrypted: .*--passphrase-file .*--plain/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(json(), [JSON.parse(readFileSync(stage.file('dave.pub.json'), 'utf8'))]);
  assert.equal(json()[0]?.signer_id, 'org:acme#dave-2026');
  const again = await stage.cli(...keygen);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /dave\.pem, which must not exist yet, got EEXIST/);
});

test('keygen --log prints a c2sp verifier key named after the origin', async () => {
  const stage = await openCliStage({ isBegun: false });
  const keygen = ['keygen', '--log', '--origin', ORIGIN, '-o', stage.file('log.pem')];
  const { stdout } = await stage.cli(...keygen);
  assert.equal(parseVerifierKey(stdout.trim())?.name, ORIGIN);
  assert.equal(readFileSync(stage.file('log.vkey'), 'utf8'), stdout);
});

test('at a terminal keygen asks for a passphrase twice, and none is taken for none', async () => {
  const stage = await openCliStage({ isBegun: false });
  const keygen = (name: string) => ['keygen', '-o', stage.file(name), '--id', 'org:acme#dave'];
  const pem = (name: string) => readFileSync(stage.file(name), 'utf8');
  await stage.cliIn({ answers: ['secret', 'secret'] }, ...keygen('a.pem'));
  assert.match(pem('a.pem'), /ENCRYPTED/);
  await stage.cliIn({ answers: [''] }, ...keygen('b.pem'));
  assert.doesNotMatch(pem('b.pem'), /ENCRYPTED/);
  const plain = await stage.cliIn({ answers: [] }, ...keygen('c.pem'), '--plain');
  assert.doesNotMatch(plain.stderr, /warning/);
  assert.doesNotMatch(pem('c.pem'), /ENCRYPTED/);
  const wrong = await stage.cliIn({ answers: ['secret', 'other'] }, ...keygen('d.pem'));
  assert.equal(wrong.code, 2);
  assert.equal(existsSync(stage.file('d.pem')), false);
});

test('an encrypted key signs with its passphrase from a file or a terminal, and not without', async () => {
  const stage = await openCeremony();
  const passphrase = stage.write('passphrase', 'correct horse\n');
  const key = stage.file('dave.pem');
  const file = ['--passphrase-file', passphrase];
  await stage.cli('keygen', '-o', key, '--id', 'org:acme#dave', ...file);
  assert.match(readFileSync(key, 'utf8'), /ENCRYPTED/);
  const signers = ['--signer', stage.file('dave.pub.json'), '--log-key', stage.file('log.vkey')];
  const genesis = stage.file('dave.json');
  await stage.cli('init', '--origin', ORIGIN, '--threshold', '1', ...signers, '-o', genesis);
  const approve = ['approve', genesis, '--key', key, '-y', '-o', stage.file('approval.json')];
  assert.equal((await stage.cli(...approve, ...file)).code, 0);
  assert.equal((await stage.cliIn({ answers: ['correct horse'] }, ...approve)).code, 0);
  const without = await stage.cli(...approve);
  assert.equal(without.code, 1);
  assert.match(
    without.stderr,
    /expected the passphrase of .* from --passphrase-file or a terminal/,
  );
  const wrong = await stage.cliIn({ answers: ['wrong'] }, ...approve);
  assert.equal(wrong.code, 1);
  const empty = ['--passphrase-file', stage.write('empty', '\n')];
  assert.match(
    (await stage.cli(...approve, ...empty)).stderr,
    /expected a passphrase in the first/,
  );
});

test('init writes a canonical genesis whose hash names the registry', async () => {
  const stage = await openCeremony('--note', 'the first', '--json');
  const bytes = readFileSync(stage.file('genesis.json'));
  const payload = JSON.parse(bytes.toString());
  assert.deepEqual(
    [payload.type, payload.origin, payload.note, payload.governance.threshold],
    ['genesis', ORIGIN, 'the first', 2],
  );
  const review = await stage.cli('review', '--offline', stage.file('genesis.json'));
  assert.match(
    review.stdout,
    new RegExp(`registry {2}${hashOf(bytes)} \\(this payload begins it\\)`),
  );
  assert.match(review.stdout, /approvals: 0 of 3 \(every signer\); missing: org:acme#signer-000, /);
});

test('init says so when it writes over a genesis that may have been approved', async () => {
  const stage = await openCeremony();
  const again = await init(stage, '--note', 'another');
  assert.equal(again.code, 0);
  assert.match(again.stderr, /^warning: another genesis takes the place of .*genesis\.json/m);
  assert.match(readFileSync(stage.file('genesis.json'), 'utf8'), /"note":"another"/);
});

test('init warns of a threshold that one lost key makes unreachable, or that one key reaches', async () => {
  const stage = await openCeremony();
  const all = await init(stage, '--threshold', '3');
  assert.match(all.stderr, /warning: all of 3 signers must approve: one lost key locks/);
  assert.match((await init(stage, '--threshold', '1')).stderr, /warning: the threshold is 1/);
});

for (const [name, options, message] of [
  ['a threshold above the signers', ['--threshold', '4'], /expected an integer from 1 to 3/],
  ['a log key of another origin', ['--origin', 'other.example.com'], /named other\.example\.com/],
  ['an origin that is none', ['--origin', 'http://x'], /expected --origin with an origin/],
  ['a log key that is none', ['--log-key', 'package.json'], /c2sp ed25519 verifier key in package/],
] as const)
  test(`init refuses ${name}`, async () => {
    const stage = await openCeremony();
    const { code, stderr } = await init(stage, ...options);
    assert.ok(code === 1 || code === 2);
    assert.match(stderr, message);
  });

test('init refuses a signer file that is none, naming it', async () => {
  const stage = await openCeremony();
  const bad = stage.write('bad.pub.json', { signer_id: 'org:acme#x', algo: 'rsa', public_key: '' });
  const { code, stderr } = await init(stage, '--signer', bad);
  assert.equal(code, 1);
  assert.match(stderr, /bad\.pub\.json: expected ed25519 at \/algo/);
});

test('init refuses a key that every forged signature would verify under', async () => {
  const stage = await openCeremony();
  const identity = Buffer.from(Uint8Array.of(1, ...new Uint8Array(31))).toString('base64');
  const signer = { signer_id: 'org:acme#weak', algo: 'ed25519', public_key: identity };
  const { code, stderr } = await init(stage, '--signer', stage.write('weak.pub.json', signer));
  assert.equal(code, 1);
  assert.match(stderr, /expected an ed25519 key of prime order for org:acme#weak/);
});

test('the ceremony begins an empty registry over http, and may be repeated', async () => {
  const stage = await openCeremony();
  const approvals: string[] = [];
  for (const name of NAMES) approvals.push(await approveGenesis(stage, name));
  const commit = ['init', 'commit', stage.file('genesis.json'), ...approvals];
  const begun = await stage.cli(...commit);
  assert.equal(begun.code, 0, begun.stderr);
  const registry = hashOf(readFileSync(stage.file('genesis.json')));
  assert.equal(begun.stdout, `${registry}\n`);
  assert.equal(stage.registry.head()?.object.registry, registry);
  const [again] = (await stage.cli(...commit, '--json')).json();
  assert.deepEqual(again, { origin: ORIGIN, registry, version: 0 });
});

test('the ceremony begins a database without a service, may be repeated, and is final', async () => {
  const stage = await openCeremony();
  const data = stage.file('data');
  const commit = async (...options: readonly string[]) => {
    const { stderr } = await init(stage, ...options);
    assert.match(stderr, /wrote /);
    const approvals: string[] = [];
    for (const name of NAMES) approvals.push(await approveGenesis(stage, name));
    return () =>
      stage.cli('init', 'commit', stage.file('genesis.json'), ...approvals, '--data', data);
  };
  const first = await commit('--note', 'first');
  const begun = await first();
  assert.equal(begun.code, 0, begun.stderr);
  assert.deepEqual([(await first()).stdout, statSync(data).mode & 0o777], [begun.stdout, 0o700]);
  const verified = await stage.cli('verify', '--data', data, '--registry', begun.stdout.trim());
  assert.match(verified.stdout, /^approvals +3$/m);
  const second = await (await commit('--note', 'second'))();
  assert.equal(second.code, 1);
  assert.match(second.stderr, /expected no second genesis/);
  assert.deepEqual(stage.requests, []);
});

test('the ceremony does not go on in a damaged database', async () => {
  const stage = await openCeremony();
  const approvals: string[] = [];
  for (const name of NAMES) approvals.push(await approveGenesis(stage, name));
  const commit = ['init', 'commit', stage.file('genesis.json'), ...approvals];
  assert.equal((await stage.cli(...commit, '--data', stage.directory)).code, 0);
  const path = stage.file('registry.db');
  const damaged = readFileSync(path, 'latin1').replaceAll('"threshold":2', '"threshold":1');
  writeFileSync(path, damaged, 'latin1');
  const again = await stage.cli(...commit, '--data', stage.directory);
  assert.equal(again.code, 3);
  assert.match(again.stderr, /restore the database/);
});

test('a registry that another genesis has begun is refused', async () => {
  const stage = await openCliStage();
  await stage.cli('keygen', '--log', '--origin', ORIGIN, '-o', stage.file('log.pem'));
  await init(stage, '--note', 'second');
  const approvals: string[] = [];
  for (const name of NAMES) approvals.push(await approveGenesis(stage, name));
  const { code, stderr } = await stage.cli(
    'init',
    'commit',
    stage.file('genesis.json'),
    ...approvals,
  );
  assert.equal(code, 1);
  assert.match(stderr, /expected no second genesis/);
});

test('a genesis without the approval of every signer is refused before anything is sent', async () => {
  const stage = await openCeremony();
  const first = await approveGenesis(stage, 'signer-000');
  const genesis = stage.file('genesis.json');
  const early = await stage.cli('init', 'commit', genesis, first);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /got 1 of 3 all; still possible: org:acme#signer-001/);
  const forged = JSON.parse(readFileSync(first, 'utf8'));
  const bad = stage.write('bad.json', { ...forged, signer_id: 'org:acme#signer-001' });
  assert.equal((await stage.cli('init', 'commit', genesis, first, bad)).code, 3);
  const stranger = stage.write('bad.json', { ...forged, signer_id: 'org:acme#stranger' });
  const refused = await stage.cli('init', 'commit', genesis, stranger);
  assert.match(refused.stderr, /got one by org:acme#stranger that is by no signer in force/);
  const pinned = await stage.cli(
    'init',
    'commit',
    genesis,
    first,
    '--registry',
    `b3:${'0'.repeat(64)}`,
  );
  assert.match(pinned.stderr, /expected a payload for the pinned registry/);
  assert.deepEqual(stage.requests, []);
});

test('only a genesis can be committed by init', async () => {
  const stage = await openCliStage();
  const items = stage.write('a.json', [{ kind: 'service', id: 'a', spec: {} }]);
  await stage.cli('plan', '-f', items, '-o', stage.file('payload.json'));
  const { code, stderr } = await stage.cli('init', 'commit', stage.file('payload.json'), items);
  assert.equal(code, 2);
  assert.match(stderr, /expected a genesis payload in .*, got descriptors/);
});
