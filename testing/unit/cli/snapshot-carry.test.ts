/** `quorate snapshot create --to`: what is not the snapshot that was made takes no name, and the place of no other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { snapshotName } from '../../../src/server/snapshot/header.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { packTest, type TestSnapshot, withHeader, written } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

let snapshot: TestSnapshot;
let whole: Buffer;

before(async () => {
  const path = join(makeDirectory(), 'registry.db');
  const real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
  await real.change(put('a', {}));
  await real.registry[Symbol.asyncDispose]();
  snapshot = await packTest(path);
  whole = readFileSync(snapshot.path);
});

/** A server that made the snapshot; `path`: of the file when the command reads it. */
async function createFrom(t: TestContext, path: string, to: string) {
  const socket = join(makeDirectory(), 'operator.sock');
  const { id, header } = snapshot;
  const file = snapshotName({ version: header.version, id });
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ id, file, path, bytes: whole.length, seconds: 1 }));
  }).listen(socket);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return runCli(['snapshot', 'create', '--socket', socket, '--to', to]);
}

test('a copy that is not what was made leaves the one that stood there before', async (t) => {
  const flipped = Uint8Array.from(whole);
  flipped[whole.length - 40] = (flipped[whole.length - 40] ?? 0) ^ 1;
  const cases: readonly (readonly [path: string, message: RegExp])[] = [
    [written(whole.subarray(0, -40)), /expected \d+ bytes of the snapshot that was made, got \d+/],
    [written(flipped), /expected a (snapshot|compressed database)/],
    [
      withHeader(snapshot.path, { program: '9.9.9' }),
      /expected the snapshot b3:.* got b3:.*make another/,
    ],
    [join(makeDirectory(), 'gone'), /expected a snapshot at .*gone, got no file/],
  ];
  for (const [path, message] of cases) {
    const place = makeDirectory();
    const to = join(place, 'latest.qsnap');
    writeFileSync(to, 'the only backup');
    const { code, stderr } = await createFrom(t, path, to);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
    assert.equal(readFileSync(to, 'utf8'), 'the only backup');
    assert.deepEqual(readdirSync(place), ['latest.qsnap']);
    const directory = join(place, 'all');
    assert.notEqual((await createFrom(t, path, directory)).code, 0);
    assert.deepEqual(existsSync(directory) ? readdirSync(directory) : [], []);
  }
});

test('a copy that is what was made takes the place of the one before', async (t) => {
  const to = join(makeDirectory(), 'latest.qsnap');
  writeFileSync(to, 'older');
  const { code, stderr } = await createFrom(t, snapshot.path, to);
  assert.equal(code, 0, stderr);
  assert.deepEqual(readFileSync(to), whole);
});
