/** Everybody who reads a real registry that erases and prunes: clients new and old, the command line, audits of both kinds. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Update } from '../../src/client/client.ts';
import { memoryTrust } from '../../src/client/memory-trust.ts';
import { RegistryError } from '../../src/core/error.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { runCli } from '../support/cli-io.ts';
import { type CliStage, makeDirectory, openCliStage } from '../support/cli-stage.ts';
import { errorOf, openClient } from '../support/client-server.ts';
import { put, remove } from '../support/registry.ts';
import { NEEDS_PYTHON, secondVerdict } from '../support/second-verifier.ts';
import { erasePayload, governancePayload, makeGovernance } from '../support/signers.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const ADA = { born: '1815-12-10' };
const MOVED = { street: 'St James’s Square' };

interface World {
  readonly stage: CliStage;
  readonly path: string;
  erase(version: number): Promise<void>;
}

/** Versions 1 and 2 put Ada, 3 removes her; the governance changes at 8; the head is 20. */
async function openWorld(t: TestContext): Promise<World> {
  const path = join(makeDirectory(), 'registry.db');
  const stage = await openCliStage({ store: await openSqliteStore({ ...IDLE, path }) });
  t.after(() => stage.registry[Symbol.asyncDispose]());
  await stage.change(put('ada', ADA), put('beta', { n: 0 }));
  await stage.change(put('ada', MOVED, ADA));
  await stage.change(remove('ada', MOVED), put('beta', { n: 1 }, { n: 0 }), put('gamma', {}));
  await stage.change(remove('gamma', {}));
  await stage.grow(3);
  const { governance: current, registryHash, signers } = stage;
  const next = makeGovernance(signers, { threshold: 2, version: 2 });
  await stage.commit(governancePayload(registryHash, { next, current }));
  await stage.grow(12);
  const erase = async (version: number): Promise<void> => {
    const leaf = await stage.registry.reader.leaf(version + 1);
    const erases = leaf?.prev_hash;
    assert.ok(erases);
    await stage.commit(erasePayload(registryHash, { erases, version }));
  };
  return { stage, path, erase };
}

/** Trusted state of a client that stopped at a version. */
async function stoppedAt(stage: CliStage, version: number): Promise<string> {
  const trust = memoryTrust();
  const { client } = openClient(stage, { trust });
  await take(client.follow(), version);
  assert.equal(client.trusted()?.version, version);
  return (await trust.load()) ?? assert.fail();
}

async function take(updates: AsyncIterable<Update>, count: number): Promise<readonly Update[]> {
  const taken: Update[] = [];
  for await (const update of updates) if (taken.push(update) === count) break;
  return taken;
}

async function headFrom(stage: CliStage, state: string | undefined, acceptPruned = false) {
  return openClient(stage, { trust: memoryTrust(state), acceptPruned }).client.head();
}

test('erased: clients new, old, and stopped anywhere reach one head, and so do audits', async (t) => {
  const { stage, path, erase } = await openWorld(t);
  const states = await Promise.all([1, 2, 3, 4, 10].map((version) => stoppedAt(stage, version)));
  await erase(1);
  await stage.grow(2);
  await erase(2);
  await stage.grow(1);
  const { version, entry_hash } = stage.registry.head()!.object;
  for (const state of [undefined, ...states]) {
    const head = await headFrom(stage, state);
    assert.deepEqual([head.version, head.entryHash, head.accepted], [version, entry_hash, []]);
  }
  const { client } = openClient(stage);
  const updates = await take(client.follow(), version);
  assert.deepEqual(
    updates.filter(({ entry }) => entry.proposal === null).map(({ entry }) => entry.version),
    [1, 2],
  );
  assert.equal((await client.entry(2)).erasedBy, 24);
  const shown = await stage.cli('log', '-n', '30');
  assert.match(shown.stdout, /^2 .*erased by 24/m);
  assert.equal((await stage.cli('history', 'service/ada')).code, 0);
  const diff = await stage.cli('diff', '0', String(version));
  assert.equal(diff.code, 0, diff.stderr);
  const erased = [
    { version: 1, erased_by: 21 },
    { version: 2, erased_by: 24 },
  ];
  const served = await stage.cli('verify', '--json');
  assert.equal(served.code, 0, served.stderr);
  assert.deepEqual(served.json()[0]?.erased, erased);
  const stored = await runCli(['verify', '--data', path, '--json']);
  assert.equal(stored.code, 0, stored.stderr);
  const { entries, pruned, rows } = stored.json()[0] ?? {};
  assert.deepEqual([entries, pruned, stored.json()[0]?.erased], [version + 1, 0, erased]);
  assert.ok(Number(rows) > 15);
  const proof = stage.file('1.tlog-proof');
  assert.equal((await stage.cli('proof', '1', '-o', proof)).code, 0);
  const key = stage.governance.log_keys[0] ?? '';
  assert.equal((await stage.cli('proof', 'verify', proof, '--log-key', key)).code, 0);
});

test('pruned: who has not read it is told, who agrees goes by leaves, who was near needs nobody', async (t) => {
  const { stage, path, erase } = await openWorld(t);
  await erase(1);
  await stage.grow(6);
  const oldest = 15;
  const near = await stoppedAt(stage, oldest - 1);
  const far = await stoppedAt(stage, 5);
  await stage.registry.prune(oldest);
  const head = stage.registry.head()!.object;
  assert.deepEqual(
    [(await headFrom(stage, near)).entryHash, (await headFrom(stage, near)).accepted],
    [head.entry_hash, []],
  );
  for (const [state, from] of [
    [far, 6],
    [undefined, 0],
  ] as const) {
    const error = await errorOf(headFrom(stage, state));
    assert.ok(error instanceof RegistryError && error.code === 'pruned', String(error));
    assert.equal(error.details.entries, oldest - from);
    const found = await headFrom(stage, state, true);
    assert.deepEqual(
      [found.entryHash, found.accepted, found.governance.version],
      [head.entry_hash, [{ from, to: oldest - 1 }], 2],
    );
  }
  const updates = openClient(stage, {
    trust: memoryTrust(far),
    acceptPruned: true,
  }).client.follow();
  const [first] = await take(updates, 1);
  assert.deepEqual([first?.entry.version, first?.skipped], [oldest, { from: 6, to: oldest - 1 }]);
  assert.equal((await stage.cli('verify')).code, 1);
  const served = await stage.cli('verify', '--accept-pruned', '--json');
  assert.equal(served.code, 0, served.stderr);
  const stored = await runCli(['verify', '--data', path, '--accept-pruned', '--json']);
  assert.equal(stored.code, 0, stored.stderr);
  for (const run of [served, stored])
    assert.deepEqual([run.json()[0]?.entries, run.json()[0]?.pruned], [head.version + 1, 13]);
  assert.equal((await runCli(['verify', '--data', path])).code, 1);
});

test('pruned first and erased later, and both again', async (t) => {
  const { stage, path, erase } = await openWorld(t);
  await stage.change(put('zeta', { n: 1 }));
  await stage.change(put('zeta', { n: 2 }, { n: 1 }));
  await stage.registry.prune(19);
  await erase(21);
  await stage.grow(3);
  const head = stage.registry.head()!.object;
  const found = await headFrom(stage, undefined, true);
  assert.deepEqual([found.entryHash, found.accepted], [head.entry_hash, [{ from: 0, to: 18 }]]);
  await stage.registry.prune(23);
  assert.equal((await headFrom(stage, undefined, true)).entryHash, head.entry_hash);
  for (const where of [[], ['--data', path]]) {
    const run = await stage.cli('verify', '--accept-pruned', ...where);
    assert.equal(run.code, 0, run.stderr);
  }
});

test('what a server that erased gives out passes the second verifier', NEEDS_PYTHON, async (t) => {
  const { stage, erase } = await openWorld(t);
  await erase(1);
  await erase(2);
  await stage.grow(1);
  const directory = makeDirectory();
  const save = async (path: string, name: string): Promise<void> => {
    const answer = await stage.get(path);
    assert.equal(answer.status, 200, path);
    writeFileSync(join(directory, name), new Uint8Array(await answer.arrayBuffer()));
  };
  mkdirSync(join(directory, 'hashes'));
  mkdirSync(join(directory, 'tile', '0'), { recursive: true });
  mkdirSync(join(directory, 'tile', 'entries'), { recursive: true });
  const { version, entry_hash } = stage.registry.head()!.object;
  await save('/checkpoint', 'checkpoint');
  await save('/registry/entries?from=0&limit=1000', 'entries.ndjson');
  await save('/registry/2/set/hashes', 'hashes/2');
  for (const level of ['0', 'entries']) {
    mkdirSync(join(directory, 'tile', level, '000.p'));
    await save(`/tile/${level}/000.p/${version + 1}`, `tile/${level}/000.p/${version + 1}`);
  }
  const { found, refusal } = secondVerdict('registry', [directory]);
  assert.equal(refusal, '');
  assert.partialDeepStrictEqual(found, { entry_hash, version });
});
