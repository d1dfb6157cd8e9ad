import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Interruption } from '../../../src/cli/io.ts';
import { canonicalBytes, canonicalText } from '../../../src/core/canonical.ts';
import { descriptorPath } from '../../../src/core/descriptor.ts';
import { type Hash, parseHash } from '../../../src/core/hash.ts';
import { decodeLeaf } from '../../../src/core/leaf.ts';
import { decodeSetProof, readSetProof, verifyBranch } from '../../../src/core/set-proof.ts';
import { isIncluded, recordHash } from '../../../src/core/tlog/merkle.ts';
import { readSignedCheckpoint } from '../../../src/core/tlog/note-signatures.ts';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { put, remove } from '../../support/registry.ts';

/** Versions 1 to 3: checkout put, checkout changed beside payments put, payments removed. */
async function openHistory(): Promise<CliStage> {
  const stage = await openCliStage();
  await stage.change(put('checkout', { port: 1 }));
  await stage.change(put('checkout', { port: 2 }, { port: 1 }), put('payments', { port: 9 }));
  await stage.change(remove('payments', { port: 9 }));
  return stage;
}

test('head prints the verified head, and announces what it trusts on first use once', async () => {
  const stage = await openHistory();
  const first = await stage.cli('head', '--json');
  const [head] = first.json();
  assert.equal(first.code, 0);
  assert.equal(head?.version, 3);
  assert.equal(head?.registry, stage.registryHash);
  assert.match(first.stderr, new RegExp(`--registry ${stage.registryHash}`));
  const second = await stage.cli('head');
  assert.equal(second.stderr, '');
  assert.match(second.stdout, /^version +3$/m);
  assert.match(second.stdout, /^governance +version 1, 2 of 3$/m);
});

test('json on a terminal is ascii and says the same, elsewhere it is the canonical bytes', async () => {
  const stage = await openCliStage();
  const acting = 'a\u009b31m\u007f\u202e\u2066é😀';
  await stage.change(put('x', { [acting]: acting }));
  for (const argv of [
    ['get', '1', '--json'],
    ['cat', 'service/x', '--json'],
    ['ls', '--json'],
  ]) {
    const piped = await stage.cli(...argv);
    assert.equal(piped.code, 0, piped.stderr);
    assert.ok(piped.stdout.includes(acting), piped.stdout);
    assert.equal(piped.stdout, `${canonicalText(piped.json()[0])}\n`);
    const shown = await stage.cliIn({ isTerminal: true }, ...argv);
    assert.match(shown.stdout, /^[\x20-\x7e]+\n$/);
    assert.ok(shown.stdout.includes('a\\u009b31m\\u007f\\u202e\\u2066\\u00e9\\ud83d\\ude00'));
    assert.deepEqual(shown.json(), piped.json());
  }
});

test('a pinned registry is not announced, and another one is a failed verification', async () => {
  const stage = await openHistory();
  const pinned = await stage.cli('head', '--registry', stage.registryHash);
  assert.deepEqual([pinned.code, pinned.stderr], [0, '']);
  const other = await stage.cli('head', '--registry', `b3:${'0'.repeat(64)}`);
  assert.equal(other.code, 3);
  assert.match(other.stderr, /expected registry b3:0000/);
});

test('get prints an entry as it is stored, or for people', async () => {
  const stage = await openHistory();
  const stored = await (await stage.get('/registry/2')).text();
  assert.equal((await stage.cli('get', '2', '--json')).stdout, `${stored}\n`);
  const { stdout } = await stage.cli('get', 'head');
  assert.match(stdout, /^version 3 descriptors b3:/);
  assert.match(stdout, /^ {2}approved by +org:acme#signer-000 at /m);
  assert.match(stdout, /^- service\/payments$/m);
  assert.match((await stage.cli('get', '0')).stdout, /governance version 1: 2 of 3 signers/);
  const none = await stage.cli('get', '4');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /up to 3, got 4/);
});

test('ls prints the set, whole or of one kind, and as lines that plan reads back', async () => {
  const stage = await openHistory();
  assert.equal((await stage.cli('ls')).stdout, 'service/checkout\n');
  assert.equal((await stage.cli('ls', '--kind', 'image')).stdout, '');
  const lines = await stage.cli('ls', '--json');
  assert.deepEqual(lines.json(), [{ kind: 'service', id: 'checkout', spec: { port: 2 } }]);
  const again = await stage.cliIn({ stdin: lines.stdout }, 'plan', '-f', '-', '--prune', '--json');
  assert.deepEqual(again.json()[0]?.changes, []);
});

test('cat prints a descriptor, and with --proof what others need to check it', async () => {
  const stage = await openHistory();
  const plain = await stage.cli('cat', 'service/checkout');
  assert.deepEqual(JSON.parse(plain.stdout), {
    kind: 'service',
    id: 'checkout',
    spec: { port: 2 },
  });
  const [proven = {}] = (await stage.cli('cat', 'service/checkout', '--proof', '--json')).json();
  const branch = decodeSetProof(readSetProof(JSON.parse(JSON.stringify(proven.proof))));
  const verdict = verifyBranch(
    {
      root: parseHash(String(proven.set_root)),
      path: descriptorPath({ kind: 'service', id: 'checkout' }),
    },
    branch,
  );
  assert.equal(verdict.state, 'present');
  // From the set root to what the log key signed: the leaf, and its place in the tree.
  const leaf = canonicalBytes(proven.leaf);
  assert.equal(decodeLeaf(leaf).set_root, proven.set_root);
  const { size, root } = readSignedCheckpoint(String(proven.checkpoint));
  const proof = (proven.inclusion_proof as string[]).map((hash) => Buffer.from(hash, 'base64'));
  const index = Number(proven.version);
  assert.ok(isIncluded({ record: recordHash(leaf), index, size, proof, root }));
});

test('cat --proof does not pass on a proof that leads to no checkpoint', async () => {
  const stage = await openHistory();
  stage.lie(async (path, honest) =>
    path.includes('/proof/inclusion/') ? honest('/registry/proof/inclusion/0/2') : honest(),
  );
  const { code, stdout, stderr } = await stage.cli('cat', 'service/checkout', '--proof');
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /in the checkpoint of/);
});

test('cat of an absent descriptor is a failure with the proof that it is absent', async () => {
  const stage = await openHistory();
  const { code, stdout, stderr } = await stage.cli('cat', 'service/payments', '--proof', '--json');
  assert.equal(code, 1);
  assert.equal(JSON.parse(stdout).descriptor, null);
  assert.ok(JSON.parse(stdout).proof);
  assert.equal(JSON.parse(stderr.split('\n').at(-2) ?? '').code, 'not_found');
  assert.equal((await stage.cli('cat', 'service/payments')).stdout, '');
});

test('cat --proof does not pass on a proof that is not of this set', async () => {
  const stage = await openHistory();
  await stage.change(put('other', { port: 3 }));
  let asked = 0;
  stage.lie(async (path, honest) => {
    // The client's own question is answered honestly; the one for the proof is not.
    if (!path.includes('/descriptors/') || ++asked < 2) return honest();
    return honest('/registry/3/descriptors/service/checkout?proof=1');
  });
  const { code, stdout, stderr } = await stage.cli('cat', 'service/checkout', '--proof');
  assert.equal(asked, 2);
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /expected a proof of b3:/);
});

test('diff shows net changes, forwards and backwards', async () => {
  const stage = await openHistory();
  assert.equal((await stage.cli('diff', '0')).stdout, '+ service/checkout\n    + "port": 2\n');
  assert.equal(
    (await stage.cli('diff', '1', '2')).stdout,
    '~ service/checkout\n    - "port": 1\n    + "port": 2\n+ service/payments\n    + "port": 9\n',
  );
  assert.equal(
    (await stage.cli('diff', '2', '1')).stdout,
    '~ service/checkout\n    - "port": 2\n    + "port": 1\n- service/payments\n    - "port": 9\n',
  );
  assert.equal((await stage.cli('diff', '2', '2')).stdout, '');
  const lines = (await stage.cli('diff', '2', '3', '--json')).json();
  assert.deepEqual(lines, [
    {
      kind: 'service',
      id: 'payments',
      before: { kind: 'service', id: 'payments', spec: { port: 9 } },
      after: null,
    },
  ]);
  const past = await stage.cli('diff', '1', '9');
  assert.deepEqual([past.code, past.stdout], [1, '']);
});

test('diff does not take a value on the word of the server', async () => {
  const stage = await openHistory();
  stage.lie(async (path, honest) => {
    const answer = await honest();
    if (!path.startsWith('/registry/diff')) return answer;
    return new Response((await answer.text()).replace('"port":1', '"port":7'), {
      headers: answer.headers,
    });
  });
  const { code, stdout, stderr } = await stage.cli('diff', '1', '2');
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /expected the value b3:[0-9a-f]+ that service\/checkout had, got another/);
});

test('log lists entries, the newest first', async () => {
  const stage = await openHistory();
  const { stdout } = await stage.cli('log', '-n', '2');
  assert.match(stdout, /^3 .* descriptors {2}\+0 ~0 -1 .*\n2 .* descriptors {2}\+1 ~1 -0 .*\n$/);
  const lines = (await stage.cli('log', '--json')).json();
  assert.deepEqual(
    lines.map((line) => [line.version, line.type]),
    [
      [3, 'descriptors'],
      [2, 'descriptors'],
      [1, 'descriptors'],
      [0, 'genesis'],
    ],
  );
});

test('history lists the values of one descriptor, each held against its entry', async () => {
  const stage = await openHistory();
  assert.equal(
    (await stage.cli('history', 'service/checkout')).stdout,
    'version 2 to now  {"port":2}\nversion 1 to version 2  {"port":1}\n',
  );
  const [gone] = (await stage.cli('history', 'service/payments', '--json')).json();
  assert.deepEqual([gone?.set_version, gone?.end_version], [2, 3]);
  assert.equal((await stage.cli('history', 'service/none')).code, 1);
});

for (const [name, lie, message] of [
  [
    'a value no entry put',
    (text: string) => text.replace('"port":1', '"port":7'),
    /expected version 1 to put/,
  ],
  [
    'a newest value that is not the one in force',
    (text: string) => text.replace('"end_version":null', '"end_version":3'),
    /expected the newest value/,
  ],
] as const)
  test(`history refuses ${name}`, async () => {
    const stage = await openHistory();
    stage.lie(async (path, honest) => {
      const answer = await honest();
      if (!path.startsWith('/registry/history')) return answer;
      return new Response(lie(await answer.text()), { headers: answer.headers });
    });
    const { code, stdout, stderr } = await stage.cli('history', 'service/checkout');
    assert.deepEqual([code, stdout], [3, '']);
    assert.match(stderr, message);
  });

test('history goes on where an answer holds fewer values than were asked for', async () => {
  const stage = await openHistory();
  const whole = await stage.cli('history', 'service/checkout');
  const asked: string[] = [];
  stage.lie(async (path, honest) => {
    const answer = await honest();
    if (!path.startsWith('/registry/history')) return answer;
    asked.push(path);
    const { items, ...rest } = await answer.json();
    return Response.json({ ...rest, items: items.slice(0, 1) });
  });
  const { code, stdout } = await stage.cli('history', 'service/checkout');
  assert.deepEqual([code, stdout], [0, whole.stdout]);
  assert.ok(asked.length > 2 && asked.at(-1)?.includes('&before='), asked.join());
});

test('watch prints each version once, also over restarts', async () => {
  const stage = await openHistory();
  const first = await stage.cli('watch', '-n', '2', '--json');
  assert.deepEqual(
    first.json().map((line) => line.version),
    [1, 2],
  );
  const second = await stage.cli('watch', '-n', '1');
  assert.match(
    second.stdout,
    /^3 {2}.* {2}descriptors {2}\+0 ~0 -1 {2}org:acme#signer-000,org:acme#signer-001 {2}/,
  );
});

test('watch prints a version when it is committed, until it is interrupted', async () => {
  const stage = await openCliStage();
  await stage.cli('head');
  const interruption = new AbortController();
  const watching = stage.cliIn(
    {
      interrupt: interruption.signal,
      onOutput: (text) => {
        if (text.startsWith('watching')) void stage.change(put('checkout', { port: 1 }));
        if (text.startsWith('1 ')) interruption.abort(new Interruption(130));
      },
    },
    'watch',
  );
  const { code, stdout } = await watching;
  assert.equal(code, 130);
  assert.match(stdout, /^1 {2}.*\n$/);
});

test('a registry that lost what it had shown is a rollback, with exit code 3', async () => {
  const stage = await openHistory();
  const old = await stage.get('/checkpoint');
  await stage.grow(1);
  await stage.cli('head');
  stage.lie((path, honest) => (path === '/checkpoint' ? old.clone() : honest()));
  const { code, stderr } = await stage.cli('head', '--json');
  assert.equal(code, 3);
  assert.equal(JSON.parse(stderr).code, 'rollback');
});

test('an empty registry is a failure that says how one begins', async () => {
  const stage = await openCliStage({ isBegun: false });
  const { code, stderr } = await stage.cli('head');
  assert.equal(code, 1);
  assert.match(stderr, /`quorate init` begins it/);
});

test('a long catch-up draws a bar on a terminal, wipes it, and draws none elsewhere', async () => {
  const stage = await openCliStage();
  await stage.grow(260);
  const quiet = await stage.cli('head');
  assert.doesNotMatch(quiet.stderr, /\r/);
  const shown = await stage.cliIn(
    { isTerminal: true, env: { QUORATE_STATE: '' } },
    'head',
    '--state',
    stage.file('other'),
  );
  assert.match(shown.stderr, /\r\[#* *\] versions verified \d+\/260\u001b\[K/);
  assert.match(shown.stderr, /\r\u001b\[K$/);
  const silent = await stage.cliIn(
    { isTerminal: true },
    'head',
    '--quiet',
    '--state',
    stage.file('third'),
  );
  assert.equal(silent.stderr, '');
});

test('verify audits every entry from genesis and says what it saw', async () => {
  const stage = await openHistory();
  const [summary] = (await stage.cli('verify', '--json')).json();
  const head = stage.registry.head()?.object;
  assert.deepEqual(
    { ...summary, registry: summary?.registry as Hash },
    {
      origin: head?.origin,
      registry: stage.registryHash,
      version: 3,
      entry_hash: head?.entry_hash,
      committed_at: head?.committed_at,
      set_root: head?.set_root,
      entries: 4,
      pruned: 0,
      erased: [],
      approvals: 9,
      descriptors: 1,
      governances: 1,
      threshold: 2,
      signers: 3,
      checkpoint: {
        size: 4,
        root: stage.registry.checkpoint()?.note.split('\n')[2],
        log_keys: [stage.governance.log_keys[0]?.split('+')[1]],
        cosigned: null,
        fresh_at: null,
      },
      rows: null,
      nodes: null,
      tiles: 2,
    },
  );
  assert.match(
    (await stage.cli('verify')).stdout,
    /^verified registry\.example\.com\/test\nregistry +b3:/,
  );
});

test('verify of a registry that has only begun ends', async () => {
  const stage = await openCliStage();
  const [summary] = (await stage.cli('verify', '--json')).json();
  assert.deepEqual([summary?.entries, summary?.approvals, summary?.descriptors], [1, 3, 0]);
});

test('verify finds an old entry that was changed, though the head is trusted', async () => {
  const stage = await openHistory();
  assert.equal((await stage.cli('head')).code, 0);
  stage.lie(async (path, honest) => {
    const answer = await honest();
    if (!/\/registry\/(entries|2)/.test(path)) return answer;
    return new Response((await answer.text()).replace('"port":9', '"port":8'), {
      headers: answer.headers,
    });
  });
  assert.equal((await stage.cli('head')).code, 0);
  const { code, stdout, stderr } = await stage.cli('verify');
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /^quorate: /);
});
