/** An audit of a database that was pruned, with a snapshot from before it. */
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import {
  openTestRegistry,
  put,
  remove,
  type TestRegistry,
  type TestRegistryOptions,
} from '../../support/registry.ts';
import { erasePayload } from '../../support/signers.ts';
import { packTest } from '../../support/snapshot.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
/** Version 6 is the newest, and versions 1 to 3 were pruned. */
const ENTRIES = 7;
const OLDEST = 4;

let pruned: string;
let [early, right, late, forked, foreign] = ['', '', '', '', ''];

async function inRegistry(
  path: string,
  act: (real: TestRegistry) => Promise<unknown>,
  options: TestRegistryOptions = {},
): Promise<void> {
  const store = await openSqliteStore({ ...IDLE, path });
  const real = await openTestRegistry({ ...options, store });
  await act(real);
  await real.registry[Symbol.asyncDispose]();
}

async function snapshotOf(path: string): Promise<string> {
  return (await packTest(path)).path;
}

/** Of the same length as the real one, whatever it says. */
async function other(value: number, options: TestRegistryOptions = {}): Promise<string> {
  const path = join(makeDirectory(), 'registry.db');
  const changes = async ({ change }: TestRegistry): Promise<void> => {
    for (let i = 0; i < ENTRIES - 1; i++) await change(put(`other-${i}`, { value }));
  };
  await inRegistry(path, changes, options);
  return snapshotOf(path);
}

before(async () => {
  pruned = join(makeDirectory(), 'registry.db');
  await inRegistry(pruned, async ({ change }) => {
    await change(put('a', { n: 1 }));
    await change(put('a', { n: 2 }, { n: 1 }));
  });
  early = await snapshotOf(pruned);
  await inRegistry(pruned, async ({ change }) => {
    await change(put('b', { n: 1 }));
    await change(remove('b', { n: 1 }), put('a', { n: 3 }, { n: 2 }));
    await change(put('c', { n: 1 }));
  });
  right = await snapshotOf(pruned);
  await inRegistry(pruned, async ({ change, registry }) => {
    await change(put('d', { n: 1 }), put('a', { n: 4 }, { n: 3 }));
    await registry.prune(OLDEST);
  });
  late = await snapshotOf(pruned);
  forked = await other(1);
  foreign = await other(1, { threshold: 3 });
  process.env.TMPDIR = makeDirectory();
});

async function verify(...options: readonly string[]) {
  const ran = await runCli(['verify', '--data', pruned, '--json', ...options]);
  assert.deepEqual(readdirSync(process.env.TMPDIR ?? ''), [], 'something temporary is left');
  return ran;
}

test('what was pruned is verified out of the snapshot, payloads and approvals', async () => {
  const without = await verify();
  assert.equal(without.code, 1);
  assert.match(
    without.stderr,
    /version 1, which was pruned: give quorate verify a snapshot that holds it/,
  );
  const { code, json, stderr } = await verify('--snapshot', right);
  assert.equal(code, 0, stderr);
  const [summary] = json();
  assert.deepEqual([summary?.entries, summary?.pruned], [ENTRIES, 0]);
  const [leaves] = (await verify('--accept-pruned')).json();
  assert.deepEqual([leaves?.entries, leaves?.pruned], [ENTRIES, OLDEST - 1]);
  assert.ok(Number(summary?.approvals) > Number(leaves?.approvals));
});

test('a snapshot that is too old or too new is not enough, and does what it can', async () => {
  for (const [snapshot, version] of [
    [early, 3],
    [late, 1],
  ] as const) {
    const { code, stderr } = await verify('--snapshot', snapshot);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`version ${version}, which was pruned`));
  }
  const [summary] = (await verify('--snapshot', early, '--accept-pruned')).json();
  assert.equal(summary?.pruned, 1);
});

test('a snapshot of another registry, or of another history of this one, proves nothing', async () => {
  const ofAnother = await verify('--snapshot', foreign);
  assert.equal(ofAnother.code, 1);
  assert.match(ofAnother.stderr, /expected a snapshot of registry b3:/);
  const ofFork = await verify('--snapshot', forked, '--accept-pruned');
  assert.equal(ofFork.code, 3);
  assert.match(ofFork.stderr, /version 1 of the snapshot to be that of the database/);
});

test('of a directory the snapshot is taken that reaches back the furthest', async () => {
  const place = makeDirectory();
  assert.match((await verify('--snapshot', place)).stderr, /got none that is sound/);
  for (const file of [late, early, right]) {
    const [line = ''] = (await runCli(['snapshot', 'verify', file, '--json', '--quick'])).json();
    const { id, header } = Object(line);
    copyFileSync(file, join(place, `${header.version}-${String(id).slice(3, 19)}.qsnap`));
  }
  const { code, stderr } = await verify('--snapshot', place);
  assert.equal(code, 0, stderr);
});

test('over HTTP nothing falls back to a snapshot', async () => {
  const { code, stderr } = await runCli(['verify', '--snapshot', right]);
  assert.equal(code, 2);
  assert.match(stderr, /expected no --snapshot without --data/);
});

test('an entry that was erased before the snapshot, and pruned since, is not damage', async () => {
  const path = join(makeDirectory(), 'registry.db');
  await inRegistry(path, async ({ change, commit, registryHash }) => {
    const one = await change(put('a', { n: 1 }), put('b', { n: 1 }));
    const two = await change(put('a', { n: 2 }, { n: 1 }));
    await change(put('a', { n: 3 }, { n: 2 }), remove('b', { n: 1 }));
    await change(put('a', { n: 4 }, { n: 3 }));
    for (const [version, { object }] of [one, two].entries())
      await commit(erasePayload(registryHash, { version: version + 1, erases: object.entry_hash }));
  });
  const snapshot = await snapshotOf(path);
  await inRegistry(path, async ({ change, registry }) => {
    await change(put('c', { n: 1 }));
    await registry.prune(5);
  });
  const { code, json, stderr } = await runCli([
    ...['verify', '--data', path, '--json'],
    ...['--snapshot', snapshot],
  ]);
  assert.equal(code, 0, stderr);
  const [summary] = json();
  assert.deepEqual([summary?.entries, summary?.pruned], [8, 0]);
});
