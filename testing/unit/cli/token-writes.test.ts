/** Commands that write bring the token they are given; whatever reads goes without. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { createClient } from '../../../src/client/create.ts';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import type { CliWorld } from '../../support/cli-io.ts';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { URL_BASE } from '../../support/client-server.ts';
import { LOG_SIGNER, ORIGIN } from '../../support/signers.ts';

const TOKEN = 'c3RvbGVu';
const SIGNER_NAMES = ['signer-000', 'signer-001', 'signer-002'];

/** `Authorization` of every request, by method and the first words of its path. */
function watch(stage: CliStage): Map<string, Set<string | null>> {
  const seen = new Map<string, Set<string | null>>();
  stage.lie((path, honest, request) => {
    const route = `${request.method} ${path.split('/').slice(0, 3).join('/')}`;
    seen.set(route, (seen.get(route) ?? new Set()).add(request.headers.get('authorization')));
    return honest();
  });
  return seen;
}

function assertOnlyWrites(seen: Map<string, Set<string | null>>, routes: readonly string[]): void {
  const writes = [...seen].filter(([route]) => route.startsWith('POST'));
  assert.deepEqual(writes.map(([route]) => route).sort(), [...routes].sort());
  for (const [, headers] of writes) assert.deepEqual([...headers], [`Bearer ${TOKEN}`]);
  const reads = [...seen].filter(([route]) => !route.startsWith('POST'));
  assert.ok(reads.length > 0);
  for (const [, headers] of reads) assert.deepEqual([...headers], [null]);
}

/** Runs each command; the token given in turn in each of the ways there are. */
function runner(stage: CliStage) {
  const path = stage.file('a.token');
  writeFileSync(path, `${TOKEN}\n`);
  const ways: readonly (readonly [CliWorld, readonly string[]])[] = [
    [{}, ['--token-file', path]],
    [{ env: { QUORATE_TOKEN: TOKEN } }, []],
    [{ env: { QUORATE_TOKEN_FILE: path } }, []],
    [{ stdin: `${TOKEN}\n` }, ['--token-file', '-']],
  ];
  let turn = 0;
  return async (...argv: readonly string[]) => {
    const [world, options] = ways[turn++ % ways.length] ?? assert.fail();
    const { code, stdout, stderr } = await stage.cliIn(world, ...options, ...argv);
    assert.equal(code, 0, stderr);
    assert.ok(!(stdout + stderr).includes(TOKEN));
    // The stage answers under a name, over plain HTTP.
    const isWrite = !['head', 'ls', 'proposals'].includes(argv[0] ?? '');
    assert.equal(stderr.includes(`the token goes to ${URL_BASE} without encryption`), isWrite);
    return stdout.trim();
  };
}

test('proposing, approving, committing and superseding bring the token, and reading does not', async () => {
  const stage = await openCliStage();
  const seen = watch(stage);
  const run = runner(stage);
  const declared = stage.write('set.json', [{ kind: 'service', id: 'checkout', spec: {} }]);
  const id = await run('propose', '-f', declared);
  for (const name of SIGNER_NAMES)
    await run('approve', id, '--key', stage.file(`${name}.pem`), '-y');
  await run('commit', id);
  await run('supersede', '--reason', 'Other', '--no-changes');
  await run('head');
  await run('ls');
  await run('proposals');
  assertOnlyWrites(seen, [
    'POST /registry/proposals',
    'POST /registry/approvals',
    'POST /registry/commit',
    'POST /registry/supersede',
  ]);
});

test('init commit over http brings the token with each of its writes, also one from standard input', async () => {
  const stage = await openCliStage({ isBegun: false });
  const { publicKey } = LOG_SIGNER;
  stage.write('log.vkey', `${encodeVerifierKey({ name: ORIGIN, publicKey })}\n`);
  const genesis = stage.file('genesis.json');
  const signers = SIGNER_NAMES.map((name) => stage.file(`${name}.pub.json`));
  const init = ['init', '--origin', ORIGIN, '--threshold', '2', '-o', genesis];
  await stage.cli(...init, '--log-key', stage.file('log.vkey'), '--signer', ...signers);
  const approvals: string[] = [];
  for (const name of SIGNER_NAMES) {
    const path = stage.file(`${name}.approval.json`);
    await stage.cli('approve', genesis, '--key', stage.file(`${name}.pem`), '-y', '-o', path);
    approvals.push(path);
  }
  const seen = watch(stage);
  const world = { stdin: TOKEN };
  const run = await stage.cliIn(
    world,
    '--token-file',
    '-',
    'init',
    'commit',
    genesis,
    ...approvals,
  );
  assert.equal(run.code, 0, run.stderr);
  assertOnlyWrites(seen, [
    'POST /registry/proposals',
    'POST /registry/approvals',
    'POST /registry/commit',
  ]);
  // Five writes, one remark.
  assert.equal(run.stderr.split('without encryption').length, 2);
});

test('a token that stays on this machine, or goes by TLS, is not remarked upon', async () => {
  const stage = await openCliStage();
  const declared = stage.write('set.json', [{ kind: 'service', id: 'checkout', spec: {} }]);
  for (const [url, isTold] of [
    ['http://127.0.0.1:7070', false],
    ['http://127.0.1.1:7070', false],
    ['http://[::1]:7070', false],
    ['http://localhost', false],
    ['https://registry.test', false],
    ['http://127.0.0.1.registry.test', true],
    ['http://10.0.0.1', true],
  ] as const) {
    const { stderr } = await stage.cliIn(
      {
        env: { QUORATE_TOKEN: TOKEN },
        connect: (given) =>
          createClient({
            ...given,
            url: URL_BASE,
            fetch: stage.fetch,
          }),
      },
      ...['--url', url, 'propose', '-f', declared],
    );
    assert.equal(stderr.includes('without encryption'), isTold, `${url}: ${stderr}`);
  }
});

test('a token that cannot be read, or is none, stops a write before it is sent, and a read not at all', async () => {
  const stage = await openCliStage();
  const seen = watch(stage);
  const declared = stage.write('set.json', [{ kind: 'service', id: 'checkout', spec: {} }]);
  const secret = 'not a token\nof one line';
  const wrong = stage.write('wrong.token', secret);
  const nowhere = stage.file('nowhere');
  for (const [path, told] of [
    [wrong, /expected a token: 1 to 4096 of \[A-Za-z0-9_=-\], got 23 other characters/],
    [nowhere, /expected a readable file at .*nowhere, got ENOENT/],
  ] as const) {
    const run = await stage.cli('--token-file', path, 'propose', '-f', declared);
    assert.deepEqual([run.code, run.stdout], [1, '']);
    assert.match(run.stderr, told);
    assert.ok(!run.stderr.includes('of one line'));
    assert.equal((await stage.cli('--token-file', path, 'head')).code, 0);
  }
  assert.ok(![...seen.keys()].some((route) => route.startsWith('POST')));
});
