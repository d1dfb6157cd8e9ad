/** The token library's instance: bounded in memory though it forgets to free, and replaced when it broke. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadLibrary, type TokenLibrary } from '../../../src/server/tokens/biscuit.ts';
import { refusalOf } from '../../../src/server/tokens/decide.ts';
import { openToken } from '../../../src/server/tokens/make.ts';
import { attemptOf, ISSUED, makeTokenKey, mint, openTestAuthority } from '../../support/tokens.ts';

const KEY = makeTokenKey();
const MIB = 1024 * 1024;

/** As a panic of the library would: the next use has a new instance. */
function breakInstance(library: TokenLibrary): void {
  const broken = () =>
    library.use(() => {
      throw new WebAssembly.RuntimeError('unreachable');
    });
  assert.throws(broken, WebAssembly.RuntimeError);
}

/** Makes the instance larger than a new one. */
function swell(library: TokenLibrary): void {
  library.use((biscuit) => {
    for (let i = 0; i < 10; i++)
      biscuit.Biscuit.builder().addCode(`note("${'x'.repeat(100_000)}");`);
  });
}

test('what the library forgets to free is given back: its memory grows to a bound and starts anew', async () => {
  const library = await loadLibrary();
  const token = await openToken(await mint(KEY, { caveats: [{ idPrefix: 'acme/' }] }), KEY.key);
  const questions = [attemptOf(), attemptOf({ idPrefix: 'other/' })].map((attempt) => ({
    attempt,
    now: ISSUED,
  }));
  let [most, renewals, last] = [0, 0, library.memoryBytes];
  for (let i = 0; i < 800; i++) {
    const answers = questions.map((question) =>
      library.use((biscuit) => refusalOf(biscuit, token, question)),
    );
    assert.deepEqual([answers[0], typeof answers[1]], [undefined, 'string']);
    if (library.memoryBytes < last) renewals++;
    last = library.memoryBytes;
    most = Math.max(most, last);
  }
  assert.ok(renewals > 0, 'the library forgets nothing any more: its renewal can go');
  assert.ok(most < 17 * MIB, `${most} bytes`);
});

test('after a panic the next use has a new instance, and everything works', async (t) => {
  const library = await loadLibrary();
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const token = await mint(KEY);
  swell(library);
  const before = library.memoryBytes;
  breakInstance(library);
  assert.equal(library.memoryBytes, before);
  assert.equal(await ask(token), 'allowed');
  assert.ok(library.memoryBytes < before, `${library.memoryBytes} < ${before}`);
  assert.equal(await ask(await mint(KEY), attemptOf({ idPrefix: null })), 'allowed');
});

test('a panic that lets nothing be freed is one too, and so is a null pointer; a refusal is none', async () => {
  const library = await loadLibrary();
  const breaks: readonly [RegExp, () => void][] = [
    [
      /SuppressedError/,
      () =>
        library.use(() => {
          using _held = {
            [Symbol.dispose]() {
              throw new Error('attempted to take ownership of Rust value while it was borrowed');
            },
          };
          throw new WebAssembly.RuntimeError('unreachable');
        }),
    ],
    [
      /null pointer passed to rust/,
      () =>
        library.use((biscuit) => {
          const builder = biscuit.Biscuit.builder();
          builder.free();
          builder.addCode('note("x");');
        }),
    ],
  ];
  for (const [told, broken] of breaks) {
    swell(library);
    const before = library.memoryBytes;
    assert.throws(broken, (error) => told.test(String(error)));
    library.use(() => {});
    assert.ok(library.memoryBytes < before, `${told}`);
  }
  swell(library);
  const before = library.memoryBytes;
  assert.throws(() => library.use((biscuit) => biscuit.Biscuit.builder().addCode('no code')));
  library.use(() => {});
  assert.equal(library.memoryBytes, before);
});

test('an instance is not replaced under work that is under way', async () => {
  const library = await loadLibrary();
  library.use((biscuit) => {
    using pair = new biscuit.KeyPair(biscuit.SignatureAlgorithm.Ed25519);
    using key = pair.getPublicKey();
    const text = key.toString();
    breakInstance(library);
    library.use(() => assert.equal(key.toString(), text));
  });
});

test('what was never freed in an old instance is not freed in a new one', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const library = await loadLibrary();
  const { ask } = await openTestAuthority(t, { keys: [KEY.key] });
  const collected = Promise.withResolvers<void>();
  const registry = new FinalizationRegistry(() => collected.resolve());
  (() => {
    library.use((biscuit) => {
      for (let i = 0; i < 2_000; i++) new biscuit.KeyPair(biscuit.SignatureAlgorithm.Ed25519);
    });
    registry.register({}, undefined);
  })();
  breakInstance(library);
  const tokens = await Promise.all(Array.from({ length: 50 }, () => mint(KEY)));
  const kept = library.use((biscuit) =>
    Array.from({ length: 500 }, () => new biscuit.KeyPair(biscuit.SignatureAlgorithm.Ed25519)),
  );
  collect();
  await collected.promise;
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  for (const token of tokens) assert.equal(await ask(token), 'allowed');
  library.use(() => {
    for (const pair of kept) {
      assert.match(pair.getPublicKey().toString(), /^ed25519\/[0-9a-f]{64}$/);
      pair.free();
    }
  });
});
