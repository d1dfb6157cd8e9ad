/** What tokens allow: each scope, each caveat at its boundary, time, keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attempt } from '../../../src/http/authority.ts';
import {
  type Caveat,
  encodeAttempt,
  MAX_KINDS,
  SCOPES,
} from '../../../src/server/tokens/datalog.ts';
import { attenuateToken, openToken } from '../../../src/server/tokens/make.ts';
import { MAX_LIFETIME_SECONDS } from '../../../src/server/tokens/token.ts';
import {
  appendRaw,
  attemptOf,
  HOUR,
  ISSUED,
  makeTokenKey,
  mint,
  mintRaw,
  OTHER,
  openTestAuthority,
  PROPOSAL,
  REGISTRY,
} from '../../support/tokens.ts';

const KEY = makeTokenKey();
const KEYS = [KEY.key];

test('a token allows the operations of its scopes and no other', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: KEYS });
  for (const scope of SCOPES) {
    const token = await mint(KEY, { scopes: [scope] });
    for (const operation of SCOPES)
      assert.equal(
        await ask(token, attemptOf({ operation })),
        operation === scope ? 'allowed' : 'forbidden',
        `${scope}: ${operation}`,
      );
  }
  const both = await mint(KEY, { scopes: ['propose', 'commit'] });
  const answers = await Promise.all(SCOPES.map((operation) => ask(both, attemptOf({ operation }))));
  assert.deepEqual(answers, ['allowed', 'forbidden', 'allowed', 'forbidden', 'forbidden']);
});

test('a token that is bound to kinds, ids or proposals puts no blob', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: KEYS });
  const blob = attemptOf({ operation: 'blob', proposal: null, kinds: [], idPrefix: null });
  assert.equal(await ask(await mint(KEY, { scopes: ['blob'] }), blob), 'allowed');
  const bounds: readonly Caveat[] = [
    { kinds: ['service'] },
    { idPrefix: 'acme/' },
    { proposals: [`b3:${'0'.repeat(64)}`] },
    { operations: ['propose'] },
  ];
  for (const caveat of bounds)
    assert.equal(
      await ask(await mint(KEY, { scopes: ['blob'], caveats: [caveat] }), blob),
      'forbidden',
      JSON.stringify(caveat),
    );
});

/** A caveat, attempts that it allows, and attempts that it refuses. */
const BOUNDARIES: readonly {
  readonly caveat: Caveat;
  readonly allowed: readonly Partial<Attempt>[];
  readonly refused: readonly Partial<Attempt>[];
}[] = [
  {
    caveat: { operations: ['propose', 'commit'] },
    allowed: [{}, { operation: 'commit' }, { kinds: [], idPrefix: null }],
    refused: [{ operation: 'approve' }, { operation: 'supersede' }],
  },
  {
    caveat: { kinds: ['service'] },
    allowed: [{ kinds: ['service'] }],
    refused: [
      {},
      { kinds: ['route'] },
      { kinds: ['servic'] },
      { kinds: ['services'] },
      { kinds: [], idPrefix: null },
    ],
  },
  {
    caveat: { kinds: ['route', 'service', 'zone'] },
    allowed: [{}, { kinds: ['zone'] }, { kinds: ['route', 'service', 'zone'] }],
    refused: [{ kinds: ['alien', 'route', 'service'] }, { kinds: ['route', 'service', 'zones'] }],
  },
  {
    caveat: { idPrefix: 'acme/' },
    allowed: [{}, { idPrefix: 'acme/' }],
    refused: [
      { idPrefix: 'acme' },
      { idPrefix: '' },
      { idPrefix: 'acme-evil/' },
      { idPrefix: 'x/acme/' },
      { idPrefix: 'ACME/' },
      { kinds: [], idPrefix: null },
    ],
  },
  {
    caveat: { proposals: [PROPOSAL] },
    allowed: [{}, { kinds: [], idPrefix: null }],
    refused: [{ proposal: OTHER }, { proposal: REGISTRY }],
  },
  {
    caveat: { proposals: [OTHER, PROPOSAL] },
    allowed: [{}, { proposal: OTHER }],
    refused: [{ proposal: REGISTRY }],
  },
];

for (const { caveat, allowed, refused } of BOUNDARIES)
  test(`${JSON.stringify(caveat).slice(0, 60)} holds up to its boundary, minted or attenuated`, async (t) => {
    const { ask } = await openTestAuthority(t, { keys: KEYS });
    const whole = await mint(KEY);
    const tokens = [await mint(KEY, { caveats: [caveat] }), await attenuateToken(whole, [caveat])];
    for (const token of tokens) {
      for (const attempt of allowed)
        assert.equal(await ask(token, attemptOf(attempt)), 'allowed', JSON.stringify(attempt));
      for (const attempt of refused) {
        assert.equal(await ask(token, attemptOf(attempt)), 'forbidden', JSON.stringify(attempt));
        assert.equal(await ask(whole, attemptOf(attempt)), 'allowed');
      }
    }
  });

test('a token is for its registry alone, also for the genesis that begins it', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: KEYS });
  const token = await mint(KEY);
  assert.equal(await ask(token, attemptOf({ registry: OTHER })), 'forbidden');
  const genesis = { registry: REGISTRY, proposal: REGISTRY, kinds: [], idPrefix: null };
  for (const operation of ['propose', 'approve', 'commit'] as const)
    assert.equal(await ask(token, attemptOf({ ...genesis, operation })), 'allowed');
  const other = { ...genesis, registry: OTHER, proposal: OTHER };
  assert.equal(await ask(token, attemptOf(other)), 'forbidden');
});

test('all blocks must allow an attempt: a later one gives nothing back', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: KEYS });
  let token = await mint(KEY, { caveats: [{ kinds: ['route', 'service'] }] });
  assert.equal(await ask(token), 'allowed');
  token = await attenuateToken(token, [{ kinds: ['service'] }]);
  assert.equal(await ask(token), 'forbidden');
  assert.equal(await ask(token, attemptOf({ kinds: ['service'] })), 'allowed');
  token = await attenuateToken(token, [{ kinds: ['route', 'service', 'zone'] }]);
  assert.equal(await ask(token), 'forbidden');
  token = await attenuateToken(token, [{ idPrefix: 'acme/web' }, { operations: ['propose'] }]);
  assert.equal(await ask(token, attemptOf({ kinds: ['service'] })), 'allowed');
  assert.equal(
    await ask(token, attemptOf({ kinds: ['service'], operation: 'commit' })),
    'forbidden',
  );
});

test('a payload of very many kinds is refused to a token that is bound to kinds, at no cost', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: KEYS });
  const kindsOf = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`).sort();
  const most = kindsOf(MAX_KINDS);
  const bound = await mint(KEY, { caveats: [{ kinds: kindsOf(MAX_KINDS + 1) }] });
  assert.equal(await ask(bound, attemptOf({ kinds: most })), 'allowed');
  assert.equal(await ask(bound, attemptOf({ kinds: kindsOf(MAX_KINDS + 1) })), 'forbidden');
  const many = kindsOf(10_000);
  const free = await mint(KEY);
  for (const token of [bound, free]) {
    const attempt = attemptOf({ kinds: many });
    assert.equal(await ask(token, attempt), token === free ? 'allowed' : 'forbidden');
    assert.ok(encodeAttempt(attempt, ISSUED).length < 1_000);
  }
});

test('a token lives from its issue, with a minute of leeway, to its expiry, and not a second more', async (t) => {
  const { ask, timers } = await openTestAuthority(t, { keys: KEYS });
  const token = await mint(KEY, { issued: ISSUED + 60, expires: ISSUED + 100 });
  const early = await mint(KEY, { issued: ISSUED + 61, expires: ISSUED + 100 });
  assert.deepEqual([await ask(token), await ask(early)], ['allowed', 'unauthenticated']);
  timers.advance(99_999);
  assert.deepEqual([await ask(token), await ask(early)], ['allowed', 'allowed']);
  timers.advance(1);
  assert.deepEqual([await ask(token), await ask(early)], ['unauthenticated', 'unauthenticated']);
});

test('a clock that is set back or forth is believed at once, whatever was found before', async (t) => {
  const { ask, timers } = await openTestAuthority(t, { keys: KEYS });
  const token = await mint(KEY);
  assert.equal(await ask(token), 'allowed');
  timers.advance(2 * HOUR * 1000);
  assert.equal(await ask(token), 'unauthenticated');
  timers.advance(-2 * HOUR * 1000);
  assert.equal(await ask(token), 'allowed');
  timers.advance(-HOUR * 1000);
  assert.equal(await ask(token), 'unauthenticated');
});

test('who was authenticated before a token expired or was refused is asked again', async (t) => {
  const { authority, timers } = await openTestAuthority(t, { keys: KEYS });
  const principal = await authority().authenticate(await mint(KEY));
  await principal.authorize(attemptOf());
  timers.advance(HOUR * 1000);
  await assert.rejects(principal.authorize(attemptOf()), { code: 'unauthenticated' });
});

test('an attenuation shortens a life and never lengthens one', async (t) => {
  const { ask, timers } = await openTestAuthority(t, { keys: KEYS });
  const token = await mint(KEY);
  const shorter = await attenuateToken(token, [{ expires: ISSUED + 100 }]);
  const again = await attenuateToken(shorter, [{ expires: ISSUED + 100 * HOUR }]);
  const longer = await attenuateToken(token, [{ expires: ISSUED + 100 * HOUR }]);
  assert.equal((await openToken(again)).expires, ISSUED + 100);
  timers.advance(99_000);
  for (const text of [shorter, again, longer]) assert.equal(await ask(text), 'allowed');
  timers.advance(1_000);
  const answers = [await ask(shorter), await ask(again), await ask(longer)];
  assert.deepEqual(answers, ['unauthenticated', 'unauthenticated', 'allowed']);
  timers.advance((HOUR - 100) * 1000);
  assert.equal(await ask(longer), 'unauthenticated');
});

test('nobody may grant more than 30 days, or less than nothing', async (t) => {
  const { ask } = await openTestAuthority(t, { keys: KEYS });
  const source = (issued: number, expires: number) =>
    `registry("${REGISTRY}");\nscope("propose");\nissued(${issued});\nexpires(${expires});\n`;
  assert.equal(MAX_LIFETIME_SECONDS, 30 * 24 * HOUR);
  for (const [lifetime, answer] of [
    [MAX_LIFETIME_SECONDS, 'allowed'],
    [MAX_LIFETIME_SECONDS + 1, 'unauthenticated'],
    [0, 'unauthenticated'],
    [-1, 'unauthenticated'],
  ] as const) {
    const expires = ISSUED + lifetime;
    assert.equal(await ask(await mintRaw(KEY, source(ISSUED, expires))), answer, `${lifetime}`);
    const minted = mint(KEY, { expires });
    if (answer === 'allowed') await minted;
    else await assert.rejects(minted, { code: 'invalid_request' });
  }
  // Issued long ago: what counts is how long it was granted for, not what is left.
  const old = source(ISSUED - MAX_LIFETIME_SECONDS, ISSUED + 1);
  assert.equal(await ask(await mintRaw(KEY, old)), 'unauthenticated');
});

test('tokens of every configured key are taken, and of no other', async (t) => {
  const [second, stranger] = [makeTokenKey(), makeTokenKey()];
  const { ask } = await openTestAuthority(t, { keys: [KEY.key, second.key] });
  assert.equal(await ask(await mint(KEY)), 'allowed');
  assert.equal(await ask(await mint(second)), 'allowed');
  assert.equal(await ask(await mint(stranger)), 'unauthenticated');
});

test('a key that is no point, or that everybody can sign for, is refused when it is configured', async (t) => {
  const weak = [
    `${'00'.repeat(32)}`,
    `01${'00'.repeat(31)}`,
    `ec${'ff'.repeat(30)}7f`,
    'ff'.repeat(32),
  ];
  for (const hex of weak)
    await assert.rejects(openTestAuthority(t, { keys: [`ed25519/${hex}`] }), {
      code: 'invalid_request',
      message: /^expected an ed25519 public key, got ed25519\//,
    });
});

test('a principal is known by the first revocation id, whatever was appended since', async (t) => {
  const { authority } = await openTestAuthority(t, { keys: KEYS });
  const token = await mint(KEY);
  const narrower = await attenuateToken(token, [{ operations: ['propose'] }]);
  const [first] = (await openToken(token, KEY.key)).revocationIds;
  assert.match(first, /^[0-9a-f]{128}$/);
  assert.equal((await authority().authenticate(token)).id, first);
  assert.equal((await authority().authenticate(narrower)).id, first);
  assert.notEqual((await authority().authenticate(await mint(KEY))).id, first);
});

test('refusals name no reason of the token and never quote it; the log has the reason, and no token', async (t) => {
  const { authority, records } = await openTestAuthority(t, { keys: KEYS });
  const token = await mint(KEY, { caveats: [{ kinds: ['secret-kind'] }] });
  const principal = await authority().authenticate(token);
  await assert.rejects(principal.authorize(attemptOf()), (error: Error) => {
    assert.equal(error.message, 'expected a token that allows this propose, got one that does not');
    return true;
  });
  const told = JSON.stringify(records);
  assert.match(told, /secret-kind/);
  const bad = [token.slice(0, -4), `${token}AAAA`, await mint(makeTokenKey()), 'AAAA', ''];
  for (const text of [...bad, await appendRaw(token, KEY, 'scope("commit");')])
    await assert.rejects(authority().authenticate(text), ({ code, message }) => {
      assert.equal(code, 'unauthenticated');
      assert.ok(text === '' || !message.includes(text.slice(0, 20)));
      return true;
    });
  assert.ok(!JSON.stringify(records).includes(token.slice(0, 40)));
});
