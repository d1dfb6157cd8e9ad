/** What a person at a terminal sees of a snapshot that is copied, unpacked and verified, and that nothing of it stays. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { snapshotName } from '../../../src/server/snapshot/header.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { openStage, type Stage, URL_BASE } from '../../support/client-server.ts';
import { keepCheckpoint } from '../../support/registry.ts';
import { packTest, type TestSnapshot } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

let stage: Stage;
let snapshot: TestSnapshot;

before(async () => {
  const [path, copy] = [join(makeDirectory(), 'registry.db'), join(makeDirectory(), 'registry.db')];
  stage = await openStage({ store: await openSqliteStore({ ...IDLE, path }) });
  await stage.grow(3);
  await keepCheckpoint(stage);
  await stage.store.snapshot({ path: copy });
  snapshot = await packTest(copy);
  await stage.grow(3);
});

after(() => stage.registry[Symbol.asyncDispose]());

/** Expects it to succeed. Answers the labels of its bars in the order they came. */
async function barsOf(...argv: readonly string[]): Promise<readonly string[]> {
  const { fetch } = stage;
  const now = () => stage.timers.now();
  const { code, stderr } = await runCli(['snapshot', ...argv], { isTerminal: true, fetch, now });
  assert.equal(code, 0, stderr);
  const bars = [...stderr.matchAll(/\r\[[# ]{30}\] ([A-Za-z ]+) \d+\/\d+/g)];
  assert.ok(stderr.lastIndexOf('\r\x1b[K') > stderr.lastIndexOf(bars.at(-1)?.[0] ?? ''), stderr);
  return [...new Set(bars.map(([, label]) => String(label)))];
}

const UNPACKED = ['MiB unpacked', 'entries verified'];

test('verifying one shows how much is unpacked, verified and audited, one after the other', async () => {
  assert.deepEqual(await barsOf('verify', snapshot.path), [...UNPACKED, 'entries audited']);
});

test('restoring one shows how much is unpacked, then how much is verified', async () => {
  const data = join(makeDirectory(), 'data');
  const argv = ['restore', snapshot.path, '--data', data, '--any-registry', '--accept-rollback'];
  assert.deepEqual(await barsOf(...argv), UNPACKED);
});

test('catching up shows how many entries are appended', async () => {
  const data = join(makeDirectory(), 'data');
  const argv = ['restore', snapshot.path, '--data', data, '--registry', stage.registryHash];
  const state = ['--state', join(makeDirectory(), 'state')];
  const bars = await barsOf(...argv, ...state, '--catch-up', URL_BASE);
  assert.deepEqual(bars, [...UNPACKED, 'entries appended']);
});

/** An operator socket at which a snapshot is ready when its state was asked for `asks` times. */
async function openSocket(t: TestContext, asks: number): Promise<string> {
  const { path, id, header } = snapshot;
  const made = { path, id, file: snapshotName({ version: header.version, id }) };
  const answer = { ...made, bytes: statSync(path).size, checkpoint: null, seconds: 1 };
  const isAsked = Promise.withResolvers<void>();
  let left = asks;
  const server = createServer(async (request, response) => {
    request.resume();
    if (request.url === '/operator/status') {
      if (--left === 0) isAsked.resolve();
      const phase = left >= asks / 2 ? 'copying' : 'verifying';
      response.end(JSON.stringify({ snapshot: { phase, done: 3 * 2 ** 20, total: 9 * 2 ** 20 } }));
    } else {
      await isAsked.promise;
      response.end(JSON.stringify(answer));
    }
  });
  const socketPath = join(makeDirectory(), 'operator.sock');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.after(() => void server.close());
  return socketPath;
}

test('making one shows how much is copied, packed and verified', async (t) => {
  const bars = await barsOf('create', '--socket', await openSocket(t, 4));
  assert.deepEqual(bars, ['MiB copied', 'MiB packed and verified']);
});

test('carrying one elsewhere shows how much is copied, and read again there', async (t) => {
  const to = join(makeDirectory(), 'place');
  const bars = await barsOf('create', '--socket', await openSocket(t, 1), '--to', to);
  assert.deepEqual(bars, ['MiB packed and verified', 'MiB copied', 'MiB unpacked']);
  assert.equal(readdirSync(to).length, 1);
});
