/** The few Datalog forms a block may hold: read as they were written, and nothing beside them evaluated. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { OPERATIONS } from '../../../src/http/authority.ts';
import { allowanceOf } from '../../../src/server/tokens/allowance.ts';
import {
  type Caveat,
  encodeCaveats,
  encodeGrant,
  type Grant,
  MAX_KINDS,
  readCaveats,
  readGrant,
  SCOPES,
} from '../../../src/server/tokens/datalog.ts';
import { attenuateToken, openToken } from '../../../src/server/tokens/make.ts';
import {
  decodeToken,
  MAX_BLOCKS,
  MAX_LIFETIME_SECONDS,
  MAX_TOKEN_CHARS,
} from '../../../src/server/tokens/token.ts';
import {
  appendRaw,
  attemptOf,
  grantOf,
  HOUR,
  ISSUED,
  makeTokenKey,
  mint,
  mintRaw,
  OTHER,
  openTestAuthority,
  PROPOSAL,
  REGISTRY,
  rebuilt,
} from '../../support/tokens.ts';

const KEY = makeTokenKey();

const some = <T>(values: fc.Arbitrary<T>) => fc.uniqueArray(values, { minLength: 1, maxLength: 3 });
const PLAIN = { noNullPrototype: true };
const seconds = fc.integer({ min: ISSUED, max: ISSUED + HOUR });
const hash = fc.constantFrom(REGISTRY, PROPOSAL, OTHER);
const operations = some(fc.constantFrom(...OPERATIONS));
const caveat: fc.Arbitrary<Caveat> = fc.oneof(
  fc.record({ operations }, PLAIN),
  fc.record({ kinds: some(fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/)) }, PLAIN),
  fc.record({ idPrefix: fc.stringMatching(/^[A-Za-z0-9._~:@/+-]{1,40}$/) }, PLAIN),
  fc.record({ proposals: some(hash) }, PLAIN),
  fc.record({ expires: seconds }, PLAIN),
);
const caveats = fc.array(caveat, { maxLength: 4 });
const grant: fc.Arbitrary<Grant> = fc.record(
  {
    registry: hash,
    scopes: operations,
    issued: fc.constant(ISSUED),
    expires: fc.integer({ min: ISSUED + 1, max: ISSUED + HOUR }),
    caveats,
  },
  PLAIN,
);

test('what was minted and attenuated is read back as it was meant, with or without the key', async () => {
  await fc.assert(
    fc.asyncProperty(
      grant,
      fc.array(fc.tuple(caveat, caveats), { maxLength: 2 }),
      async (g, more) => {
        assert.deepEqual(readGrant(encodeGrant(g)), g);
        let token = await mint(KEY, g);
        const attenuations = more.map(([first, others]) => [first, ...others]);
        for (const block of attenuations) {
          assert.deepEqual(readCaveats(encodeCaveats(block)), block);
          if (token.length < MAX_TOKEN_CHARS / 2) token = await attenuateToken(token, block);
        }
        const [signed, unsigned] = [await openToken(token, KEY.key), await openToken(token)];
        assert.deepEqual(signed.grant, g);
        assert.deepEqual(signed.attenuations, attenuations.slice(0, signed.attenuations.length));
        assert.deepEqual({ ...unsigned, key: KEY.key }, signed);
        assert.deepEqual(unsigned.bytes, decodeToken(token));
      },
    ),
    { numRuns: 60 },
  );
});

const REFUSED_GRANTS: Readonly<Record<string, (whole: string) => string>> = {
  'no registry': (whole) => whole.replace(/registry.*;\n/, ''),
  'two registries': (whole) => `registry("${OTHER}");\n${whole}`,
  'a registry that is no hash': (whole) => whole.replace(REGISTRY, 'b3:00'),
  'no scope': (whole) => whole.replace(/scope.*;\n/g, ''),
  'an unknown scope': (whole) => whole.replace('"commit"', '"admin"'),
  'no issue': (whole) => whole.replace(/issued.*;\n/, ''),
  'two issues': (whole) => `${whole}issued(1);\n`,
  'no expiry': (whole) => whole.replace(/expires.*;\n/, ''),
  'two expiries': (whole) => `${whole}expires(${ISSUED + 60});\n`,
  'an expiry as text': (whole) => whole.replace(/expires\((\d+)\)/, 'expires("$1")'),
  'a date': (whole) => whole.replace(/expires\(\d+\)/, 'expires(2026-11-21T10:00:00Z)'),
  'a negative time': (whole) => whole.replace(/issued\(\d+\)/, 'issued(-1)'),
  'two terms': (whole) => whole.replace('scope("commit")', 'scope("commit", "commit")'),
  'an unknown fact': (whole) => `${whole}user("alice");\n`,
  'a rule': (whole) => `${whole}scope("commit") <- scope("propose");\n`,
  'an unknown check': (whole) => `${whole}check if user("alice");\n`,
};

for (const [name, change] of Object.entries(REFUSED_GRANTS))
  test(`a first block with ${name} is no grant`, async (t) => {
    const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
    const whole = encodeGrant(grantOf());
    assert.equal(await ask(await mintRaw(KEY, whole)), 'allowed');
    const changed = change(whole);
    assert.notEqual(changed, whole);
    assert.equal(await ask(await mintRaw(KEY, changed)), 'unauthenticated');
  });

/** Each would hold, were it evaluated. */
const REFUSED_BLOCKS: Readonly<Record<string, string>> = {
  'another variable': `check if now($t), $t < ${ISSUED + HOUR}`,
  'another comparison': `check if now($now), $now <= ${ISSUED + HOUR}`,
  'one kind of all': 'check if kind($kind), ["service"].contains($kind)',
  'a set': 'check all kind($kind), {"route", "service"}.contains($kind)',
  'two facts in one check': 'check if operation("propose"), kind("service")',
  'two facts in turn': 'check if operation("propose") or kind("service")',
  'a pattern': 'check if id_prefix($prefix), $prefix.matches("^acme/.*")',
  'another method': 'check if id_prefix($prefix), $prefix.contains("acme/")',
  'a closure': 'check if [1, 2].all($p -> $p > 0)',
  'a refusal': 'reject if operation("commit")',
  'a constant': 'check if true',
  'a fact': 'note("hello")',
};

for (const [name, code] of Object.entries(REFUSED_BLOCKS))
  test(`an appended block with ${name} is not understood, and so refused`, async (t) => {
    const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
    const token = await mint(KEY);
    assert.equal(await ask(token), 'allowed');
    assert.equal(await ask(await appendRaw(token, KEY, `${code};`)), 'unauthenticated');
  });

test('what would take a stranger hours to evaluate is refused unread', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const token = await mint(KEY);
  const list = `[${Array.from({ length: 40 }, (_, i) => i)}]`;
  const nested = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].reduceRight(
    (inner, name) => `${list}.all($${name} -> ${inner})`,
    '$a + $b + $c + $d > -1',
  );
  const join = Array.from({ length: 12 }, (_, i) => `kind($k${i})`).join(', ');
  for (const code of [
    `check if ${nested}`,
    `check if ${join}, 1 == 2`,
    `a($x) <- ${join}, kind($x)`,
  ])
    assert.equal(await ask(await appendRaw(token, KEY, `${code};`)), 'unauthenticated');
});

test('text in a block ends where it ends: quotes, line ends and other alphabets make no check of their own', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const token = await mint(KEY, { scopes: ['propose', 'commit'] });
  // The library prints each of these texts as it is, and two of them read like known forms.
  for (const text of [
    'propose\\") or operation(\\"commit',
    'propose\\");\\ncheck if now($now), $now < 9',
    'proposе',
    'pro\\npose',
    '',
  ])
    for (const operation of ['propose', 'commit'] as const)
      assert.notEqual(
        await ask(
          await appendRaw(token, KEY, `check if operation("${text}");`),
          attemptOf({ operation }),
        ),
        'allowed',
        text,
      );
});

test('a value that no token can say is refused before it is signed', () => {
  const wrong: readonly Caveat[] = [
    { kinds: [] },
    { kinds: ['a"'] },
    { kinds: ['A'] },
    { idPrefix: '' },
    { idPrefix: 'a b' },
    { idPrefix: 'a")' },
    { idPrefix: 'a'.repeat(257) },
    { proposals: [] },
    { proposals: ['b3:00'] },
    { operations: [] },
    { expires: 1.5 },
    { expires: -1 },
    { expires: Number.NaN },
    { expires: 253_402_300_800 },
  ];
  for (const one of wrong)
    assert.throws(() => encodeCaveats([one]), { code: 'invalid_request' }, JSON.stringify(one));
  for (const changed of [{ scopes: [] }, { registry: 'b3:00' }, { issued: -1 }] as const)
    assert.throws(() => encodeGrant(grantOf(changed)), { code: 'invalid_request' });
});

test('a sealed token is taken as it is, and narrowed no more', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const sealed = await rebuilt(await mint(KEY), KEY, (token) => token.sealToken());
  assert.equal(await ask(sealed), 'allowed');
  await openToken(sealed, KEY.key);
  await assert.rejects(attenuateToken(sealed, [{ kinds: ['service'] }]), {
    code: 'invalid_request',
    message: 'expected a token as `quorate token mint` makes them, got one of another form',
  });
});

test('a block of a third party is one more block: it may narrow and not widen', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const token = await mint(KEY, { scopes: ['propose', 'commit'] });
  const withThird = (code: string) =>
    rebuilt(token, KEY, (opened, biscuit) => {
      using pair = new biscuit.KeyPair(biscuit.SignatureAlgorithm.Ed25519);
      using block = biscuit.Biscuit.block_builder();
      block.addCode(code);
      // The library takes apart what it is given.
      const third = opened.getThirdPartyRequest().createBlock(pair.getPrivateKey(), block);
      return opened.appendThirdPartyBlock(pair.getPublicKey(), third);
    });
  const narrower = await withThird('check if operation("propose");');
  assert.equal(await ask(narrower), 'allowed');
  assert.equal(await ask(narrower, attemptOf({ operation: 'commit' })), 'forbidden');
  assert.equal(await ask(await withThird('scope("approve");')), 'unauthenticated');
  // Signed together with the block before it: only who knows the root key can open it.
  await openToken(narrower, KEY.key);
  await assert.rejects(openToken(narrower), { code: 'invalid_request' });
});

test('a token grows to its bounds and not past them', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  let token = await mint(KEY);
  for (let blocks = 1; blocks < 16; blocks++)
    token = await attenuateToken(token, [{ operations: ['propose'] }]);
  assert.equal(await ask(token), 'allowed');
  await assert.rejects(attenuateToken(token, [{ operations: ['propose'] }]), {
    code: 'invalid_request',
    message: /^expected a token of less than 16 blocks/,
  });
  const one = await appendRaw(token, KEY, 'check if operation("propose");');
  assert.ok(one.length <= MAX_TOKEN_CHARS);
  assert.equal(await ask(one), 'unauthenticated');
  const kinds = Array.from({ length: 60 }, (_, i) => `kind-${i}-${'x'.repeat(50)}`);
  const long = await mintRaw(KEY, encodeGrant(grantOf({ caveats: [{ kinds }] })));
  assert.ok(long.length > MAX_TOKEN_CHARS && long.length < 2 * MAX_TOKEN_CHARS);
  assert.equal(await ask(long), 'unauthenticated');
  await assert.rejects(mint(KEY, { caveats: [{ kinds }] }), {
    code: 'invalid_request',
    message: new RegExp(`^expected a token of at most ${MAX_TOKEN_CHARS} characters`),
  });
});

test('what is left of a token is what all its blocks allow', async () => {
  const allowed = async (...blocks: readonly (readonly Caveat[])[]) => {
    let token = await mint(KEY, { scopes: ['propose', 'approve', 'commit'] });
    for (const block of blocks) token = await attenuateToken(token, block);
    const { operations, kinds, idPrefix, proposals } = allowanceOf(await openToken(token));
    return { operations, kinds, idPrefix, proposals };
  };
  const all = { kinds: null, idPrefix: null, proposals: null };
  assert.deepEqual(await allowed(), { ...all, operations: ['propose', 'approve', 'commit'] });
  assert.deepEqual(
    await allowed(
      [{ operations: ['commit', 'propose'] }],
      [{ operations: ['commit', 'supersede'] }],
    ),
    { ...all, operations: ['commit'] },
  );
  assert.deepEqual(
    await allowed(
      [{ kinds: ['a', 'b'] }, { idPrefix: 'acme/web' }, { proposals: [PROPOSAL, OTHER] }],
      [{ kinds: ['b', 'c'] }, { idPrefix: 'acme/' }, { proposals: [OTHER] }],
    ),
    {
      operations: ['propose', 'approve', 'commit'],
      kinds: ['b'],
      idPrefix: 'acme/web',
      proposals: [OTHER],
    },
  );
  for (const excluding of [
    [{ kinds: ['a'] }, { kinds: ['b'] }],
    [{ idPrefix: 'a/' }, { idPrefix: 'b/' }],
    [{ proposals: [PROPOSAL] }, { proposals: [OTHER] }],
    [{ operations: ['supersede'] }],
  ] as const)
    assert.deepEqual((await allowed(excluding)).operations, []);
});

test('what is no token is told apart from what is one, without a key', async () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  for (const bytes of [[], [0], [0x12, 0xff], [0x12, 0x00], [...spki], [0x12, 0x02, 0x0a, 0x00]]) {
    const text = Buffer.from(bytes).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
    await assert.rejects(openToken(text), ({ code }) => {
      assert.match(code, /^(?:invalid_request|unauthenticated)$/);
      return true;
    });
  }
});

test('docs/tokens.md shows each form as the library prints it, and the bounds that hold', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/tokens.md'), 'utf8');
  const [, shown = ''] = /^```\n(registry[\s\S]*?)^```$/m.exec(page) ?? [];
  const source = shown.replaceAll('b3:...', REGISTRY);
  const { issued, expires, caveats: read } = readGrant(source);
  assert.deepEqual([issued, expires], [ISSUED, ISSUED + HOUR]);
  assert.deepEqual(
    read.flatMap((one) => Object.keys(one)),
    ['operations', 'kinds', 'idPrefix', 'proposals', 'expires'],
  );
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const attempt = attemptOf({ proposal: REGISTRY });
  assert.equal(await ask(await mintRaw(KEY, source), attempt), 'allowed');
  const rows = [...page.matchAll(/^\| `([a-z]+)` \| `(?:POST|PUT) /gm)].map(([, scope]) => scope);
  assert.deepEqual(rows, SCOPES);
  for (const bound of ['4,096 characters and 16 blocks', 'more than 64 kinds', '30 days at most'])
    assert.ok(page.includes(bound), bound);
  assert.deepEqual(
    [MAX_TOKEN_CHARS, MAX_BLOCKS, MAX_KINDS, MAX_LIFETIME_SECONDS],
    [4_096, 16, 64, 30 * 24 * HOUR],
  );
});
