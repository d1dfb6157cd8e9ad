/** Witnesses and cosigners as an operator runs them: programs, files and settings, and kill -9. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseLogList } from '../../src/core/tlog/log-list.ts';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import { parsePolicy } from '../../src/core/tlog/policy.ts';
import { createNoteVerifier } from '../../src/server/note-verifier.ts';
import { quorate, type Started, start } from '../support/cli-process.ts';
import { refusesLater } from '../support/core-assert.ts';
import {
  beginOver,
  clientOf,
  commitService,
  makeDataDir,
  startTestServer,
} from '../support/server-start.ts';
import { ORIGIN } from '../support/signers.ts';
import { keyOf, TestLog, witnessFile } from '../support/witness.ts';

const limit = { timeout: 60_000 };

async function keygen(cwd: string, name: string, file: string): Promise<string> {
  const { stdout } = await quorate({ cwd }, 'keygen', '--cosigner', name, '-o', file);
  return stdout.trim();
}

interface WitnessProcess extends Started {
  readonly url: string;
}

async function spawnWitness(
  t: TestContext,
  cwd: string,
  ...more: string[]
): Promise<WitnessProcess> {
  const settings = ['--key', 'w1.pem', '--name', 'witness.example/w1', '--db', 'w.db'];
  const started = start({ cwd }, 'witness', ...settings, '--listen', '127.0.0.1:0', ...more);
  t.after(() => started.child.kill('SIGKILL'));
  const [url = ''] = (await started.said(/\n/)).split('\n');
  return { ...started, url };
}

async function post(url: string, body: string) {
  const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body });
  return { status: response.status, text: await response.text() };
}

test('what a witness has answered it knows after kill -9', limit, async (t) => {
  const cwd = dirname(witnessFile('x'));
  const key = keyOf(await keygen(cwd, 'witness.example/w1', 'w1.pem'));
  const log = new TestLog().grow(2);
  writeFileSync(join(cwd, 'logs'), `logs/v0\n\nvkey ${log.vkey}\nqpd 10\n`);
  for (let round = 0; round < 3; round++) {
    const { url, child, ended } = await spawnWitness(t, cwd, '--log-list', 'logs');
    if (round > 0) {
      // A history that the killed one would have refused is refused.
      const fork = new TestLog().grow(1).grow(log.size - 1, `fork ${round}`);
      assert.equal((await post(url, await fork.request(log.size))).status, 422);
      assert.equal((await post(url, await log.request(0))).text, `${log.size}\n`);
    }
    const old = round === 0 ? 0 : log.size;
    log.grow(3);
    const { status, text } = await post(url, await log.request(old));
    child.kill('SIGKILL');
    assert.equal(status, 200, text);
    assert.equal((await ended).signal, 'SIGKILL');
    const checkpoint = readSignedCheckpoint(`${(await log.checkpoint()).text}\n${text}`);
    assert.equal((await signersOf(checkpoint, [key], createNoteVerifier())).size, 1);
  }
});

test(
  'a witness says its key, ends on SIGTERM, and refuses to run for nothing',
  limit,
  async (t) => {
    const cwd = dirname(witnessFile('x'));
    const vkey = await keygen(cwd, 'witness.example/w1', 'w1.pem');
    const { vkey: log } = new TestLog();
    const witness = await spawnWitness(t, cwd, '--log', log, '--prefix', '/w');
    assert.match(witness.url, /\/w$/);
    assert.match(
      await witness.remarked(/in a policy/),
      new RegExp(`witness witness.example/w1 ${vkey.replace(/[+]/g, '\\+')} http`),
    );
    const page = await (await fetch(`${witness.url}/`)).text();
    assert.ok(page.includes(vkey) && page.includes(`log ${ORIGIN}`));
    const settings = ['witness', '--key', 'w1.pem', '--name', 'witness.example/w1', '--db', 'w.db'];
    const twin = await quorate({ cwd }, ...settings, '--listen', '127.0.0.1:0', '--log', log);
    assert.equal(twin.code, 4);
    assert.match(twin.stderr, /expected to be the only process/);
    witness.child.kill('SIGTERM');
    assert.equal((await witness.ended).code, 0);
    assert.equal((await quorate({ cwd }, ...settings)).code, 2);
    const cosigner = await quorate({ cwd }, ...settings, '--log', vkey);
    assert.match(cosigner.stderr, /expected the verifier key of a log/);
  },
);

test(
  'a server is cosigned by its witness and its clock, and tells both to readers',
  limit,
  async (t) => {
    const cwd = dirname(witnessFile('x'));
    const vkey = await keygen(cwd, 'witness.example/w1', 'w1.pem');
    const clock = await keygen(cwd, `${ORIGIN}/clock`, 'clock.pem');
    const { url } = await spawnWitness(t, cwd, '--log', new TestLog().vkey);
    const policy = join(cwd, 'policy');
    writeFileSync(policy, `witness w1 ${vkey} ${url}\nquorum w1\n`);
    const settings = { witness_policy: policy, clock_key: join(cwd, 'clock.pem') };
    const server = await startTestServer(t, { ...settings, metrics_listen: '127.0.0.1:0' });
    const client = clientOf(server.url);
    const registry = await beginOver(client);
    await written(() => commitService(client, registry, 'a'));
    const signed = await untilSigned(server.url, 2, ['witness.example/w1', `${ORIGIN}/clock`]);
    const keys = [keyOf(vkey), keyOf(clock)];
    const times = [...(await signersOf(signed, keys, createNoteVerifier())).values()];
    assert.equal(times.length, 2);
    for (const time of times) assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60);
    const metrics = await (await fetch(server.metricsUrl ?? '')).text();
    assert.match(
      metrics,
      /^registry_witness_requests_total\{witness="w1",result="signed"\} [1-9]/m,
    );
    assert.match(metrics, /^registry_witness_size\{witness="w1"\} 2$/m);
    assert.match(metrics, /^registry_cosignature_age_seconds\{witness="w1"\} [0-9.]+$/m);
    assert.match(
      metrics,
      new RegExp(`^registry_cosignature_age_seconds\\{witness="${ORIGIN}/clock"\\}`, 'm'),
    );

    const info = (...more: string[]) =>
      quorate({ cwd }, 'witness-info', '--url', server.url, '--registry', registry, ...more);
    const { stdout: list } = await info('--contact', 'mail (at) acme.example');
    assert.deepEqual(
      parseLogList(list).map(({ origin, vkey: key, requestsPerDay, contact }) => [
        origin,
        key,
        requestsPerDay,
        contact,
      ]),
      [[ORIGIN, new TestLog().vkey, 576, 'mail (at) acme.example']],
    );
    const asked = ['--policy', '--witness-policy', policy, '--clock-key', settings.clock_key];
    const readers = parsePolicy((await info(...asked)).stdout);
    assert.equal(readers.quorum, 'w1');
    assert.deepEqual(
      readers.witnesses.map(({ name, key }) => [name, key.name]),
      [
        ['w1', 'witness.example/w1'],
        ['clock', `${ORIGIN}/clock`],
      ],
    );
    assert.deepEqual(
      readers.logs.map(({ key, url: place }) => [key.name, place]),
      [[ORIGIN, server.url]],
    );
  },
);

/** Witnesses answer in their own time: a first write may come too early. */
async function written<T>(write: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'not_ready')) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function untilSigned(url: string, size: number, names: readonly string[]) {
  for (;;) {
    const checkpoint = readSignedCheckpoint(await (await fetch(`${url}/checkpoint`)).text());
    const signers = checkpoint.signatures.map(({ name }) => name);
    if (checkpoint.size === size && names.every((name) => signers.includes(name)))
      return checkpoint;
  }
}

test(
  'a database that was restored over a high-water mark is read and not written',
  limit,
  async (t) => {
    const data = makeDataDir();
    const mark = witnessFile('mark');
    const settings = { profile: 'macronode', data, high_water: mark };
    const backup = join(dirname(mark), 'backup.db');
    const database = join(data, 'registry.db');
    const first = await startTestServer(t, settings);
    const registry = await beginOver(clientOf(first.url));
    await first.stop();
    copyFileSync(database, backup);
    const second = await startTestServer(t, settings);
    await written(() => commitService(clientOf(second.url), registry, 'a'));
    await second.stop();
    assert.equal(readSignedCheckpoint(readFileSync(mark, 'utf8')).size, 2);

    const third = await startTestServer(t, settings);
    await written(() => commitService(clientOf(third.url), registry, 'b'));
    await third.stop();
    const before = readFileSync(mark, 'utf8');
    rmSync(data, { recursive: true });
    mkdirSync(data);
    copyFileSync(backup, database);
    const restored = await startTestServer(t, settings);
    await ready(restored.url, /has seen 3 entries, while here are 1/);
    await refusesLater(
      'not_ready',
      commitService(clientOf(restored.url), registry, 'c'),
      /high-water mark/,
    );
    assert.equal((await clientOf(restored.url).head()).version, 0);
    await restored.stop();
    assert.equal(readFileSync(mark, 'utf8'), before);
  },
);

/** Until `/readyz` names what is missing so. */
async function ready(url: string, missing: RegExp): Promise<void> {
  while (!missing.test(await (await fetch(`${url}/readyz`)).text()));
}

test('a setting that names what cannot be used ends the start, and says what', limit, async (t) => {
  const cwd = dirname(witnessFile('x'));
  const data = makeDataDir();
  const bad = join(cwd, 'policy');
  const { vkey } = new TestLog();
  writeFileSync(bad, `witness w1 ${vkey} http://127.0.0.1:1\nquorum w1\n`);
  for (const [settings, message] of [
    [{ witness_policy: join(cwd, 'none') }, /witness_policy at .*none, got ENOENT/],
    [{ witness_policy: bad }, /witness_policy at .*line 1 of the witness policy/],
    [{ clock_key: join(cwd, 'none.pem') }, /none\.pem/],
    [
      { profile: 'macronode', data, high_water: join(data, 'mark') },
      /expected high_water outside of data/,
    ],
    [{ clock_name: 'a b' }, /--clock-name/],
    [{ recosign_interval: '1s' }, /--recosign-interval/],
  ] as const)
    await refusesLater('invalid_request', startTestServer(t, settings), message);
});
