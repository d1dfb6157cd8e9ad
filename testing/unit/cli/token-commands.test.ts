/** `quorate token`: keys, tokens, what they say and how they end; the token alone on standard output. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parseTokenKeys } from '../../../src/server/token-key.ts';
import { openToken } from '../../../src/server/tokens/make.ts';
import { type CliRun, type CliWorld, runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { START } from '../../support/signers.ts';
import { HOUR, ISSUED, mintRaw, OTHER, PROPOSAL, REGISTRY } from '../../support/tokens.ts';

const directory = makeDirectory();
const KEY = join(directory, 'token.pem');
const PUBLIC = join(directory, 'token.pub');

function token(world: CliWorld, ...argv: readonly string[]): Promise<CliRun> {
  return runCli(['token', ...argv], { now: () => START, ...world });
}

/** Standard output of what must succeed. */
async function done(world: CliWorld, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await token(world, ...argv);
  assert.equal(code, 0, stderr);
  return stdout;
}

const MINT = [
  'mint',
  '--key',
  KEY,
  '--registry',
  REGISTRY,
  '--scope',
  'propose',
  'commit',
] as const;

before(async () => {
  const { code, stdout, stderr } = await token({}, 'keygen', '-o', KEY, '--plain');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ed25519\/[0-9a-f]{64}\n$/);
  assert.equal(readFileSync(PUBLIC, 'utf8'), stdout);
  assert.equal(parseTokenKeys(stdout.trim())?.length, 1);
  assert.equal(statSync(KEY).mode & 0o777, 0o600);
  assert.match(readFileSync(KEY, 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
});

test('a key is never written over, and may be encrypted', async () => {
  const before = readFileSync(KEY);
  const again = await token({}, 'keygen', '-o', KEY, '--plain');
  assert.deepEqual([again.code, again.stdout], [1, '']);
  assert.deepEqual(readFileSync(KEY), before);
  const path = join(directory, 'encrypted.pem');
  const passphrase = join(directory, 'passphrase');
  writeFileSync(passphrase, 'correct horse\n');
  await done({}, 'keygen', '-o', path, '--passphrase-file', passphrase);
  assert.match(readFileSync(path, 'utf8'), /BEGIN ENCRYPTED PRIVATE KEY/);
  const mint = ['mint', '--key', path, '--registry', REGISTRY, '--scope', 'propose'];
  assert.equal((await token({}, ...mint)).code, 1);
  const text = await done({ answers: ['correct horse'] }, ...mint);
  assert.equal(
    await done({}, ...mint, '--passphrase-file', passphrase).then((t) => t.length),
    text.length,
  );
});

test('what is minted is the token and nothing else, for a day unless it says otherwise', async () => {
  const { stdout, stderr } = await token({}, ...MINT);
  assert.match(stdout, /^[A-Za-z0-9_=-]+\n$/);
  assert.match(stderr, /^valid until 2026-11-22T09:00:00\.000Z; revocation id [0-9a-f]{128}\n$/);
  const { grant } = await openToken(stdout.trim());
  assert.deepEqual(grant, {
    registry: REGISTRY,
    scopes: ['propose', 'commit'],
    issued: ISSUED,
    expires: ISSUED + 24 * HOUR,
    caveats: [],
  });
  assert.equal((await token({}, '--quiet', ...MINT)).stderr, '');
});

test('a token is bound to all that it was minted with', async () => {
  const bound = [
    '--kind',
    'service',
    'route',
    '--id-prefix',
    'acme/',
    '--proposal',
    PROPOSAL,
    OTHER,
  ];
  const text = (await done({}, ...MINT, ...bound, '--ttl', '720h')).trim();
  const { grant } = await openToken(text);
  assert.deepEqual(grant.caveats, [
    { kinds: ['service', 'route'] },
    { idPrefix: 'acme/' },
    { proposals: [PROPOSAL, OTHER] },
  ]);
  assert.equal(grant.expires - grant.issued, 720 * HOUR);
});

test('a mint that means nothing is a mistake, and prints nothing', async () => {
  const bare = ['mint', '--key', KEY, '--registry', REGISTRY];
  for (const [argv, code, told] of [
    [bare, 2, /expected --scope with what the token is for/],
    [['mint', '--key', KEY, '--scope', 'propose'], 2, /expected --registry: a token is for one/],
    [['mint', '--registry', REGISTRY, '--scope', 'propose'], 2, /required option '--key/],
    [[...bare, '--scope', 'admin'], 2, /Allowed choices are propose, approve, commit, supersede/],
    [[...MINT, '--ttl', '721h'], 2, /Expected a duration from 1s to 720h/],
    [[...MINT, '--ttl', '0s'], 2, /Expected a duration from 1s to 720h/],
    [[...MINT, '--ttl', '999ms'], 2, /Expected a duration from 1s to 720h/],
    [[...MINT, '--ttl', 'soon'], 2, /Expected a duration from 1s to 720h/],
    [[...MINT, '--proposal', 'b3:00'], 2, /Expected b3: and 64 lower-case hex digits/],
    [[...MINT, '--kind', 'A b'], 1, /expected a kind/],
    [[...MINT, '--id-prefix', '"'], 1, /expected the beginning of an id/],
    [
      ['mint', '--key', PUBLIC, '--registry', REGISTRY, '--scope', 'propose'],
      1,
      /expected a pkcs8 pem key/,
    ],
  ] as const) {
    const run = await token({}, ...argv);
    assert.deepEqual([run.code, run.stdout], [code, ''], argv.join(' '));
    assert.match(run.stderr, told);
  }
});

test('the key of a signer, a log or a cosigner mints nothing, and says whose it is', async () => {
  for (const [name, argv, owner] of [
    ['alice', ['--id', 'org:acme#alice', '--plain'], 'signer org:acme#alice, as .*alice.pub.json'],
    ['log', ['--log', '--origin', 'example.com/r'], 'log example.com/r, as .*log.vkey'],
    ['clock', ['--cosigner', 'example.com/c'], 'cosigner example.com/c, as .*clock.vkey'],
  ] as const) {
    const path = join(directory, `${name}.pem`);
    assert.equal((await runCli(['keygen', '-o', path, ...argv])).code, 0);
    const mint = (key: string) =>
      token({}, 'mint', '--key', key, '--registry', REGISTRY, '--scope', 'propose');
    const { code, stdout, stderr } = await mint(path);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /expected a key for tokens alone at .*: `quorate token keygen` makes one/);
    assert.match(stderr, new RegExp(`got that of ${owner} says`));
    // Beside a file that is about another key nothing is known of it.
    const other = join(makeDirectory(), `${name}.pem`);
    copyFileSync(KEY, other);
    for (const end of ['.pub.json', '.vkey'])
      if (existsSync(path.replace('.pem', end)))
        copyFileSync(path.replace('.pem', end), other.replace('.pem', end));
    assert.equal((await mint(other)).code, 0);
  }
});

test('a mint names its public key where no file beside it does, and in json', async () => {
  const lone = join(makeDirectory(), 'lone.pem');
  copyFileSync(KEY, lone);
  const argv = ['--key', lone, '--registry', REGISTRY, '--scope', 'propose'];
  const { code, stdout, stderr } = await token({}, 'mint', ...argv);
  assert.equal(code, 0);
  assert.match(stdout, /^[A-Za-z0-9_=-]+\n$/);
  assert.equal(stderr.split('\n').at(-2), `for registries whose token_key has ${keyIn(PUBLIC)}`);
  const [printed] = (await token({}, '--json', ...MINT)).json();
  assert.equal(printed?.token_key, keyIn(PUBLIC));
});

test('a key that others can read is worth a warning', async () => {
  const path = join(directory, 'open.pem');
  await done({}, 'keygen', '-o', path, '--plain');
  chmodSync(path, 0o644);
  const { code, stderr } = await token(
    {},
    'mint',
    '--key',
    path,
    '--registry',
    REGISTRY,
    '--scope',
    'commit',
  );
  assert.equal(code, 0);
  assert.match(stderr, /open\.pem is open to others; chmod 600 closes it/);
});

test('a token is narrowed without a key, in a pipe, as often as wanted', async () => {
  const text = await done({}, ...MINT);
  const narrower = await done({ stdin: text }, 'attenuate', '--scope', 'propose', '--ttl', '10m');
  assert.match(narrower, /^[A-Za-z0-9_=-]+\n$/);
  const narrowest = await done({ stdin: narrower }, 'attenuate', '--kind', 'service');
  const opened = await openToken(narrowest.trim(), keyIn(PUBLIC));
  assert.deepEqual(opened.attenuations, [
    [{ operations: ['propose'] }, { expires: ISSUED + 600 }],
    [{ kinds: ['service'] }],
  ]);
  const nothing = await token({ stdin: narrowest }, 'attenuate', '--scope', 'commit');
  assert.deepEqual([nothing.code, nothing.stdout], [1, '']);
  assert.match(nothing.stderr, /got one that allows nothing/);
  const none = await token({ stdin: narrowest }, 'attenuate');
  assert.deepEqual([none.code, none.stdout], [2, '']);
  assert.match(none.stderr, /expected an option that narrows the token/);
});

function keyIn(path: string) {
  return parseTokenKeys(readFileSync(path, 'utf8').trim())?.[0];
}

test('inspect shows what all blocks leave, and whether anybody checked who signed it', async () => {
  const text = await done({}, ...MINT, '--kind', 'service', 'route');
  const stdin = await done(
    { stdin: text },
    ...['attenuate', '--kind', 'service', '--id-prefix', 'acme/', '--proposal', PROPOSAL],
    ...['--scope', 'commit', '--ttl', '90m'],
  );
  const [first = '', second = ''] = (await openToken(stdin.trim())).revocationIds;
  assert.deepEqual((await done({ stdin }, 'inspect')).split('\n'), [
    `registry    ${REGISTRY}`,
    'allows      commit',
    'kinds       service',
    'ids         acme/...',
    `proposal    ${PROPOSAL}`,
    'issued      2026-11-21T09:00:00.000Z',
    'expires     2026-11-21T10:30:00.000Z, in 1 hour',
    'signature   not checked: anybody may have written this; --key checks it',
    `revoked by  ${first}`,
    `or by       ${second}`,
    '',
  ]);
  const key = keyIn(PUBLIC);
  for (const given of [PUBLIC, key ?? ''])
    assert.deepEqual((await token({ stdin }, 'inspect', '--json', '--key', given)).json(), [
      {
        registry: REGISTRY,
        scopes: ['commit'],
        kinds: ['service'],
        id_prefix: 'acme/',
        proposals: [PROPOSAL],
        issued_at: '2026-11-21T09:00:00.000Z',
        expires_at: '2026-11-21T10:30:00.000Z',
        revocation_ids: [first, second],
        signed_by: key,
      },
    ]);
  const late = await done({ stdin, now: () => START + 2 * HOUR * 1000 }, 'inspect');
  assert.match(late, /expires {5}2026-11-21T10:30:00\.000Z, 30 minutes ago/);
});

test('a token of another key fails verification, and what is no token is refused without being quoted', async () => {
  const stdin = await done({}, ...MINT);
  const other = join(directory, 'other.pem');
  await done({}, 'keygen', '-o', other, '--plain');
  const run = await token({ stdin }, 'inspect', '--key', join(directory, 'other.pub'));
  assert.deepEqual([run.code, run.stdout], [3, '']);
  assert.match(run.stderr, /expected a token signed by ed25519\/[0-9a-f]{64}, got another/);
  assert.equal((await token({ stdin }, 'inspect', '--key', 'ed25519/00')).code, 2);
  const foreign = await mintRaw(
    {
      privateKey: createPrivateKey(readFileSync(KEY)),
      key: keyIn(PUBLIC) ?? 'ed25519/',
    },
    'user("alice");',
  );
  for (const text of [stdin.slice(0, 80), `${stdin.trim()}AAAA`, foreign, 'not a token'])
    for (const command of [
      ['inspect'],
      ['attenuate', '--scope', 'propose'],
      ['revoke', join(directory, 'none')],
    ]) {
      const { code, stdout, stderr } = await token({ stdin: text }, ...command);
      assert.deepEqual([code, stdout], [1, '']);
      assert.ok(!stderr.includes(text.slice(0, 30)), stderr);
    }
  const empty = await token({ stdin: '\n' }, 'inspect');
  assert.equal(empty.code, 1);
  assert.match(empty.stderr, /expected a token in standard input, got nothing/);
});

test('revoke adds the newest id of a token, or the ids it is given, each once', async () => {
  const list = join(directory, 'revoked');
  const text = await done({}, ...MINT);
  const stdin = await done({ stdin: text }, 'attenuate', '--scope', 'propose');
  const [first = '', second = ''] = (await openToken(stdin.trim())).revocationIds;
  const run = await token({ stdin }, 'revoke', list);
  assert.deepEqual([run.code, run.stdout], [0, `${second}\n`]);
  assert.equal(run.stderr, `1 id added to ${list}, 1 now\n`);
  assert.equal(readFileSync(list, 'utf8'), `${second}\n`);
  const again = await token({}, 'revoke', list, '--json', '--id', first, second);
  assert.deepEqual(again.json(), [{ revoked: first }, { revoked: second }]);
  assert.equal(again.stderr, `1 id added to ${list}, 2 now\n`);
  assert.equal(readFileSync(list, 'utf8'), `${second}\n${first}\n`);
  const wrong = await token({}, 'revoke', list, '--id', 'ABCD');
  assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /expected --id with 128 lower-case hex digits, got "ABCD"/);
  assert.equal(existsSync(`${list}.next`), false);
});

test('a token comes from a file, standard input or the environment, and never from two of them', async () => {
  const [text, other] = [await done({}, ...MINT), await done({}, ...MINT)];
  const path = join(directory, 'a.token');
  writeFileSync(path, text, { mode: 0o600 });
  const idOf = async (written: string) => (await openToken(written.trim())).revocationIds[0];
  const taken = async (world: CliWorld, ...argv: readonly string[]) => {
    const run = await token(world, '--json', 'inspect', ...argv);
    assert.equal(run.code, 0, run.stderr);
    const [{ revocation_ids: ids } = {}] = run.json();
    return { id: Array.isArray(ids) ? ids[0] : undefined, stderr: run.stderr };
  };
  const [ours, others] = [await idOf(text), await idOf(other)];
  const told = 'quorate: the token of the environment\n';
  assert.deepEqual(await taken({ stdin: text }), { id: ours, stderr: '' });
  assert.deepEqual(await taken({ stdin: text }, '--token-file', '-'), { id: ours, stderr: '' });
  assert.deepEqual(await taken({}, '--token-file', path), { id: ours, stderr: '' });
  const file = { env: { QUORATE_TOKEN_FILE: path }, stdin: other };
  const itself = { env: { QUORATE_TOKEN: text }, stdin: other };
  assert.deepEqual(await taken(file), { id: ours, stderr: told });
  assert.deepEqual(await taken(itself), { id: ours, stderr: told });
  assert.deepEqual(await taken(itself, '--token-file', '-'), { id: others, stderr: '' });
  const second = join(directory, 'b.token');
  writeFileSync(second, other, { mode: 0o600 });
  assert.deepEqual(await taken(file, '--token-file', second), { id: others, stderr: '' });
  const both = { env: { ...file.env, ...itself.env } };
  const run = await token(both, 'inspect');
  assert.equal(run.code, 2);
  assert.match(run.stderr, /expected one of QUORATE_TOKEN and QUORATE_TOKEN_FILE, got both/);
  assert.deepEqual(await taken(both, '--token-file', path), { id: ours, stderr: '' });
  chmodSync(second, 0o640);
  const open = `warning: ${second} is open to others; chmod 600 closes it\n`;
  assert.deepEqual(await taken(file, '--token-file', second), { id: others, stderr: open });
  const quiet = await token({}, '--quiet', 'inspect', '--token-file', second);
  assert.deepEqual([quiet.code, quiet.stderr], [0, '']);
  const missing = await token({}, 'inspect', '--token-file', join(directory, 'nowhere'));
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /expected a readable file at .*nowhere, got ENOENT/);
});
