import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { hashOf } from '../../../src/core/hash.ts';
import { openCliStage } from '../../support/cli-stage.ts';
import { put } from '../../support/registry.ts';

const checkout = { kind: 'service', id: 'checkout', spec: { port: 1 } };
const payments = { kind: 'service', id: 'payments', spec: { port: 2 } };

test('plan shows what a declared set would change, in three spellings of it and from stdin', async () => {
  const stage = await openCliStage();
  await stage.change(put('checkout', { port: 1 }));
  const items = [{ ...checkout, spec: { port: 3 } }, payments];
  const shown =
    '~ service/checkout\n    - "port": 1\n    + "port": 3\n+ service/payments\n    + "port": 2\n';
  const spellings = {
    'array.json': JSON.stringify(items, null, 2),
    'items.json': JSON.stringify({ items }),
    'lines.ndjson': `${items.map((item) => JSON.stringify(item)).join('\n')}\n\n`,
  };
  for (const [name, text] of Object.entries(spellings))
    assert.equal((await stage.cli('plan', '-f', stage.write(name, text))).stdout, shown, name);
  const stdin = await stage.cliIn({ stdin: spellings['lines.ndjson'] }, 'plan', '-f', '-');
  assert.equal(stdin.stdout, shown);
  assert.match(stdin.stderr, /^1 to add, 1 to change, 0 to remove at version 1$/m);
  const halves = items.map((item, i) => stage.write(`half-${i}.json`, [item]));
  assert.equal((await stage.cli('plan', '-f', ...halves)).stdout, shown);
});

test('plan reads one item on one line, and an empty file as an empty set', async () => {
  const stage = await openCliStage();
  await stage.change(put('checkout', { port: 1 }));
  const stdin = JSON.stringify(payments);
  const one = await stage.cliIn({ stdin }, 'plan', '-f', '-', '--json');
  assert.equal(one.json()[0]?.added, 1);
  const prune = ['plan', '-f', '-', '--kind', 'service', '--prune', '--json'];
  const none = await stage.cliIn({ stdin: '\n' }, ...prune);
  assert.deepEqual([none.json()[0]?.removed, none.json()[0]?.base_version], [1, 1]);
});

test('a kind is filled in where an item says none, and another kind is refused', async () => {
  const stage = await openCliStage();
  const plan = ['plan', '-f', '-', '--kind', 'image'];
  const bare = await stage.cliIn({ stdin: '{"id":"a","spec":{}}' }, ...plan);
  assert.equal(bare.stdout, '+ image/a\n');
  const other = await stage.cliIn({ stdin: JSON.stringify(checkout) }, ...plan);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /-: item 1: expected kind image at \/kind, got "service"/);
});

for (const [name, stdin, message] of [
  ['text that is no JSON', 'nonsense', /expected json in -, got/],
  ['a line that is no JSON', '{"kind":"a","id":"b","spec":{}}\n{', /expected json in -: line 2/],
  [
    'an object without items',
    '{\n"a": 1\n}',
    /expected an array at \/items: a declared set, here in -, is an array of .* one item a line/,
  ],
  ['an item without a spec', '[{"kind":"a","id":"b"}]', /item 1: expected a member at \/spec/],
  ['a member too many', '[{"kind":"a","id":"b","spec":{},"x":1}]', /expected no member but/],
  ['an id that cannot be one', '[{"kind":"a","id":"../b","spec":{}}]', /expected an id/],
  [
    'one key twice',
    '[{"kind":"a","id":"b","spec":{}},{"kind":"a","id":"b","spec":{}}]',
    /expected a\/b once/,
  ],
] as const)
  test(`a declared set is refused for ${name}`, async () => {
    const stage = await openCliStage();
    const { code, stdout, stderr } = await stage.cliIn({ stdin }, 'plan', '-f', '-');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, message);
  });

test('a file that is not there is told by its name', async () => {
  const stage = await openCliStage();
  const { code, stderr } = await stage.cli('plan', '-f', stage.file('nowhere.json'));
  assert.equal(code, 1);
  assert.match(stderr, /expected a readable file at .*nowhere\.json, got ENOENT/);
});

test('a file that cannot be written is told by its name', async () => {
  const stage = await openCliStage();
  const declared = stage.write('a.json', [checkout]);
  const { code, stderr } = await stage.cli('plan', '-f', declared, '-o', stage.file('no/where'));
  assert.equal(code, 1);
  assert.match(stderr, /expected to write .*no\/where, got ENOENT/);
});

test('plan -o writes a payload that hashes to its proposal, and propose --payload posts it', async () => {
  const stage = await openCliStage();
  const path = stage.file('payload.json');
  const declared = stage.write('a.json', [checkout]);
  const planned = await stage.cli('plan', '-f', declared, '-o', path, '--note', 'n');
  const id = hashOf(readFileSync(path));
  assert.match(planned.stderr, new RegExp(`payload\\.json: ${id}`));
  const proposed = await stage.cli('propose', '--payload', path);
  assert.equal(proposed.stdout, `${id}\n`);
  assert.match(proposed.stderr, /approvals: 0 of 2; missing: .*\nnext: quorate approve b3:/);
  const again = await stage.cli('propose', '--payload', path, '--json');
  assert.equal(again.json()[0]?.is_new, false);
  const piped = await stage.cli('plan', '-f', declared, '-o', '-');
  assert.equal(JSON.parse(piped.stdout).type, 'descriptors');
});

test('a payload that was formatted on its way is the same payload', async () => {
  const stage = await openCliStage();
  const path = stage.file('payload.json');
  await stage.cli('plan', '-f', stage.write('a.json', [checkout]), '-o', path);
  const text = readFileSync(path, 'utf8');
  stage.write('payload.json', `${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  const { stdout } = await stage.cli('propose', '--payload', path);
  assert.equal(stdout, `${hashOf(Buffer.from(text))}\n`);
});

test('a declared set that is too large for one proposal is planned, and proposed in parts', async () => {
  const stage = await openCliStage();
  const items = Array.from({ length: 10_001 }, (_, i) => ({ kind: 'k', id: `${i}`, spec: {} }));
  const declared = stage.write('a.json', items);
  assert.equal((await stage.cli('plan', '-f', declared, '--json')).json()[0]?.added, 10_001);
  const { code, stderr } = await stage.cli('propose', '-f', declared);
  assert.equal(code, 1);
  assert.match(stderr, /expected at most 10000 changes in one proposal, got 10001\n {2}propose it/);
});

test('a registry that is as declared is proposed nothing', async () => {
  const stage = await openCliStage();
  await stage.change(put('checkout', { port: 1 }));
  const declared = stage.write('a.json', [checkout]);
  const proposed = await stage.cli('propose', '-f', declared);
  assert.deepEqual([proposed.code, proposed.stdout], [0, '']);
  assert.match(proposed.stderr, /nothing to propose/);
  const planned = await stage.cli('plan', '-f', declared, '-o', stage.file('none.json'));
  assert.match(planned.stderr, /no payload was written/);
});

test('proposals are listed with their states, and may be chosen by them', async () => {
  const stage = await openCliStage();
  const first = await stage.propose([checkout], '--note', 'first \u00e9');
  const second = await stage.propose([payments], '--expires', '12h');
  const { stdout } = await stage.cli('proposals', '--in', 'pending');
  assert.equal(
    stdout,
    `${second}  descriptors  pending  0 of 2  in 12 hours  ""\n` +
      `${first}  descriptors  pending  0 of 2  in 7 days    "first \\u{e9}"\n`,
  );
  for (const name of ['signer-000', 'signer-001'])
    await stage.cli('approve', first, '--key', stage.file(`${name}.pem`), '--yes');
  const ready = await stage.cli('proposals', '--in', 'ready', '--json');
  assert.deepEqual(
    ready.json().map((proposal) => proposal.proposal_id),
    [first],
  );
  assert.equal((await stage.cli('proposals', '--in', 'expired')).stdout, '');
});

test('commit makes a version and verifies it; again it is the same version', async () => {
  const stage = await openCliStage();
  const id = await stage.propose([checkout]);
  const early = await stage.cli('commit', id);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /got 0 of 2 current/);
  for (const name of ['signer-000', 'signer-002'])
    await stage.cli('approve', id, '--key', stage.file(`${name}.pem`), '--yes');
  const committed = await stage.cli('commit', id);
  const entryHash = stage.registry.head()?.object.entry_hash;
  assert.deepEqual([committed.code, committed.stdout], [0, `version 1 ${entryHash}\n`]);
  const [again] = (await stage.cli('commit', id, '--json')).json();
  assert.deepEqual([again?.is_new, again?.version, again?.payload_b3], [false, 1, id]);
});

test('commit does not believe an answer that the chain does not lead to', async () => {
  const stage = await openCliStage();
  const id = await stage.propose([checkout]);
  for (const name of ['signer-000', 'signer-001'])
    await stage.cli('approve', id, '--key', stage.file(`${name}.pem`), '--yes');
  stage.lie(async (path, honest) =>
    path.startsWith('/registry/commit') ? honest('/registry/head') : honest(),
  );
  const { code, stdout, stderr } = await stage.cli('commit', id);
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /expected version 0 to be/);
});

test('supersede proposes an answer to the head, with a reason and changes or none', async () => {
  const stage = await openCliStage();
  await stage.change(put('checkout', { port: 1 }));
  const declared = stage.write('a.json', [{ ...checkout, spec: { port: 9 } }]);
  const path = stage.file('supersede.json');
  const supersede = ['supersede', '--reason', 'DataError', '-f', declared, '-o', path];
  assert.equal((await stage.cli(...supersede, '--note', 'oops')).code, 0);
  const payload = JSON.parse(readFileSync(path, 'utf8'));
  assert.deepEqual(
    [payload.type, payload.reason, payload.supersedes, payload.changes.length],
    ['supersede', 'DataError', stage.registry.head()?.object.entry_hash, 1],
  );
  const bare = await stage.cli('supersede', '--reason', 'Other', '--no-changes');
  const id = bare.stdout.trim();
  const review = await stage.cli('review', id);
  assert.match(review.stdout, /supersedes b3:[0-9a-f]+, reason Other\n0 added, 0 changed/);
  await stage.change(put('payments', { port: 2 }));
  const late = await stage.cli('review', id);
  assert.match(late.stdout, /cannot be committed: it supersedes an entry that is no longer/);
});

test('quiet says nothing but data, and errors', async () => {
  const stage = await openCliStage();
  const declared = stage.write('a.json', [checkout]);
  const { stdout, stderr } = await stage.cli('propose', '-f', declared, '--quiet');
  assert.match(stdout, /^b3:[0-9a-f]{64}\n$/);
  assert.equal(stderr, '');
  assert.match((await stage.cli('get', '9', '--quiet')).stderr, /^quorate: /);
});
