/** What is remembered of tokens: enough that the same question costs nothing, and never longer than it holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TokenKey } from '../../../src/server/token-key.ts';
import { type Biscuit, loadLibrary } from '../../../src/server/tokens/biscuit.ts';
import { refusalOf } from '../../../src/server/tokens/decide.ts';
import { KeyedAuthority } from '../../../src/server/tokens/keyed-authority.ts';
import { Lru } from '../../../src/server/tokens/lru.ts';
import { openToken } from '../../../src/server/tokens/make.ts';
import { decodeToken } from '../../../src/server/tokens/token.ts';
import { START } from '../../support/signers.ts';
import {
  appendRaw,
  attemptOf,
  HOUR,
  makeTokenKey,
  mint,
  OTHER,
  openTestAuthority,
} from '../../support/tokens.ts';

const KEY = makeTokenKey();

/** An authority over a library that counts what it is asked, and breaks when it is told to. */
async function openCounted(keys: readonly TokenKey[] = [KEY.key]) {
  const biscuit = (await loadLibrary()).use((library) => library);
  const state = {
    now: START,
    parsed: 0,
    decided: 0,
    broken: false,
    panics: 0,
    revoked: new Set<string>(),
  };
  const errors: string[] = [];
  class CountingAuthorizerBuilder extends biscuit.AuthorizerBuilder {
    override buildAuthenticated(token: Biscuit['Biscuit']['prototype']) {
      state.decided++;
      const authorizer = super.buildAuthenticated(token);
      if (state.panics > 0) {
        state.panics--;
        authorizer.authorizeWithLimits = () => {
          throw new WebAssembly.RuntimeError('unreachable');
        };
      }
      return authorizer;
    }
  }
  const counted: Biscuit = {
    ...biscuit,
    AuthorizerBuilder: CountingAuthorizerBuilder,
    Biscuit: new Proxy(biscuit.Biscuit, {
      get: (target, name) => {
        if (name !== 'fromBytes') return Reflect.get(target, name);
        state.parsed++;
        if (state.broken) throw new WebAssembly.RuntimeError('unreachable');
        return target.fromBytes.bind(target);
      },
    }),
  };
  const silent = () => {};
  const authority = new KeyedAuthority({
    library: { use: (work) => work(counted) },
    keys,
    isKeyInForce: () => true,
    isRevoked: (id) => state.revoked.has(id),
    now: () => state.now,
    log: {
      debug: silent,
      info: silent,
      warn: silent,
      error: (message) => void errors.push(message),
    },
  });
  return { authority, state, errors };
}

test('a token that was checked once is not checked again, nor is a question that was answered', async () => {
  const { authority, state } = await openCounted();
  const token = await mint(KEY, { caveats: [{ kinds: ['service'] }] });
  const attempts = [attemptOf({ kinds: ['service'] }), attemptOf()];
  for (let round = 0; round < 5; round++) {
    for (const attempt of attempts) {
      const asked = (await authority.authenticate(token)).authorize(attempt);
      if (attempt.kinds.length === 1) await asked;
      else await assert.rejects(asked, { code: 'forbidden' });
    }
    // Once to authenticate, and once for each decision.
    assert.deepEqual([state.parsed, state.decided], [3, 2]);
  }
});

test('every part of an attempt is a question of its own', async () => {
  const { authority, state } = await openCounted();
  const principal = await authority.authenticate(await mint(KEY));
  const attempts = [
    attemptOf(),
    attemptOf({ operation: 'commit' }),
    attemptOf({ registry: OTHER }),
    attemptOf({ proposal: OTHER }),
    attemptOf({ kinds: ['service'] }),
    attemptOf({ kinds: [] }),
    attemptOf({ idPrefix: 'acme/we' }),
    attemptOf({ idPrefix: '' }),
    attemptOf({ idPrefix: null }),
  ];
  for (const attempt of attempts) await principal.authorize(attempt).catch(() => {});
  assert.equal(state.decided, attempts.length);
  const other = await authority.authenticate(await mint(KEY));
  await other.authorize(attemptOf());
  assert.equal(state.decided, attempts.length + 1);
});

test('a flood of one bad token is checked once in ten seconds, and by the clock as it is', async () => {
  const { authority, state } = await openCounted();
  const bad = await mint(makeTokenKey());
  const flood = async () => {
    for (let i = 0; i < 50; i++)
      await assert.rejects(authority.authenticate(bad), { code: 'unauthenticated' });
    return state.parsed;
  };
  assert.equal(await flood(), 1);
  state.now += 9_999;
  assert.equal(await flood(), 1);
  state.now += 1;
  assert.equal(await flood(), 2);
  // Set back: nobody knows how long ago that was.
  state.now -= HOUR * 1000;
  assert.equal(await flood(), 3);
});

test('a flood of bad tokens leaves what is known of good ones', async () => {
  const { authority, state } = await openCounted();
  const good = await mint(KEY);
  await (await authority.authenticate(good)).authorize(attemptOf());
  for (let i = 0; i < 1_500; i++) await authority.authenticate(`no-token-${i}`).catch(() => {});
  const { parsed } = state;
  await (await authority.authenticate(good)).authorize(attemptOf());
  assert.deepEqual([state.parsed, state.decided], [parsed, 1]);
});

test('a token that is revoked, or expires, is refused at once though it is remembered', async () => {
  const { authority, state } = await openCounted();
  const [first, second] = [await mint(KEY), await mint(KEY)];
  const principals = [await authority.authenticate(first), await authority.authenticate(second)];
  for (const principal of principals) await principal.authorize(attemptOf());
  const [id = ''] = (await openToken(first)).revocationIds;
  state.revoked.add(id);
  await assert.rejects(authority.authenticate(first), {
    code: 'unauthenticated',
    message: 'expected a token that is not revoked, got one that is',
  });
  await assert.rejects(principals[0]?.authorize(attemptOf()) ?? assert.fail(), {
    code: 'unauthenticated',
  });
  await (await authority.authenticate(second)).authorize(attemptOf());
  state.now += HOUR * 1000;
  await assert.rejects(authority.authenticate(second), {
    code: 'unauthenticated',
    message: 'expected a token that has not expired, got one that has',
  });
  await assert.rejects(principals[1]?.authorize(attemptOf()) ?? assert.fail(), {
    code: 'unauthenticated',
  });
  assert.equal(state.decided, 2);
});

test('a library that breaks refuses the token, tells the operator, and is asked again', async () => {
  const { authority, state, errors } = await openCounted();
  const token = await mint(KEY);
  state.broken = true;
  await assert.rejects(authority.authenticate(token), {
    code: 'unauthenticated',
    message: 'expected a token that can be checked, got another',
  });
  assert.deepEqual(errors, ['a token could not be checked']);
  state.broken = false;
  state.now += 10_000;
  await (await authority.authenticate(token)).authorize(attemptOf());
});

test('a library that breaks while it decides has not refused: the same question is asked again', async () => {
  const { authority, state } = await openCounted();
  const principal = await authority.authenticate(await mint(KEY));
  state.panics = 1;
  await assert.rejects(principal.authorize(attemptOf()), WebAssembly.RuntimeError);
  assert.deepEqual([state.panics, state.decided], [0, 1]);
  await principal.authorize(attemptOf());
  assert.equal(state.decided, 2);
});

test('a check that takes too long is not done, and not remembered as a refusal', async () => {
  const library = await loadLibrary();
  const text = await mint(KEY);
  const list = `[${Array.from({ length: 30 }, (_, i) => i)}]`;
  const all = (name: string, inner: string) => `${list}.all($${name} -> ${inner})`;
  const nested = all('a', all('b', all('c', all('d', '$a + $b + $c + $d > -1'))));
  const slow = decodeToken(await appendRaw(text, KEY, `check if ${nested};`));
  // As if the forms had let it through.
  const token = { ...(await openToken(text, KEY.key)), bytes: slow };
  const question = { attempt: attemptOf(), now: START / 1000 };
  assert.throws(() => library.use((biscuit) => refusalOf(biscuit, token, question)), {
    code: 'overloaded',
  });
});

test('after a reload only the new keys count, for tokens and for whoever was authenticated before', async (t) => {
  const next = makeTokenKey();
  const opened = await openTestAuthority(t, { keys: [KEY.key] });
  const [old, fresh] = [await mint(KEY), await mint(next)];
  const reload = async (keys: readonly TokenKey[]) =>
    (await opened.prepareTokens({ keys, revocations: null }))();
  const asked = async () => [await opened.ask(old), await opened.ask(fresh)];
  assert.deepEqual(await asked(), ['allowed', 'unauthenticated']);
  await reload([KEY.key, next.key]);
  assert.deepEqual(await asked(), ['allowed', 'allowed']);
  // Their bodies are still on the way.
  const [early, welcome] = await Promise.all(
    [old, fresh].map((token) => opened.authority().authenticate(token)),
  );
  await reload([next.key]);
  assert.deepEqual(await asked(), ['unauthenticated', 'allowed']);
  await assert.rejects(async () => early?.authorize(attemptOf()), { code: 'unauthenticated' });
  await welcome?.authorize(attemptOf());
  await reload([]);
  assert.equal(opened.current(), undefined);
  await reload([KEY.key]);
  assert.deepEqual(await asked(), ['allowed', 'unauthenticated']);
});

test('a reload that is prepared and not applied changes nothing, and a bad one is refused', async (t) => {
  const opened = await openTestAuthority(t, { keys: [KEY.key] });
  const token = await mint(KEY);
  const before = opened.current();
  await opened.prepareTokens({ keys: [makeTokenKey().key], revocations: null });
  await assert.rejects(
    opened.prepareTokens({ keys: [`ed25519/${'00'.repeat(32)}`], revocations: null }),
    { code: 'invalid_request' },
  );
  await assert.rejects(opened.prepareTokens({ keys: [KEY.key], revocations: '/nowhere/revoked' }), {
    code: 'invalid_request',
  });
  assert.equal(opened.current(), before);
  assert.equal(await opened.ask(token), 'allowed');
});

test('a bounded memory forgets what was used longest ago', () => {
  const lru = new Lru<number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  assert.equal(lru.get('a'), 1);
  lru.set('c', 3);
  assert.deepEqual([lru.get('a'), lru.get('b'), lru.get('c')], [1, undefined, 3]);
  lru.set('a', 4);
  lru.set('d', 5);
  assert.deepEqual([lru.get('a'), lru.get('c'), lru.get('d')], [4, undefined, 5]);
});
