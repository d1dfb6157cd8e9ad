/** Keys that a service signs with: made for it alone, and opened by the server that is to use them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseVerifierKey } from '../../../src/core/vkey.ts';
import { openSigningKey } from '../../../src/server/signing-key.ts';
import { runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { ORIGIN } from '../../support/signers.ts';

for (const [type, name, options] of [
  ['ed25519', ORIGIN, ['--log', '--origin', ORIGIN]],
  ['ed25519', ORIGIN, ['--log', '--origin', ORIGIN, '--algo', 'ed25519', '--plain']],
  ['ml-dsa-44', ORIGIN, ['--log', '--origin', ORIGIN, '--algo', 'ml-dsa-44']],
  ['cosigner', 'example.com/witness', ['--cosigner', 'example.com/witness']],
  ['cosigner', 'clock', ['--cosigner', 'clock', '--plain']],
] as const)
  test(`keygen ${options.join(' ')} writes a key that a server opens, and its vkey`, async () => {
    const path = join(makeDirectory(), 'key.pem');
    // Nobody is asked at the terminal: no answer is prepared.
    const { code, stdout, stderr } = await runCli(['keygen', ...options, '-o', path], {
      answers: [],
    });
    assert.equal(code, 0, stderr);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.match(readFileSync(path, 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
    assert.equal(readFileSync(path.replace('.pem', '.vkey'), 'utf8'), stdout);
    const vkey = parseVerifierKey(stdout.trim());
    assert.deepEqual([vkey?.type, vkey?.name], [type, name]);
    const signer = await openSigningKey({ file: path });
    assert.deepEqual(signer.publicKey, vkey?.publicKey);
    assert.equal(signer.type, type === 'ml-dsa-44' ? 'ml-dsa-44' : 'ed25519');
  });

test('a key of a service is never encrypted, and never two kinds at once', async () => {
  const directory = makeDirectory();
  const path = join(directory, 'key.pem');
  const passphrase = join(directory, 'passphrase');
  writeFileSync(passphrase, 'correct horse\n');
  const log = ['--log', '--origin', ORIGIN];
  const id = ['--id', 'org:acme#dave'];
  for (const [options, told] of [
    [[...log, '--passphrase-file', passphrase], /expected no --passphrase-file/],
    [['--cosigner', 'clock', '--passphrase-file', passphrase], /expected no --passphrase-file/],
    [[...log, '--cosigner', 'clock'], /expected one of --id, --log and --cosigner/],
    [[...log, ...id], /expected one of --id, --log and --cosigner/],
    [[...id, '--cosigner', 'clock'], /expected one of --id, --log and --cosigner/],
    [[...log, '--algo', 'rsa'], /expected --algo ed25519 or ml-dsa-44, got "rsa"/],
    [[...log, '--algo', 'toString'], /expected --algo ed25519 or ml-dsa-44/],
    [[...id, '--algo', 'ml-dsa-44'], /expected --origin and --algo with --log alone/],
    [['--cosigner', 'clock', '--origin', ORIGIN], /expected --origin and --algo with --log alone/],
    [['--cosigner', 'a+b'], /expected --cosigner with a name without blanks and \+/],
    [['--cosigner', 'a b'], /expected --cosigner with a name without blanks/],
    [['--cosigner', 'a\u00a0b'], /expected --cosigner with a name without blanks/],
    [['--cosigner', ''], /expected --cosigner with a name without blanks/],
  ] as const) {
    const { code, stdout, stderr } = await runCli(['keygen', '-o', path, ...options]);
    assert.deepEqual([code, stdout], [2, ''], stderr);
    assert.match(stderr, told);
  }
  assert.equal(existsSync(path), false);
});
