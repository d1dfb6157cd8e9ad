/** The log's keys in a running server: none, one, a program, two kinds, and from an old one to a new one. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Governance } from '../../src/core/governance.ts';
import type { Hash } from '../../src/core/hash.ts';
import {
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from '../../src/core/tlog/note-signatures.ts';
import { encodeVerifierKey, parseVerifierKey, type VerifierKey } from '../../src/core/vkey.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { openSigningKey } from '../../src/server/signing-key.ts';
import { keyDirectory, logKeyFile } from '../support/log-key-file.ts';
import {
  beginOver,
  clientOf,
  commitOver,
  commitService,
  LOG_KEY,
  makeDataDir,
  SIGNERS,
  startTestServer,
  type TestServer,
} from '../support/server-start.ts';
import { governancePayload, makeGovernance, makeLogSigner, ORIGIN } from '../support/signers.ts';

const NEXT_KEY = logKeyFile('next');
const SIGNING_CHILD = join(import.meta.dirname, '../support/signing-child.ts');
const GENESIS = makeGovernance(SIGNERS, { threshold: 2 });

function vkeyOf(name: string): string {
  return encodeVerifierKey({ name: ORIGIN, publicKey: makeLogSigner(name).publicKey });
}

function keysOf(...vkeys: readonly string[]): VerifierKey[] {
  return vkeys.map((vkey) => {
    const key = parseVerifierKey(vkey);
    assert.ok(key !== undefined);
    return key;
  });
}

const OLD = vkeyOf('log');
const NEXT = vkeyOf('next');

async function checkpointOf({ url }: TestServer): Promise<SignedCheckpoint> {
  const response = await fetch(`${url}/checkpoint`);
  assert.equal(response.status, 200);
  return readSignedCheckpoint(await response.text());
}

/** Which of the keys signed; every signature there is must be by one of them, and hold. */
async function signedBy(server: TestServer, ...vkeys: readonly string[]): Promise<string[]> {
  const checkpoint = await checkpointOf(server);
  const keys = keysOf(...vkeys);
  const signers = await signersOf(checkpoint, keys, createNoteVerifier());
  assert.equal(checkpoint.signatures.length, signers.size);
  return vkeys.filter((_, i) => keys[i] !== undefined && signers.has(keys[i]));
}

interface Readiness {
  readonly ready: boolean;
  readonly write_ready: boolean;
  readonly missing: readonly string[];
}

async function readinessOf({ url }: TestServer): Promise<Readiness> {
  return (await (await fetch(`${url}/readyz`)).json()) as Readiness;
}

const start = (t: TestContext, data: string, ...keys: readonly string[]) =>
  startTestServer(t, { profile: 'macronode', data, log_key: keys.join(',') });

/** One governance entry that changes the log keys alone; answers the governance then in force. */
async function setLogKeys(
  { url }: TestServer,
  { registry, current, keys }: { registry: Hash; current: Governance; keys: readonly string[] },
): Promise<Governance> {
  const next = { ...current, version: current.version + 1, log_keys: [...keys].sort() };
  const envelope = { createdAt: Date.now() };
  await commitOver(clientOf(url), governancePayload(registry, { next, current }, envelope));
  return next;
}

test('without a log key a server warns, serves, and after genesis writes nothing', async (t) => {
  const data = makeDataDir();
  const server = await start(t, data);
  assert.match(String(server.records[0]?.msg), /^there is no log key: .*quorate keygen --log/);
  assert.equal(server.records[0]?.level, 'warn');
  const client = clientOf(server.url);
  await beginOver(client).catch(() => undefined);
  const { write_ready, missing } = await readinessOf(server);
  assert.equal(write_ready, false);
  assert.match(missing.join('\n'), /expected an ed25519 log key .*configure `log_key` and restart/);
  assert.ok(missing.join('\n').includes(OLD));
  assert.equal((await fetch(`${server.url}/registry/0`)).status, 200);
  await server.stop();

  const again = await start(t, data, LOG_KEY);
  assert.deepEqual(await signedBy(again, OLD), [OLD]);
  assert.equal((await readinessOf(again)).write_ready, true);
});

test('a log key that governance does not name signs nothing', async (t) => {
  const data = makeDataDir();
  const first = await start(t, data, LOG_KEY);
  const registry = await beginOver(clientOf(first.url));
  await first.stop();
  const second = await start(t, data, NEXT_KEY);
  const warned = ({ records }: TestServer) => records.filter(({ level }) => level === 'warn');
  assert.deepEqual(warned(first), []);
  assert.equal(warned(second).length, 1);
  assert.match(String(warned(second)[0]?.missing), /got only others: configure `log_key`/);
  const { write_ready, missing } = await readinessOf(second);
  assert.equal(write_ready, false);
  assert.match(missing.join('\n'), /got only others: configure `log_key`/);
  await assert.rejects(commitService(clientOf(second.url), registry, 'checkout'), {
    code: 'not_ready',
  });
  assert.deepEqual(await signedBy(second, OLD), [OLD]);
});

test('a log key is rotated through a governance that lists both, and every reader can follow', async (t) => {
  const data = makeDataDir();
  const first = await start(t, data, LOG_KEY);
  const registry = await beginOver(clientOf(first.url));
  const refused = setLogKeys(first, { registry, current: GENESIS, keys: [NEXT] });
  await assert.rejects(refused, { code: 'not_ready', message: /expected an ed25519 log key/ });
  assert.deepEqual((await checkpointOf(first)).size, 1);
  await first.stop();

  const both = await start(t, data, LOG_KEY, NEXT_KEY);
  assert.deepEqual(await signedBy(both, OLD), [OLD]);
  const overlap = await setLogKeys(both, { registry, current: GENESIS, keys: [OLD, NEXT] });
  assert.deepEqual(await signedBy(both, OLD, NEXT), [OLD, NEXT]);
  // Who knows the old governance believes this checkpoint, and under it reads the entry that names the new key.
  const verifier = createNoteVerifier();
  const seen = await checkpointOf(both);
  assert.equal((await signersOf(seen, keysOf(...GENESIS.log_keys), verifier)).size, 1);
  const entry = await (await fetch(`${both.url}/registry/${seen.size - 1}`)).json();
  const learned = (entry as { payload: { governance: Governance } }).payload.governance.log_keys;
  assert.deepEqual(learned, overlap.log_keys);

  await setLogKeys(both, { registry, current: overlap, keys: [NEXT] });
  assert.deepEqual(await signedBy(both, OLD, NEXT), [NEXT]);
  const newest = await checkpointOf(both);
  assert.equal((await signersOf(newest, keysOf(...learned), verifier)).size, 1);
  assert.equal((await signersOf(newest, keysOf(...GENESIS.log_keys), verifier)).size, 0);
  await both.stop();

  const last = await start(t, data, NEXT_KEY);
  assert.equal(await commitService(clientOf(last.url), registry, 'checkout'), 3);
  assert.deepEqual(await signedBy(last, NEXT), [NEXT]);
});

test('a key that governance lists before the server has it signs from the restart that brings it', async (t) => {
  const data = makeDataDir();
  const first = await start(t, data, LOG_KEY);
  const registry = await beginOver(clientOf(first.url));
  await setLogKeys(first, { registry, current: GENESIS, keys: [OLD, NEXT] });
  assert.deepEqual(await signedBy(first, OLD, NEXT), [OLD]);
  await first.stop();
  const second = await start(t, data, LOG_KEY, NEXT_KEY);
  assert.deepEqual(await signedBy(second, OLD, NEXT), [OLD, NEXT]);
});

test('an ml-dsa-44 key signs beside the ed25519 one once governance lists it', async (t) => {
  const data = makeDataDir();
  const path = join(keyDirectory(), 'pq.pem');
  const { privateKey } = generateKeyPairSync('ml-dsa-44');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const { publicKey } = await openSigningKey({ file: path });
  const pq = encodeVerifierKey({ name: ORIGIN, type: 'ml-dsa-44', publicKey });
  const server = await start(t, data, LOG_KEY, path);
  const registry = await beginOver(clientOf(server.url));
  assert.deepEqual(await signedBy(server, OLD), [OLD]);
  await setLogKeys(server, { registry, current: GENESIS, keys: [OLD, pq] });
  assert.deepEqual(await signedBy(server, OLD, pq), [OLD, pq]);
  await server.stop();
  const again = await start(t, data, LOG_KEY, path);
  assert.equal(await commitService(clientOf(again.url), registry, 'checkout'), 2);
  assert.deepEqual(await signedBy(again, OLD, pq), [OLD, pq]);
});

test('a program signs, and while it fails nothing more is written', async (t) => {
  const data = makeDataDir();
  const copy = join(keyDirectory(), 'hsm.pem');
  writeFileSync(copy, readFileSync(LOG_KEY), { mode: 0o600 });
  const program = `exec:${process.execPath} ${SIGNING_CHILD} ${copy}`;
  const server = await start(t, data, program);
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  assert.deepEqual(await signedBy(server, OLD), [OLD]);

  writeFileSync(copy, readFileSync(NEXT_KEY));
  // Durable, and so committed; but not under a checkpoint, so nothing follows.
  await commitService(client, registry, 'checkout').catch(() => undefined);
  await assert.rejects(commitService(client, registry, 'billing'), { code: 'not_ready' });
  const { missing } = await readinessOf(server);
  assert.match(missing.join('\n'), /expected a base64 signature by its own public key/);
  assert.equal((await checkpointOf(server)).size, 1);

  writeFileSync(copy, readFileSync(LOG_KEY));
  for (let turn = 0; turn < 100 && !(await readinessOf(server)).write_ready; turn++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal((await checkpointOf(server)).size, 2);
  assert.equal(await commitService(client, registry, 'billing'), 2);
  assert.deepEqual(await signedBy(server, OLD), [OLD]);
});

test('log.pem in the data directory is the log key of a macronode', async (t) => {
  const data = makeDataDir();
  const first = await start(t, data, LOG_KEY);
  await beginOver(clientOf(first.url));
  await first.stop();
  const path = join(data, 'log.pem');
  writeFileSync(path, readFileSync(LOG_KEY), { mode: 0o600 });
  const second = await start(t, data);
  assert.equal((await readinessOf(second)).write_ready, true);
  await second.stop();
  chmodSync(path, 0o640);
  await assert.rejects(start(t, data), { code: 'invalid_request', message: /chmod 600/ });
});

test('a server logs no byte of its key, whatever goes wrong', async (t) => {
  const pem = readFileSync(LOG_KEY, 'utf8');
  const [, body = ''] = pem.split('\n');
  const seed = Buffer.from(body, 'base64').subarray(16);
  const copy = join(keyDirectory(), 'hsm.pem');
  writeFileSync(copy, pem, { mode: 0o600 });
  const script = join(keyDirectory(), 'signer');
  // A program that complains of what it should not.
  const [name] = [Buffer.from(makeLogSigner('log').publicKey).toString('base64')];
  writeFileSync(
    script,
    `#!/bin/sh\n[ "$1" = sign ] && { cat ${copy} >&2; exit 1; }\necho ${name}\n`,
  );
  chmodSync(script, 0o700);
  const server = await startTestServer(t, { log_key: `exec:${script}`, log_level: 'debug' });
  await beginOver(clientOf(server.url)).catch(() => undefined);
  const told = [JSON.stringify(server.records), JSON.stringify(await readinessOf(server))];
  assert.match(told.join('\n'), /got exit status 1: -----BEGIN PRIVATE/);
  for (const text of told)
    for (const secret of [body.slice(22, 46), seed.toString('hex'), seed.toString('base64')])
      assert.ok(!text.includes(secret), text);
});
