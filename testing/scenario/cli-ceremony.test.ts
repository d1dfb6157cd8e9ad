/** The program as its users run it: every signer and every reader a process of its own, against a real service. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Ended, quorate, type Started, start } from '../support/cli-process.ts';
import { makeDirectory } from '../support/cli-stage.ts';

const ORIGIN = 'registry.example.com/prod';
const SIGNERS = ['alice', 'bob', 'carol'];
const LISTEN = ['--listen', '127.0.0.1:0', '--metrics-listen', 'off', '--log-level', 'warn'];

const cwd = makeDirectory();
const env: Record<string, string> = { QUORATE_STATE: join(cwd, 'state') };
let service: Started;
let watch: Started;
let registry: string;

async function run(...argv: readonly string[]): Promise<Ended> {
  return quorate({ cwd, env }, ...argv);
}

/** Fails the test, with what was said, unless the command did what it was asked. */
async function done(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...argv);
  assert.equal(code, 0, `quorate ${argv.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** Each signer in a process of their own, all at once. */
async function approveBy(names: readonly string[], id: string): Promise<void> {
  await Promise.all(names.map((name) => done('approve', id, '--key', `${name}.pem`, '--yes')));
}

function write(name: string, items: readonly object[]): string {
  writeFileSync(join(cwd, name), items.map((item) => `${JSON.stringify(item)}\n`).join(''));
  return name;
}

const service1 = (spec: object) => ({ kind: 'service', id: 'checkout', spec });

before(async () => {
  const keys = [...SIGNERS, 'alice-2027'].map((name) =>
    done('keygen', '-o', `${name}.pem`, '--id', `org:acme#${name}`),
  );
  await Promise.all([...keys, done('keygen', '--log', '--origin', ORIGIN, '-o', 'log.pem')]);
  const signers = ['--signer', ...SIGNERS.map((name) => `${name}.pub.json`)];
  await done('init', '--origin', ORIGIN, '--threshold', '2', '--log-key', 'log.vkey', ...signers);
  await Promise.all(
    SIGNERS.map((name) =>
      done('approve', 'genesis.json', '--key', `${name}.pem`, '-y', '-o', `${name}.approval.json`),
    ),
  );
  const approvals = SIGNERS.map((name) => `${name}.approval.json`);
  registry = await done('init', 'commit', 'genesis.json', ...approvals, '--data', 'data');
  service = start({ cwd, env }, 'serve', '--data', 'data', '--log-key', 'log.pem', ...LISTEN);
  env.QUORATE_URL = (await service.said(/\n/)).trim();
  env.QUORATE_REGISTRY = registry;
  watch = start({ cwd, env: { ...env, QUORATE_STATE: join(cwd, 'watching') } }, 'watch', '--json');
  await watch.remarked(/watching/);
});

after(() => {
  service.child.kill('SIGKILL');
  watch.child.kill('SIGKILL');
});

test('two signers, each a process, make a change that a watcher hears of', async () => {
  assert.match(registry, /^b3:[0-9a-f]{64}$/);
  const id = await done('propose', '-f', write('v1.ndjson', [service1({ port: 1 })]));
  const early = await run('commit', id);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /^quorate: expected a quorum of approvals/);
  await approveBy(['alice', 'bob'], id);
  await done('commit', id);
  const heard = await watch.said(/"version":1/);
  assert.equal(JSON.parse(heard.split('\n')[0] ?? '').payload_b3, id);
});

test('a signer is rotated, and the old key counts no more', async () => {
  const rotate = ['signers', 'rotate', 'org:acme#alice', 'alice-2027.pub.json', '--propose'];
  const id = await done(...rotate);
  await approveBy(['bob', 'carol', 'alice-2027'], id);
  await done('commit', id);
  const next = await done('propose', '-f', write('v3.ndjson', [service1({ port: 3 })]));
  const refused = await run('approve', next, '--key', 'alice.pem', '--yes');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /expected the key of a signer/);
  await approveBy(['alice-2027', 'bob'], next);
  await done('commit', next);
  await watch.said(/"type":"governance".*\n.*"version":3/);
});

test('the head is superseded by approvals that were made offline', async () => {
  const supersede = [
    'supersede',
    '--reason',
    'DataError',
    '-f',
    write('v4.ndjson', [service1({ port: 4 })]),
  ];
  await done(...supersede, '--note', 'port 3 is taken', '-o', 'supersede.json');
  const offline = { QUORATE_REGISTRY: registry, QUORATE_URL: 'http://127.0.0.1:9' };
  for (const name of ['alice-2027', 'carol']) {
    const sign = ['approve', 'supersede.json', '--key', `${name}.pem`, '-y', '-o', `${name}.json`];
    const { code, stderr } = await quorate({ cwd, env: offline }, ...sign);
    assert.equal(code, 0, stderr);
  }
  const id = await done('propose', '--payload', 'supersede.json');
  for (const name of ['alice-2027', 'carol'])
    await done('approve', id, '--approval', `${name}.json`);
  await done('commit', id);
  assert.equal(JSON.parse(await done('cat', 'service/checkout')).spec.port, 4);
  await watch.said(/"type":"supersede"/);
});

test('verify says the same of the service and of its database while it runs', async () => {
  const [over, file] = await Promise.all([
    done('verify', '--json'),
    done('verify', '--data', 'data', '--json'),
  ]);
  const { rows, nodes, tiles, checkpoint: kept, ...summary } = JSON.parse(file);
  const { checkpoint, ...served } = JSON.parse(over);
  assert.deepEqual(served, { ...summary, rows: null, nodes: null, tiles: 2 });
  // A checkpoint is kept within a second, and served at once.
  assert.deepEqual([checkpoint.size, [4, 5].includes(kept.size)], [5, true]);
  assert.deepEqual([nodes, tiles], [8, null]);
  assert.deepEqual(
    [summary.version, summary.entries, summary.approvals, summary.governances, rows],
    [4, 5, 12, 2, 3],
  );
});

test('an interrupt ends a watcher with 130, and it goes on where it ended', async () => {
  watch.child.kill('SIGINT');
  const { code, stdout } = await watch.ended;
  assert.equal(code, 130);
  const versions = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).version);
  assert.deepEqual(versions, [1, 2, 3, 4]);
  const id = await done('propose', '-f', write('v5.ndjson', [service1({ port: 5 })]));
  await approveBy(['bob', 'carol'], id);
  await done('commit', id);
  const again = { cwd, env: { ...env, QUORATE_STATE: join(cwd, 'watching') } };
  const { stdout: rest } = await quorate(again, 'watch', '--json', '-n', '1');
  assert.equal(JSON.parse(rest).version, 5);
});

test('a reader that goes away ends the program quietly', async () => {
  const state = { cwd, env: { ...env, QUORATE_STATE: join(cwd, 'unread') } };
  // By itself a watcher never ends.
  const reading = start(state, 'watch', '--json');
  reading.child.stdout?.destroy();
  const { code, signal, stderr } = await reading.ended;
  assert.deepEqual([code, signal], [0, null]);
  assert.match(stderr, /^watching .*\n$/);
});

test('an argument that means nothing is 2, and no service is 4', async () => {
  const [usage, nobody] = await Promise.all([
    run('head', '--colour'),
    quorate({ cwd, env: { ...env, QUORATE_URL: 'http://127.0.0.1:9' } }, 'head'),
  ]);
  assert.equal(usage.code, 2);
  assert.equal(nobody.code, 4);
  assert.match(nobody.stderr, /^quorate: expected an answer .*\n {2}is it running/);
  assert.doesNotMatch(nobody.stderr, /\n {4}at /);
});

test('serve stops in order when it is told to, and a database that was damaged is found', async () => {
  const second = await run('serve', '--data', 'data', ...LISTEN);
  assert.equal(second.code, 4);
  assert.match(second.stderr, /another process holds the database/);
  service.child.kill('SIGTERM');
  assert.equal((await service.ended).code, 0);
  const whole = join(cwd, 'data/registry.db');
  // Every copy there is: the entry, the row of the descriptor, and what SQLite left of the proposal.
  const bytes = readFileSync(whole).toString('latin1');
  const damaged = bytes.replaceAll('"spec":{"port":1}', '"spec":{"port":9}');
  assert.notEqual(damaged, bytes);
  writeFileSync(join(cwd, 'damaged.db'), damaged, 'latin1');
  const [good, bad] = await Promise.all([
    run('verify', '--data', 'data'),
    run('verify', '--data', 'damaged.db'),
  ]);
  assert.equal(good.code, 0, good.stderr);
  assert.deepEqual([bad.code, bad.stdout], [3, '']);
});

test('what the program prints reaches a pipe whole', async () => {
  const { stdout } = await run('completion', 'fish');
  assert.ok(stdout.length > 8_000);
  assert.ok(stdout.endsWith('\n'));
});
