import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { encodeBundleFile, parseBundleFile } from '../../../src/core/bundle.ts';
import { decodeUtf8, encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { type Hash, hashOf } from '../../../src/core/hash.ts';
import { entryHash } from '../../../src/core/leaf.ts';
import { recordHash } from '../../../src/core/tlog/merkle.ts';
import { encodeNote, parseNote } from '../../../src/core/tlog/note.ts';
import { encodeProofFile, parseProofFile } from '../../../src/core/tlog/proof-file.ts';
import { encodeVerifierKey } from '../../../src/core/vkey.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { signNote } from '../../support/client-tree.ts';
import { makeCosigner } from '../../support/core-checkpoint.ts';
import { openTestRegistry, put, type TestRegistry } from '../../support/registry.ts';
import {
  governancePayload,
  LOG_SIGNER,
  makeGovernance,
  makeLogSigner,
  ORIGIN,
} from '../../support/signers.ts';
import { isStraceMissing } from '../../support/strace.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const PROGRAM = join(import.meta.dirname, '../../../bin/quorate.mjs');

let directory: string;
let data: string;
let registry: TestRegistry;

const file = (name: string) => join(directory, name);

/** 0 genesis; 1 and 2 put; 3 a governance of two signers; 4 and 5 put. */
before(async () => {
  directory = makeDirectory();
  data = file('registry.db');
  registry = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path: data }) });
  await registry.change(put('a', { n: 1 }));
  await registry.change(put('b', { n: 1 }));
  const { governance: current, signers, registryHash } = registry;
  const next = makeGovernance(signers.slice(0, 2), { threshold: 2, version: 2 });
  await registry.commit(governancePayload(registryHash, { next, current }));
  await registry.change(put('c', { n: 1 }));
  await registry.change(put('d', { n: 1 }));
  await registry.registry[Symbol.asyncDispose]();
});

const make = async (name: string, ...options: readonly string[]) => {
  const path = file(name);
  const run = await runCli(['bundle', 'export', '--data', data, '-o', path, ...options]);
  assert.equal(run.code, 0, run.stderr);
  return { path, ...run };
};

test('a bundle of a database is verified from the pin alone', async () => {
  const { path, stderr } = await make('one.qbundle', '--version', '2');
  assert.match(stderr, new RegExp(`bundle verify .*one\\.qbundle --pin ${registry.registryHash}`));
  const { code, stdout } = await runCli(['bundle', 'verify', path, '--pin', registry.registryHash]);
  assert.equal(code, 0);
  assert.match(stdout, /^verified registry\.example\.com\/test, offline$/m);
  assert.match(stdout, /^checkpoint +6 entries, signed by the log key [0-9a-f]{8}$/m);
  assert.match(stdout, /^version 2 descriptors b3:/m);
  assert.match(stdout, /proven: approved by org:acme#signer-000, org:acme#signer-001/);
  assert.match(stdout, /vouched for: 2 descriptors after it, set root b3:/);
  assert.match(stdout, /set roots are vouched for by the checkpoint/);
});

test('verifying a bundle or a proof opens no socket', async (t) => {
  if (isStraceMissing(t)) return;
  const { path } = await make('quiet.qbundle');
  await runCli(['proof', '1', '--data', data, '-o', file('quiet.tlog-proof')]);
  const [logKey = ''] = registry.governance.log_keys;
  for (const argv of [
    ['bundle', 'verify', path, '--pin', registry.registryHash],
    ['proof', 'verify', file('quiet.tlog-proof'), '--log-key', logKey],
  ]) {
    const { status, trace } = traced([PROGRAM, ...argv]);
    assert.equal(status, 0);
    assert.deepEqual(trace, [], 'no network call');
  }
  const asking = `require('node:net').connect(1, '127.0.0.1').on('error', () => {})`;
  assert.ok(traced(['-e', asking]).trace.length > 0, 'the same watch sees who does ask');
});

function traced(argv: readonly string[]): { status: number | null; trace: string[] } {
  const calls = file('trace');
  const strace = ['-f', '-qq', '--seccomp-bpf', '-o', calls, '-e', 'trace=network'];
  const { status } = spawnSync('strace', [...strace, process.execPath, ...argv], {
    timeout: 60_000,
    env: { ...process.env, HOME: directory },
  });
  const lines = readFileSync(calls, 'utf8').split('\n');
  // Standard streams may be socket pairs: that is a question about them, not a connection.
  return { status, trace: lines.filter((line) => /\b(socket|connect|bind)\(/.test(line)) };
}

test('a bundle that begins later is verified from the entry hash that was pinned', async () => {
  const { path, json } = await make('later.qbundle', '--since', '3', '--version', '4', '--json');
  const { entry_hash: pin } = registryEntry(3);
  assert.deepEqual(json(), [{ output: path, pin, version: 4, size: 6 }]);
  const { code, stdout } = await runCli(['bundle', 'verify', path, '--pin', pin]);
  assert.equal(code, 0);
  assert.match(stdout, /^from +version 3 on; what came before stands by the pin$/m);
  assert.match(stdout, /proven: it is the pinned entry/);
  const wrong = await runCli(['bundle', 'verify', path, '--pin', registry.registryHash]);
  assert.equal(wrong.code, 3);
  const middle = ['bundle', 'export', '--data', data, '-o', path, '--since', '2'];
  const refused = await runCli(middle);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /set the governance \(0, 3\), got 2/);
});

function registryEntry(version: number): { entry_hash: Hash } {
  const bundle = JSON.parse(readFileSync(file('later.qbundle'), 'utf8'));
  const entry = bundle.entries.find(
    (one: { leaf: { version: number } }) => one.leaf.version === version,
  );
  return { entry_hash: hashOf(canonicalBytes(entry.leaf)) };
}

test('a bundle is not made of versions that the checkpoint does not hold, or of another registry', async () => {
  const late = await runCli(['bundle', 'export', '--data', data, '-o', '-', '--version', '6']);
  assert.equal(late.code, 1);
  assert.match(late.stderr, /in the checkpoint of 6 entries, got 6/);
  const other = `b3:${'0'.repeat(64)}`;
  const argv = ['bundle', 'export', '--data', data, '-o', file('no.qbundle'), '--registry', other];
  const wrong = await runCli(argv);
  assert.equal(wrong.code, 3);
  assert.equal(existsSync(file('no.qbundle')), false);
});

test('what does not hold in a bundle ends with exit code 3 and says what it was', async () => {
  const { path } = await make('tampered.qbundle', '--version', '1');
  const text = readFileSync(path, 'utf8');
  const pin = ['--pin', registry.registryHash];
  for (const [from, to, why] of [
    ['"set_size":1', '"set_size":2', /version 1 is in the checkpoint of 6/],
    ['"n":1', '"n":2', /over this payload/],
    ['"schema":"quorate/bundle/v1"', '"schema":"quorate/bundle/v9"', /bundle\/v1/],
    ['{"checkpoint"', '{ "checkpoint"', /canonical/],
  ] as const) {
    assert.ok(text.includes(from));
    writeFileSync(path, text.replace(from, to));
    const { code, stdout, stderr } = await runCli(['bundle', 'verify', path, ...pin]);
    assert.deepEqual([code, stdout], [3, ''], stderr);
    assert.match(stderr, why);
  }
  writeFileSync(path, text);
  assert.equal((await runCli(['bundle', 'verify', path, ...pin, '--version', '1'])).code, 0);
  const other = await runCli(['bundle', 'verify', path, ...pin, '--version', '2']);
  assert.equal(other.code, 3);
  assert.match(other.stderr, /proves version 2, got one of 0, 1, 3/);
});

test('a bundle from standard input is verified, and --json says all that is proven', async () => {
  const { path } = await make('whole.qbundle', '--version', '5');
  const argv = ['bundle', 'verify', '-', '--pin', registry.registryHash, '--json'];
  const { code, json } = await runCli(argv, { stdin: readFileSync(path, 'utf8') });
  assert.equal(code, 0);
  const [found = {}] = json();
  const entries = found.entries as { version: number }[];
  assert.deepEqual(
    entries.map(({ version }) => version),
    [0, 3, 5],
  );
  assert.deepEqual([found.size, found.cosigned, found.fresh_at], [6, null, null]);
});

test('a policy demands witnesses, and a time that their word is not older than it may be', async () => {
  const { path } = await make('witnessed.qbundle');
  const witness = makeCosigner('w.example', 61);
  const at = Date.parse('2026-11-21T09:00:00.000Z');
  const policy = file('policy');
  writeFileSync(policy, `witness w ${witness.vkey}\nquorum w\n`);
  const verify = (...options: readonly string[]) =>
    runCli(['bundle', 'verify', path, '--pin', registry.registryHash, ...options], {
      now: () => at + 3 * 86_400_000,
    });
  const none = await verify('--policy', policy);
  assert.equal(none.code, 3);
  assert.match(none.stderr, /witness policy, got none/);
  const bundle = parseBundleFile(readFileSync(path));
  const { text, signatures } = parseNote(bundle.checkpoint);
  const cosigned = [...signatures, witness.cosign(text, at / 1000)];
  const checkpoint = encodeNote({ text, signatures: cosigned });
  writeFileSync(path, encodeBundleFile({ ...bundle, checkpoint }));
  assert.match((await verify('--policy', policy)).stdout, /^witnesses +w; .* 2026-11-21T09:00:00/m);
  for (const [time, age, code] of [
    ['2026-11-21T10:00:00.000Z', '1d', 0],
    ['2026-11-22T10:00:00.000Z', '1d', 3],
    ['2026-11-21T09:30:00.000Z', '10m', 3],
    ['2026-11-21T08:00:00.000Z', '1d', 3],
    ['2026-11-21T08:56:00.000Z', '1d', 0],
  ] as const) {
    const run = await verify('--policy', policy, '--at', time, '--max-age', age);
    assert.equal(run.code, code, `${time} ${age}: ${run.stderr}`);
  }
  assert.equal((await verify('--at', 'now')).code, 2);
  assert.equal((await verify('--policy', policy, '--at', 'now')).code, 3);
  assert.equal((await verify('--policy', policy, '--at', 'yesterday')).code, 2);
});

test('a proof of one entry is a c2sp tlog-proof that a log key alone verifies', async () => {
  const path = file('4.tlog-proof');
  const { code, stderr } = await runCli(['proof', '4', '--data', data, '-o', path]);
  assert.equal(code, 0, stderr);
  const text = readFileSync(path, 'utf8');
  assert.match(text, /^c2sp\.org\/tlog-proof@v1\nextra .*\nindex 4\n/);
  const [logKey = ''] = registry.governance.log_keys;
  const verify = (...options: readonly string[]) =>
    runCli(['proof', 'verify', path, '--log-key', logKey, ...options]);
  const brought = await verify();
  assert.equal(brought.code, 0);
  assert.match(brought.stdout, /^verified: leaf 4 of registry\.example\.com\/test/);
  const leaf = decodeUtf8(parseProofFile(text).extra ?? new Uint8Array());
  assert.equal(JSON.parse(leaf).version, 4);
  const pretty = JSON.stringify(JSON.parse(leaf), null, 2);
  writeFileSync(file('leaf.json'), `${pretty}\n`);
  writeFileSync(file('entry.json'), `{"leaf":${pretty},"payload":{}}`);
  writeFileSync(file('other.json'), leaf.replace('"version":4', '"version":5'));
  assert.equal((await verify('--leaf', file('leaf.json'))).code, 0);
  assert.equal((await verify('--entry', file('entry.json'), '--json')).json()[0]?.index, 4);
  assert.equal((await verify('--leaf', file('other.json'))).code, 3);
  assert.equal((await verify('--leaf', 'a', '--entry', 'b')).code, 2);
  for (const [from, to] of [
    ['index 4', 'index 3'],
    ['\n6\n', '\n7\n'],
    ['tlog-proof@v1', 'tlog-proof@v2'],
  ] as const) {
    writeFileSync(path, text.replace(from, to));
    assert.equal((await verify()).code, 3, from);
  }
  writeFileSync(path, text.replace(/^extra .*\n/m, ''));
  assert.equal((await verify()).code, 2, 'no leaf is there to verify');
  assert.equal((await verify('--leaf', file('leaf.json'))).code, 0);
});

test('a leaf that a log made up is shown so that it does nothing to a terminal', async () => {
  const logKey = encodeVerifierKey({ name: ORIGIN, publicKey: LOG_SIGNER.publicKey });
  const verify = async (leaf: Uint8Array, ...options: readonly string[]) => {
    const note = await signNote({ size: 1, root: recordHash(leaf) });
    writeFileSync(file('made-up'), encodeProofFile({ index: 0, proof: [], note, extra: leaf }));
    return runCli(['proof', 'verify', file('made-up'), '--log-key', logKey, ...options]);
  };
  const acting = encodeUtf8('\u001b[1A\u001b[2K\nverified: leaf 7\u009b31m\u202e');
  const shown = await verify(acting);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^[\x20-\x7e\n]+$/);
  assert.deepEqual(
    shown.stdout.split('\n')[1],
    '\\u{1b}[1A\\u{1b}[2K\\u{a}verified: leaf 7\\u{9b}31m\\u{202e}',
  );
  const bytes = Uint8Array.of(0xff, 0x1b);
  const other = await verify(bytes);
  assert.equal(other.code, 0, other.stderr);
  assert.match(other.stdout, /^verified: leaf 0 of .*\nit is no text.*: 2 bytes, b3:/);
  assert.deepEqual(
    [acting, bytes].map((leaf) => entryHash(leaf)),
    [(await verify(acting, '--json')).json(), (await verify(bytes, '--json')).json()].map(
      ([told]) => told?.entry_hash,
    ),
  );
  assert.equal((await verify(bytes, '--json')).json()[0]?.leaf, null);
});

test('a proof under another log key is refused', async () => {
  const path = file('0.tlog-proof');
  await runCli(['proof', '0', '--data', data, '-o', path]);
  const verify = (key: string) => runCli(['proof', 'verify', path, '--log-key', key]);
  const { publicKey } = makeLogSigner('another');
  const other = await verify(encodeVerifierKey({ name: ORIGIN, publicKey }));
  assert.equal(other.code, 3);
  assert.match(other.stderr, /signed by --log-key/);
  const elsewhere = await verify(encodeVerifierKey({ name: 'example.com/x', publicKey }));
  assert.equal(elsewhere.code, 3);
  assert.match(elsewhere.stderr, /expected a checkpoint of example\.com\/x/);
});
