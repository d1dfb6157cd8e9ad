import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type CliStage, makeDirectory, openCliStage, writeKey } from '../../support/cli-stage.ts';
import { put } from '../../support/registry.ts';

const checkout = { kind: 'service', id: 'checkout', spec: { port: 1 } };

/** A proposal in flight, and `approve` of it by a signer. */
async function openProposal() {
  const stage = await openCliStage();
  const id = await stage.propose([checkout]);
  const key = (name = 'signer-000') => ['--key', stage.file(`${name}.pem`)];
  return { stage, id, key };
}

/** The same proposal as a payload file. */
async function payloadFile(stage: CliStage, id: string): Promise<string> {
  const payload = await (await stage.get(`/registry/proposals/${id}/payload`)).text();
  return stage.write('payload.json', payload);
}

test('review shows what would change, who approved and who is missing', async () => {
  const { stage, id, key } = await openProposal();
  await stage.cli('approve', id, ...key(), '--yes');
  const { code, stdout, stderr } = await stage.cli('review', id);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`^descriptors ${id}\n`));
  assert.match(stdout, /\+ service\/checkout\n {4}\+ "port": 1\n1 added, 0 changed, 0 removed\n/);
  assert.match(stdout, /org:acme#signer-000 signed at .*: valid\n/);
  assert.match(stdout, /approvals: 1 of 2; missing: org:acme#signer-001, org:acme#signer-002/);
  assert.match(stderr, /the registry says: pending/);
});

test('review counts only the approvals that verify, whatever the server says', async () => {
  const { stage, id, key } = await openProposal();
  for (const name of ['signer-000', 'signer-001'])
    await stage.cli('approve', id, ...key(name), '-y');
  stage.lie(async (path, honest) => {
    const answer = await honest();
    if (path !== `/registry/proposals/${id}`) return answer;
    const proposal = await answer.json();
    proposal.approvals[0].signed_at = '2026-11-21T09:00:01.000Z';
    proposal.approvals[1].signer_id = 'org:acme#stranger';
    return new Response(JSON.stringify(proposal), {
      headers: { 'content-type': 'application/json' },
    });
  });
  const [review] = (await stage.cli('review', id, '--json')).json();
  const approvals = review?.approvals as { verdict: string }[];
  assert.deepEqual(
    approvals.map((approval) => approval.verdict),
    ['invalid', 'by no signer in force'],
  );
  assert.match((await stage.cli('review', id)).stdout, /approvals: 0 of 2; missing: /);
});

test('review shows the payload that hashes to the id, and refuses another', async () => {
  const { stage, id } = await openProposal();
  stage.lie(async (path, honest) => {
    const answer = await honest();
    if (!path.endsWith('/payload')) return answer;
    return new Response((await answer.text()).replace('"port":1', '"port":2'), {
      headers: answer.headers,
    });
  });
  const { code, stdout, stderr } = await stage.cli('review', id);
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /expected the payload b3:/);
});

test('review compares with the whole set when many descriptors are touched', async () => {
  const stage = await openCliStage();
  const items = Array.from({ length: 120 }, (_, i) => ({ kind: 'service', id: `s${i}`, spec: {} }));
  const id = await stage.propose(items);
  const { stdout } = await stage.cli('review', id);
  assert.match(stdout, /warning: touches 120 descriptors/);
  assert.match(stdout, /\+ service\/s119\n/);
});

test('review says when a fence is broken, by what', async () => {
  const { stage, id } = await openProposal();
  await stage.change(put('checkout', { port: 7 }));
  const { stdout, stderr } = await stage.cli('review', id);
  assert.match(
    stdout,
    /cannot be committed: service\/checkout is b3:[0-9a-f]{64}, and it expects nothing there/,
  );
  assert.match(stderr, /the registry says: blocked/);
});

test('review shows what cannot be seen, and what expires soon', async () => {
  const stage = await openCliStage();
  const spec = { '\u202ename': 'p\u0430ypal' };
  const id = await stage.propose([{ ...checkout, spec }], '--expires', '30m');
  const { stdout } = await stage.cli('review', id);
  assert.match(stdout, /\+ "\\u\{202e\}name": "p\\u\{430\}ypal"/);
  assert.match(stdout, /warning: expires soon, in 30 minutes/);
  assert.match(stdout, /warning: holds 2 characters outside printable ASCII/);
  stage.timers.advance(31 * 60_000);
  assert.match((await stage.cli('review', id)).stdout, /expired 1 minute ago: it can no longer/);
});

test('review of a committed proposal says which version it is, and approve refuses it', async () => {
  const { stage, id, key } = await openProposal();
  for (const name of ['signer-000', 'signer-001'])
    await stage.cli('approve', id, ...key(name), '-y');
  await stage.cli('commit', id);
  assert.match((await stage.cli('review', id)).stderr, /committed as version 1/);
  const late = await stage.cli('approve', id, ...key('signer-002'), '-y');
  assert.equal(late.code, 1);
  assert.match(late.stderr, /got one that is committed as version 1/);
});

test('review and approve take a payload file, posted or not', async () => {
  const { stage, id, key } = await openProposal();
  const path = await payloadFile(stage, id);
  assert.match((await stage.cli('review', path)).stderr, /the registry says: pending/);
  assert.equal((await stage.cli('approve', path, ...key(), '-y')).code, 0);
  const other = stage.file('other.json');
  const plan = ['plan', '-f', stage.write('b.json', [{ ...checkout, id: 'b' }]), '-o', other];
  assert.equal((await stage.cli(...plan)).code, 0);
  assert.match((await stage.cli('review', other)).stderr, /the registry says: not proposed yet/);
  const unknown = await stage.cli('approve', other, ...key(), '-y');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /`quorate proposals` lists/);
});

test('approve shows the review and asks before it signs', async () => {
  const { stage, id, key } = await openProposal();
  const agreed = await stage.cliIn({ answers: ['y'] }, 'approve', id, ...key());
  assert.equal(agreed.code, 0);
  assert.match(agreed.stderr, /\+ service\/checkout[\s\S]*sign this payload\? \[y\/N\] /);
  assert.equal(agreed.stdout, `${id} approved by org:acme#signer-000\n`);
  for (const answer of ['n', '', 'maybe']) {
    const quiet = ['approve', id, ...key('signer-001'), '--quiet'];
    const declined = await stage.cliIn({ answers: [answer] }, ...quiet);
    assert.deepEqual([declined.code, declined.stdout], [1, '']);
    assert.match(declined.stderr, /\+ service\/checkout[\s\S]*nothing was signed/);
  }
  const nobody = await stage.cli('approve', id, ...key('signer-001'));
  assert.match(nobody.stderr, /expected somebody at a terminal to answer, got none: --yes/);
  const proposals = await stage.registry.proposals.list();
  assert.equal(proposals.find((proposal) => proposal.id === id)?.approvals.length, 1);
});

test('approve prints the quorum it led to, and what comes next', async () => {
  const { stage, id, key } = await openProposal();
  const first = await stage.cli('approve', id, ...key(), '-y', '--json', '--quiet');
  const [{ quorum, approval } = {}] = first.json();
  assert.deepEqual((quorum as { approvals: string[] }).approvals, ['org:acme#signer-000']);
  assert.equal((approval as { signer_id: string }).signer_id, 'org:acme#signer-000');
  const second = await stage.cli('approve', id, ...key('signer-001'), '-y');
  assert.match(second.stderr, /approvals: 2 of 2: ready to commit\nnext: quorate commit b3:/);
});

test('a key that is no signer is told so, and so is an id that is not its own', async () => {
  const { stage, id, key } = await openProposal();
  const stranger = await stage.cli('approve', id, '--key', writeKey(stage.directory, 'eve'), '-y');
  assert.equal(stranger.code, 1);
  assert.match(stranger.stderr, /expected the key of a signer, got .*nobody in the governance/);
  const other = await stage.cli('approve', id, ...key(), '-y', '--id', 'org:acme#signer-001');
  assert.match(other.stderr, /which org:acme#signer-001 does not have/);
  assert.equal((await stage.cli('approve', id, ...key(), '-y', '--id', 'alice')).code, 2);
});

test('a key file that others may read is signed with, under a warning', async () => {
  const { stage, id, key } = await openProposal();
  chmodSync(stage.file('signer-000.pem'), 0o644);
  assert.match(
    (await stage.cli('approve', id, ...key(), '-y')).stderr,
    /warning: .* is open to others/,
  );
});

test('an approval made offline opens no connection, and is posted later', async () => {
  const { stage, id, key } = await openProposal();
  const path = await payloadFile(stage, id);
  const approval = stage.file('approval.json');
  const offline = ['approve', path, ...key(), '-y', '-o', approval];
  stage.requests.length = 0;
  const unpinned = await stage.cli(...offline);
  assert.equal(unpinned.code, 2);
  assert.match(unpinned.stderr, /expected --registry with the registry that is meant/);
  const wrong = await stage.cli(...offline, '--registry', `b3:${'0'.repeat(64)}`);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /expected a payload for the pinned registry/);
  const signed = await stage.cli(...offline, '--registry', stage.registryHash);
  assert.equal(signed.code, 0, signed.stderr);
  assert.match(signed.stderr, /approvals: not known offline/);
  assert.deepEqual(stage.requests, []);
  const posted = await stage.cli('approve', id, '--approval', approval);
  assert.equal(posted.stdout, `${id} approved by org:acme#signer-000\n`);
  assert.equal((await stage.cli('approve', path, '--approval', approval)).code, 0);
});

test('offline the signer id comes from the file beside the key, which must be its own', async () => {
  const { stage, id } = await openProposal();
  const path = await payloadFile(stage, id);
  const directory = makeDirectory();
  const key = writeKey(directory, 'signer-001');
  const output = stage.file('approval.json');
  const approve = [
    'approve',
    path,
    '--key',
    key,
    '-y',
    '-o',
    output,
    '--registry',
    stage.registryHash,
  ];
  assert.equal((await stage.cli(...approve)).code, 0);
  assert.equal(JSON.parse(readFileSync(output, 'utf8')).signer_id, 'org:acme#signer-001');
  writeFileSync(key.replace('.pem', '.pub.json'), readFileSync(stage.file('signer-000.pub.json')));
  const mixed = await stage.cli(...approve);
  assert.equal(mixed.code, 1);
  assert.match(mixed.stderr, /expected the public half of .*signer-001\.pem/);
  assert.equal((await stage.cli(...approve, '--id', 'org:acme#signer-001')).code, 0);
  rmSync(key.replace('.pem', '.pub.json'));
  const alone = await stage.cli(...approve);
  assert.equal(alone.code, 1);
  assert.match(alone.stderr, /whose key .*pem is in .*pub\.json, got no such file: .*--id says/);
  assert.equal((await stage.cli(...approve, '--id', 'org:acme#signer-001')).code, 0);
});

test('an approval of a proposal can be written instead of posted, with the review of a registry', async () => {
  const { stage, id, key } = await openProposal();
  const output = stage.file('approval.json');
  const { code, stderr } = await stage.cli('approve', id, ...key(), '-y', '-o', output);
  assert.equal(code, 0);
  assert.match(stderr, /approvals: 0 of 2/);
  assert.deepEqual(Object.keys(JSON.parse(readFileSync(output, 'utf8'))), [
    'algo',
    'sig',
    'signed_at',
    'signer_id',
  ]);
});

test('a forged approval is a failed verification when it is posted', async () => {
  const { stage, id, key } = await openProposal();
  const output = stage.file('approval.json');
  await stage.cli('approve', id, ...key(), '-y', '-o', output);
  const approval = JSON.parse(readFileSync(output, 'utf8'));
  const forged = stage.write('forged.json', { ...approval, signer_id: 'org:acme#signer-001' });
  const { code, stderr } = await stage.cli('approve', id, '--approval', forged, '--json');
  assert.equal(code, 3);
  assert.equal(JSON.parse(stderr).code, 'invalid_signature');
});

test('review offline asks nobody', async () => {
  const { stage, id } = await openProposal();
  const path = await payloadFile(stage, id);
  stage.requests.length = 0;
  const { code, stdout, stderr } = await stage.cli('review', '--offline', path);
  assert.deepEqual([code, stderr, stage.requests], [0, '', []]);
  assert.match(stdout, /\+ service\/checkout\n/);
  const pinned = await stage.cli('review', '--offline', path, '--registry', `b3:${'0'.repeat(64)}`);
  assert.equal(pinned.code, 1);
});
