import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { loadConfig } from '../../../src/server/config.ts';
import { loadLogKeys } from '../../../src/server/log-keys.ts';
import { createNoteVerifier, hasMlDsa } from '../../../src/server/note-verifier.ts';
import { openSigningKey } from '../../../src/server/signing-key.ts';
import { refusesLater } from '../../support/core-assert.ts';
import { keyDirectory, logKeyFile } from '../../support/log-key-file.ts';
import { makeLogSigner, privateKeyOf } from '../../support/signers.ts';

const message = encodeUtf8('registry.example.com/test\n1\nAAAA\n');
const verifier = createNoteVerifier();

function write(content: string, mode = 0o600): string {
  const path = join(keyDirectory(), 'key.pem');
  writeFileSync(path, content, { mode });
  return path;
}

function pemOf(key: KeyObject, encryption = {}): string {
  return key.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString();
}

const log = (settings: Record<string, string>) => loadLogKeys(loadConfig({ flags: settings }));

test('a key of a file signs for its public half, the same each time', async () => {
  const signer = await openSigningKey({ file: logKeyFile() });
  const known = makeLogSigner('log');
  assert.deepEqual([signer.type, signer.publicKey], ['ed25519', known.publicKey]);
  const signature = await signer.sign(message);
  assert.deepEqual(signature, await known.sign(message));
  assert.deepEqual(signature, await signer.sign(message));
});

test('an ml-dsa-44 key of a file signs for its public half, and for nothing else', async () => {
  assert.ok(hasMlDsa(), 'the Node of this project has ML-DSA');
  const { privateKey } = generateKeyPairSync('ml-dsa-44');
  const signer = await openSigningKey({ file: write(pemOf(privateKey)) });
  assert.deepEqual([signer.type, signer.publicKey.length], ['ml-dsa-44', 1312]);
  const signature = await signer.sign(message);
  const { publicKey } = signer;
  const verify = (signed: object) =>
    verifier.verifyMlDsa?.({ publicKey, message, signature, ...signed });
  assert.equal(await verify({}), true);
  assert.equal(await verify({ message: encodeUtf8('another') }), false);
  assert.equal(await verify({ signature: signature.map((byte, i) => byte ^ +(i === 9)) }), false);
  assert.equal(await verify({ signature: signature.subarray(1) }), false);
  assert.equal(await verify({ publicKey: publicKey.map((byte, i) => byte ^ +(i === 9)) }), false);
  assert.equal(await verify({ publicKey: new Uint8Array(32) }), false);
});

test('a key that others can read or write is refused with what to do', async () => {
  for (const mode of [0o640, 0o620, 0o604, 0o602, 0o644, 0o666]) {
    const path = logKeyFile('open');
    chmodSync(path, mode);
    const told = new RegExp(`at ${path}, got mode 0${mode.toString(8)}: chmod 600 ${path}$`);
    await refusesLater('invalid_request', openSigningKey({ file: path }), told);
  }
  const path = logKeyFile('open');
  chmodSync(path, 0o400);
  assert.equal((await openSigningKey({ file: path })).type, 'ed25519');
});

test('what is no key file is refused by its name and what it is, and never waited for', async () => {
  const fifo = join(keyDirectory(), 'key.pem');
  execFileSync('mkfifo', ['-m', '600', fifo]);
  const { privateKey } = generateKeyPairSync('x25519');
  const cases: readonly (readonly [string, RegExp])[] = [
    [join(keyDirectory(), 'none.pem'), /got ENOENT: make one with `quorate keygen`/],
    [keyDirectory(), /expected a private key at .*, got no regular file: name the file itself/],
    [fifo, /expected a private key at .*, got no regular file: name the file itself/],
    [write('not a key'), /got something else: make one with `quorate keygen`/],
    [write(''), /got something else/],
    [write(pemOf(privateKey)), /got x25519/],
    [write('a'.repeat(257 * 1024)), /got more than 262144 bytes/],
    [
      write(pemOf(privateKeyOf('log'), { cipher: 'aes-256-cbc', passphrase: 'p' })),
      /got an encrypted one: a service has nobody to ask/,
    ],
    [write(pemOf(privateKeyOf('log')).replace('MC4', 'MC5')), /that this Node.js cannot read/],
  ];
  for (const [path, told] of cases) {
    await refusesLater('invalid_request', openSigningKey({ file: path }), told);
    await refusesLater('invalid_request', openSigningKey({ file: path }), new RegExp(path));
  }
});

test('a symbolic link leads to a key, as secrets are mounted', async () => {
  const link = join(keyDirectory(), 'log.pem');
  symlinkSync(logKeyFile(), link);
  assert.deepEqual(
    (await openSigningKey({ file: link })).publicKey,
    makeLogSigner('log').publicKey,
  );
});

test('neither a signer nor a refusal shows a byte of the key', async () => {
  const pem = pemOf(privateKeyOf('log'));
  const body = pem.split('\n')[1] ?? '';
  assert.equal(body.length, 64);
  const hex = Buffer.from(body, 'base64').subarray(16).toString('hex');
  const broken = pem.replace('MC4', 'MC5');
  const shown = [inspect(await openSigningKey({ file: logKeyFile() }), { depth: 9 })];
  for (const path of [write(broken), write(pem, 0o644), write(`${body}\n`), write(body, 0o600)])
    await openSigningKey({ file: path }).catch((error: unknown) => {
      shown.push(inspect(error, { depth: 9, showHidden: true }));
    });
  assert.equal(shown.length, 5);
  for (const text of shown)
    for (const secret of [body.slice(24), hex]) assert.ok(!text.includes(secret), text);
});

test('log_key takes several keys, each once', async () => {
  const [old, next] = [logKeyFile(), logKeyFile('next')];
  const keys = await log({ log_key: `${old}, ${next}` });
  assert.deepEqual(
    keys.map(({ publicKey }) => publicKey),
    ['log', 'next'].map((name) => makeLogSigner(name).publicKey),
  );
  const copy = write(readFileSync(old, 'utf8'));
  await refusesLater('invalid_request', log({ log_key: `${old},${copy}` }), /each log key once/);
  await refusesLater('invalid_request', log({ log_key: `${old},${next}x` }), /nextx|pemx/);
});

test('without log_key a macronode takes log.pem of its data, and a micronode none', async () => {
  const data = dirname(write(''));
  assert.deepEqual(await log({ data }), []);
  writeFileSync(join(data, 'log.pem'), readFileSync(logKeyFile()), { mode: 0o600 });
  const [usual] = await log({ data });
  assert.deepEqual(usual?.publicKey, makeLogSigner('log').publicKey);
  const micronode = { ...loadConfig({ flags: { profile: 'micronode' } }), dataDir: data };
  assert.deepEqual(await loadLogKeys(micronode), []);
  const next = await log({ data, log_key: logKeyFile('next') });
  assert.deepEqual(
    next.map(({ publicKey }) => publicKey),
    [makeLogSigner('next').publicKey],
  );
  chmodSync(join(data, 'log.pem'), 0o644);
  await refusesLater('invalid_request', log({ data }), /chmod 600 .*log\.pem$/);
  const looped = keyDirectory();
  symlinkSync('log.pem', join(looped, 'log.pem'));
  await refusesLater('invalid_request', log({ data: looped }), /log\.pem, got ELOOP/);
});
