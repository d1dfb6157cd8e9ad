import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKeyFile, isOpenToOthers, readKeyFile } from '../../../src/cli/key-file.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { refusesLater } from '../../support/core-assert.ts';

const nobody = async () => assert.fail('no passphrase is needed');

function newKey(directory: string, passphrase?: string) {
  const path = join(directory, 'alice.pem');
  const publicPath = join(directory, 'alice.pub');
  const publicText = (key: Uint8Array) => Buffer.from(key).toString('hex');
  return { path, publicPath, publicText, passphrase };
}

test('a key file is for its owner alone, and its public half stands beside it', async () => {
  const file = newKey(makeDirectory());
  const publicKey = await createKeyFile(file);
  assert.equal(statSync(file.path).mode & 0o777, 0o600);
  assert.equal(readFileSync(file.publicPath, 'utf8'), Buffer.from(publicKey).toString('hex'));
  assert.equal(await isOpenToOthers(file.path), false);
  chmodSync(file.path, 0o640);
  assert.equal(await isOpenToOthers(file.path), true);
});

test('a key file that is there is never overwritten, nor is a public one, and then no key is left', async () => {
  const file = newKey(makeDirectory());
  await createKeyFile(file);
  const before = readFileSync(file.path, 'utf8');
  await refusesLater(
    'invalid_request',
    createKeyFile(file),
    /alice\.pem, which must not exist yet/,
  );
  assert.equal(readFileSync(file.path, 'utf8'), before);
  const other = { ...file, path: join(makeDirectory(), 'other.pem') };
  await refusesLater(
    'invalid_request',
    createKeyFile(other),
    /alice\.pub, which must not exist yet/,
  );
  assert.equal(existsSync(other.path), false);
});

test('a key read back signs for its public half', async () => {
  const file = newKey(makeDirectory());
  const publicKey = await createKeyFile(file);
  const pair = await readKeyFile(file.path, nobody);
  assert.deepEqual(pair.publicKey, publicKey);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') };
  const message = Buffer.from('message');
  assert.ok(
    verify(null, message, { key: jwk, format: 'jwk' }, sign(null, message, pair.privateKey)),
  );
});

test('an encrypted key needs its passphrase', async () => {
  const file = newKey(makeDirectory(), 'correct horse');
  const publicKey = await createKeyFile(file);
  assert.match(readFileSync(file.path, 'utf8'), /BEGIN ENCRYPTED PRIVATE KEY/);
  assert.deepEqual(
    (await readKeyFile(file.path, async () => 'correct horse')).publicKey,
    publicKey,
  );
  await refusesLater(
    'invalid_request',
    readKeyFile(file.path, async () => 'wrong'),
    /the passphrase of/,
  );
});

test('what is no ed25519 key is refused by what it is', async () => {
  const path = join(makeDirectory(), 'key.pem');
  await refusesLater('invalid_request', readKeyFile(path, nobody), /ENOENT/);
  writeFileSync(path, 'not a key');
  await refusesLater('invalid_request', readKeyFile(path, nobody), /a pkcs8 pem key/);
  const { privateKey } = generateKeyPairSync('x25519');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await refusesLater('invalid_request', readKeyFile(path, nobody), /got x25519/);
});
