import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { loadConfig } from '../../../src/server/config.ts';
import { loadLogKeys } from '../../../src/server/log-keys.ts';
import { createNoteVerifier } from '../../../src/server/note-verifier.ts';
import { openSigningProgram } from '../../../src/server/signing-program.ts';
import { refusesLater } from '../../support/core-assert.ts';
import { keyDirectory, logKeyFile } from '../../support/log-key-file.ts';
import { LOG_SIGNER, makeLogSigner, ORIGIN } from '../../support/signers.ts';

const PROGRAM = join(import.meta.dirname, '../../support/signing-child.ts');
const message = encodeUtf8('registry.example.com/test\n1\nAAAA\n');
const publicKey = Buffer.from(LOG_SIGNER.publicKey).toString('base64');

/** A shell script in a directory of its own; `$1` is the word. */
function script(text: string): [string] {
  const path = join(keyDirectory(), 'signer');
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o700 });
  return [path];
}

/** Names the log key, and answers `sign` with what the commands do. */
const named = (commands: string) =>
  script(`[ "$1" = public-key ] && { echo ${publicKey}; exit; }\n${commands}`);

async function messageOf(act: Promise<unknown>): Promise<string> {
  const error: unknown = await act.then(
    () => assert.fail('expected a refusal'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RegistryError, String(error));
  return error.message;
}

test('a program signs as a key file does, through log_key', async () => {
  const command = `${process.execPath} ${PROGRAM} ${logKeyFile()}`;
  const log_key = `exec:${command},exec:${process.execPath} ${PROGRAM} ${logKeyFile('next')} vkey:${ORIGIN}`;
  const keys = await loadLogKeys(loadConfig({ flags: { log_key } }));
  const known = [LOG_SIGNER, makeLogSigner('next')];
  assert.deepEqual(
    keys.map((key) => [key.type, key.publicKey]),
    known.map((key) => [key.type, key.publicKey]),
  );
  for (const [i, key] of keys.entries())
    assert.deepEqual(await key.sign(message), await known[i]?.sign(message));
});

test('a program with an ml-dsa-44 key signs with it', async () => {
  const { privateKey } = generateKeyPairSync('ml-dsa-44');
  const path = logKeyFile('post-quantum');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const signer = await openSigningProgram([process.execPath, PROGRAM, path]);
  assert.equal(signer.type, 'ml-dsa-44');
  const signed = { publicKey: signer.publicKey, message, signature: await signer.sign(message) };
  assert.equal(await createNoteVerifier().verifyMlDsa?.(signed), true);
});

test('a program that names no key stops the start, and says which and where to look', async () => {
  const identity = Buffer.from(Uint8Array.of(1, ...new Uint8Array(31))).toString('base64');
  for (const printed of ['', 'no key here', `${publicKey}x`, identity, publicKey.slice(4), '+++'])
    await refusesLater(
      'invalid_request',
      openSigningProgram(script(`echo '${printed}'`)),
      /expected an ed25519 or ml-dsa-44 public key from `.*signer \.\.\. public-key`/,
    );
  await refusesLater(
    'invalid_request',
    openSigningProgram(['/nowhere/signer']),
    /`\/nowhere\/signer \.\.\. public-key` to answer, got ENOENT: see CONFIG\.md, "The log key"/,
  );
});

test('an answer that is not a signature of the message by the named key is never used', async () => {
  const other = await makeLogSigner('other').sign(message);
  const elsewhere = await LOG_SIGNER.sign(encodeUtf8('another message'));
  const own = Buffer.from(await LOG_SIGNER.sign(message)).toString('base64');
  const sign = async (printed: string) =>
    (await openSigningProgram(named(`cat >/dev/null; printf '%s' '${printed}'`))).sign(message);
  assert.equal(Buffer.from(await sign(own)).toString('base64'), own);
  assert.equal(Buffer.from(await sign(`${own}\n`)).toString('base64'), own);
  const wrong = [other, elsewhere].map((bytes) => Buffer.from(bytes).toString('base64'));
  for (const printed of [...wrong, '', own.slice(0, -4), own.replaceAll('=', ''), `${own}\n${own}`])
    await refusesLater('invalid_signature', sign(printed), /got another answer/);
});

test('a program that fails is told by its status and its complaint, without secrets', async () => {
  const signer = await openSigningProgram([
    ...named(`echo "slot 2 is locked, pin=123456 token: hunter2 $2 ${'a'.repeat(64)}" >&2; exit 7`),
  ]);
  const told = await messageOf(signer.sign(message));
  assert.match(told, /` to answer, got exit status 7: slot 2 is locked, pin=\.\.\. token=\.\.\./);
  for (const secret of ['123456', 'hunter2', 'aaaaaaaaaa']) assert.ok(!told.includes(secret), told);
  const [path] = named('exit 1');
  const key = await openSigningProgram([path]);
  assert.match(await messageOf(key.sign(message)), /got exit status 1$/);
  const killed = await openSigningProgram(named('kill -9 $$'));
  assert.match(await messageOf(killed.sign(message)), /got SIGKILL$/);
});

test('the arguments of a program are not told when it fails', async () => {
  const [path] = script('exit 3');
  const told = await messageOf(openSigningProgram([path, '--passphrase', 'hunter2']));
  assert.match(told, /signer \.\.\. public-key` to answer, got exit status 3/);
  assert.ok(!told.includes('hunter2'));
});

test('a program that hangs is ended in time, with what it started', async () => {
  const started = join(keyDirectory(), 'started');
  const program = named(`sleep 60 & echo $! >${started}; wait`);
  // Time enough for a busy machine to start a shell.
  const signer = await openSigningProgram(program, 2_000);
  const startedMs = performance.now();
  assert.match(await messageOf(signer.sign(message)), /got nothing within 2000 ms$/);
  assert.ok(performance.now() - startedMs < 8_000);
  assert.ok(existsSync(started));
  const pid = Number(readFileSync(started, 'utf8'));
  await until(() => !isRunning(pid));
});

test('a program that prints without end is cut off', async () => {
  const endless = openSigningProgram(script('yes'));
  assert.match(await messageOf(endless), /got more than 16384 bytes/);
  const complaining = openSigningProgram(script('yes >&2'));
  assert.match(await messageOf(complaining), /got more than 16384 bytes/);
});

test('a program may answer without reading the message', async () => {
  const long = new Uint8Array(1024 * 1024);
  const own = Buffer.from(await LOG_SIGNER.sign(long)).toString('base64');
  const signer = await openSigningProgram(named(`echo ${own}`));
  assert.equal((await signer.sign(long)).length, 64);
});

/** A zombie is gone too: nobody here reaps what a killed program left. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    if (isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail('expected it to become true within 2 s');
}
