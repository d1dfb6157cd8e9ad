/** The snapshot that was asked for and no other, whatever a place gives when it is read. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { snapshotName } from '../../../src/server/snapshot/header.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { openPlainServer } from '../../support/plain-server.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { packTest, type TestSnapshot, withHeader } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

/** Of one registry, one after the other: both are sound. */
let [older, newer]: TestSnapshot[] = [];

before(async () => {
  const path = join(makeDirectory(), 'registry.db');
  const packs: TestSnapshot[] = [];
  for (const id of ['a', 'b']) {
    const real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
    await real.change(put(id, {}));
    await real.registry[Symbol.asyncDispose]();
    packs.push(await packTest(path));
  }
  [older, newer] = packs;
});

function pair(): { readonly asked: TestSnapshot; readonly given: TestSnapshot } {
  assert.ok(older && newer);
  return { asked: newer, given: older };
}

function nameOf({ id, header: { version } }: TestSnapshot): string {
  return snapshotName({ version, id });
}

/** Has one snapshot; of each read but the first, the bytes of another. */
async function openPlace(t: TestContext, [first, later]: readonly [TestSnapshot, TestSnapshot]) {
  const { length } = readFileSync(first.path);
  let reads = 0;
  const endpoint = await openPlainServer(t, ({ url = '' }, response) => {
    if (url.includes('list-type=2'))
      return response.end(
        `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>${nameOf(first)}</Key><Size>${length}</Size></Contents></ListBucketResult>`,
      );
    const bytes = readFileSync((reads++ === 0 ? first : later).path);
    return response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  });
  const env = { AWS_ENDPOINT_URL_S3: endpoint, AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  return { env, reads: () => reads };
}

async function restore(which: string, options: readonly string[] = [], env = {}) {
  const data = join(makeDirectory(), 'data');
  const argv = ['snapshot', 'restore', which, '--data', data, '--any-registry'];
  const ran = await runCli([...argv, '--accept-rollback', ...options], { env });
  return { ...ran, data };
}

async function verify(which: string, options: readonly string[] = [], env = {}) {
  const scratch = makeDirectory();
  const ran = await runCli(
    ['snapshot', 'verify', which, '--scratch', scratch, '--quick', ...options],
    { env },
  );
  assert.deepEqual(readdirSync(scratch), []);
  return ran;
}

test('a place that lists one snapshot under an id and gives another is refused', async (t) => {
  const { asked, given } = pair();
  const refusal = new RegExp(`expected the snapshot ${asked.id}, got ${given.id}: another one`);
  const place = ['--in', 's3://bucket'];
  for (const run of [restore, verify]) {
    const { env, reads } = await openPlace(t, [asked, given]);
    const { code, stderr } = await run(asked.id, place, env);
    assert.equal(code, 3, stderr);
    assert.match(stderr, refusal);
    assert.equal(reads(), 2);
    const honest = await openPlace(t, [asked, asked]);
    assert.equal((await run(asked.id, place, honest.env)).code, 0);
  }
});

test('a name says which snapshot it is, in s3 and of a file', async (t) => {
  const { asked, given } = pair();
  const name = nameOf(asked);
  const refusal = new RegExp(`expected the snapshot ${name}, got ${nameOf(given)}: another one`);
  const there = await openPlace(t, [given, given]);
  const directory = makeDirectory();
  copyFileSync(given.path, join(directory, name));
  for (const [which, env] of [
    [`s3://bucket/${name}`, there.env],
    [join(directory, name), {}],
  ] as const) {
    const { code, stderr, data } = await restore(which, [], env);
    assert.deepEqual([code, existsSync(data)], [3, false], stderr);
    assert.match(stderr, refusal);
    assert.match((await verify(which, [], env)).stderr, refusal);
  }
});

test('a file of any other name is whichever snapshot it is', async () => {
  const { given } = pair();
  const path = join(makeDirectory(), 'latest.qsnap');
  copyFileSync(given.path, path);
  const { code, stderr, data } = await restore(path);
  assert.equal(code, 0, stderr);
  assert.ok(existsSync(join(data, 'registry.db')));
});

test('a file of any other name is the one whose id is given, or refused', async () => {
  const { asked, given } = pair();
  const later = withHeader(given.path, { created_at: '2026-11-21T09:01:00.000Z' });
  for (const run of [restore, verify]) {
    assert.equal((await run(given.path, ['--id', given.id])).code, 0);
    for (const [path, id] of [
      [given.path, asked.id],
      [later, given.id],
    ] as const) {
      const { code, stderr } = await run(path, ['--id', id]);
      assert.equal(code, 3, stderr);
      assert.match(stderr, new RegExp(`expected the snapshot ${id}, got .*: another one`));
    }
    const { code, stderr } = await run(given.path, ['--id', 'b3:1']);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /expected --id with an id \(b3:\.\.\.\), got b3:1/);
    const two = await run(asked.id, ['--id', given.id]);
    assert.equal(two.code, 2, two.stderr);
  }
});

test('verify says what the header alone says where no name tells the id', async () => {
  const { given } = pair();
  const later = withHeader(given.path, { created_at: '2026-11-21T09:01:00.000Z' });
  const unnamed = await verify(later);
  assert.equal(unnamed.code, 0, unnamed.stderr);
  assert.match(unnamed.stdout, /^its name does not tell its id: when it was made.*--id$/m);
  const named = await verify(given.path, ['--id', given.id]);
  assert.doesNotMatch(named.stdout, /its name/);
  const data = withHeader(given.path, { created_at: '2126-11-21T09:01:00.000Z' });
  const { code, stderr } = await verify(data);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /made by 2.*, got 2126-11-21T09:01:00\.000Z by its header: set the clock/);
});
