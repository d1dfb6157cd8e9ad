import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { ORIGIN } from '../../support/signers.ts';

/** With a key for a signer who is not in yet, `dave`, and a second log key. */
async function openWithNewcomer(): Promise<CliStage> {
  const stage = await openCliStage();
  await stage.cli('keygen', '-o', stage.file('dave.pem'), '--id', 'org:acme#dave');
  await stage.cli('keygen', '--log', '--origin', ORIGIN, '-o', stage.file('log2.pem'));
  return stage;
}

async function commitBy(stage: CliStage, id: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const approve = ['approve', id, '--key', stage.file(`${name}.pem`), '--yes'];
    const { code, stderr } = await stage.cli(...approve);
    assert.equal(code, 0, stderr);
  }
  const { code, stderr } = await stage.cli('commit', id);
  assert.equal(code, 0, stderr);
}

function signerIds(governance: Record<string, unknown> = {}): string[] {
  return (governance.signers as { signer_id: string }[]).map((signer) => signer.signer_id);
}

test('signers lists who may sign, and which keys sign checkpoints', async () => {
  const stage = await openCliStage();
  const { stdout } = await stage.cli('signers');
  assert.match(stdout, /^governance version 1: 2 of 3 signers\n {2}org:acme#signer-000 {2}ed25519/);
  assert.match(stdout, /\n {2}log key registry\.example\.com\/test\+/);
});

test('a signer is rotated: the new key approves its own entry, and signs from then on', async () => {
  const stage = await openWithNewcomer();
  const rotate = ['signers', 'rotate', 'org:acme#signer-000', stage.file('dave.pub.json')];
  const proposed = await stage.cli(...rotate, '--propose', '--note', 'a new laptop');
  assert.equal(proposed.code, 0, proposed.stderr);
  assert.match(
    proposed.stderr,
    / {2}- signer org:acme#signer-000 .*\n {2}\+ signer org:acme#dave /,
  );
  const id = proposed.stdout.trim();
  const { stdout } = await stage.cli('review', id);
  assert.match(stdout, /governance version 1 -> 2\n {2}threshold 2 of 3 -> 2 of 3\n/);
  assert.match(stdout, /warning: removes the signer org:acme#signer-000/);
  assert.match(stdout, /warning: adds the signer org:acme#dave: compare its key/);
  assert.match(stdout, /0 of 2, 0 of 2 of the next governance, 0 of 1 entering; missing/);
  await commitBy(stage, id, ['signer-001', 'signer-002', 'dave']);
  const [governance] = (await stage.cli('signers', '--json')).json();
  assert.deepEqual(signerIds(governance), [
    'org:acme#dave',
    'org:acme#signer-001',
    'org:acme#signer-002',
  ]);
  const next = await stage.propose([{ kind: 'service', id: 'a', spec: {} }]);
  const old = ['approve', next, '--key', stage.file('signer-000.pem'), '--yes'];
  assert.equal((await stage.cli(...old)).code, 1);
  await commitBy(stage, next, ['dave', 'signer-001']);
  const [summary] = (await stage.cli('verify', '--json')).json();
  assert.deepEqual([summary?.governances, summary?.entries], [2, 3]);
});

test('signers are added and removed, and the threshold and the log keys are set', async () => {
  const stage = await openWithNewcomer();
  const path = stage.file('payload.json');
  const governanceOf = async (...act: readonly string[]) => {
    const { code, stderr } = await stage.cli('signers', ...act, '-o', path);
    assert.equal(code, 0, stderr);
    return JSON.parse(readFileSync(path, 'utf8')).governance;
  };
  const added = await governanceOf('add', stage.file('dave.pub.json'), '--threshold', '3');
  assert.deepEqual([signerIds(added).length, added.threshold, added.version], [4, 3, 2]);
  const removed = await governanceOf('remove', 'org:acme#signer-001');
  assert.deepEqual(signerIds(removed), ['org:acme#signer-000', 'org:acme#signer-002']);
  const vkey = readFileSync(stage.file('log2.vkey'), 'utf8').trim();
  const set = await governanceOf('set', '--log-key', vkey, '--threshold', '1');
  assert.deepEqual([set.log_keys, set.threshold], [[vkey], 1]);
  const { stdout } = await stage.cli('review', path);
  assert.match(stdout, /warning: lowers the threshold from 2 to 1/);
  assert.match(stdout, /warning: the threshold is 1/);
  assert.match(stdout, /warning: replaces the log key [0-9a-f]{8}: readers who pinned it/);
  await governanceOf('remove', 'org:acme#signer-001');
  assert.match((await stage.cli('review', path)).stdout, /warning: all of 2 signers must approve/);
});

test('a governance that lost its place is shown as one that cannot be committed', async () => {
  const stage = await openWithNewcomer();
  const path = stage.file('payload.json');
  await stage.cli('signers', 'set', '--threshold', '3', '-o', path);
  const other = await stage.cli('signers', 'set', '--threshold', '1', '--propose');
  await commitBy(stage, other.stdout.trim(), ['signer-000', 'signer-001']);
  const { stdout } = await stage.cli('review', path);
  assert.match(stdout, /cannot be committed: it replaces a governance that is no longer in force/);
});

for (const [name, act, message] of [
  [
    'to remove who is no signer',
    ['remove', 'org:acme#nobody'],
    /expected a signer in force to remove/,
  ],
  [
    'to remove below the threshold',
    ['remove', 'org:acme#signer-000', 'org:acme#signer-001'],
    /--threshold sets another/,
  ],
  [
    'to add a key that is there',
    ['add', 'signer-001.pub.json'],
    /expected a new signer with a new key/,
  ],
] as const)
  test(`signers refuses ${name}`, async () => {
    const stage = await openWithNewcomer();
    const given = act.map((word) => (word.endsWith('.json') ? stage.file(word) : word));
    const { code, stdout, stderr } = await stage.cli('signers', ...given, '--propose');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, message);
  });

test('an id that once had a key gets no other one', async () => {
  const stage = await openWithNewcomer();
  const rotate = ['signers', 'rotate', 'org:acme#signer-000', stage.file('dave.pub.json')];
  const { stdout } = await stage.cli(...rotate, '--propose');
  await commitBy(stage, stdout.trim(), ['signer-001', 'signer-002', 'dave']);
  const again = ['keygen', '-o', stage.file('again.pem'), '--id', 'org:acme#signer-000'];
  await stage.cli(...again);
  const { code, stderr } = await stage.cli(
    'signers',
    'add',
    stage.file('again.pub.json'),
    '--propose',
  );
  assert.equal(code, 1);
  assert.match(stderr, /give a rotated key a new signer id/);
});
