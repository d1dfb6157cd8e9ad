/** An audit of a log from which payloads are gone: what is verified all the same, and what the summary owns up to. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { type CliStage, openCliStage } from '../../support/cli-stage.ts';
import { forgetting, type Gone } from '../../support/client-gone.ts';
import { editLeaf, type Log, readLog, reseal, serve } from '../../support/client-lies.ts';
import type { Lie } from '../../support/client-server.ts';
import { put, remove } from '../../support/registry.ts';
import { erasePayload, governancePayload, makeGovernance } from '../../support/signers.ts';

const ADA = { born: '1815-12-10' };
/** Past one full tile. */
const SIZE = 300;
const ERASED: Gone = { erased: new Map([[2, 40]]), unwhole: [{ from: 2, to: 29 }] };
const PRUNED: Gone = { oldest: 280, governance: [0, 100], archive: null };

let stage: CliStage;
/** As it was before anything was erased. */
let log: Log;

before(async () => {
  stage = await openCliStage();
  const { governance: current, registryHash, signers } = stage;
  await stage.grow(1);
  await stage.change(put('ada', ADA), put('beta', { n: 0 }));
  await stage.grow(27);
  await stage.change(remove('ada', ADA), put('beta', { n: 1 }, { n: 0 }));
  await stage.grow(9);
  const whole = await readLog(stage);
  const erases = (await stage.registry.reader.entry(2))?.entryHash;
  assert.ok(erases);
  await stage.commit(erasePayload(registryHash, { erases, version: 2 }));
  await stage.grow(59);
  const next = makeGovernance(signers, { threshold: 2, version: 2 });
  await stage.commit(governancePayload(registryHash, { next, current }));
  await stage.grow(SIZE - 101);
  assert.equal(stage.registry.head()?.object.version, SIZE - 1);
  log = (await readLog(stage)).map((entry) => whole[entry.leaf.version] ?? entry);
});

async function verify(lie: Lie, ...options: readonly string[]) {
  stage.lie(lie);
  stage.requests.length = 0;
  try {
    return await stage.cli('verify', '--registry', stage.registryHash, '--json', ...options);
  } finally {
    stage.lie(undefined);
  }
}

test('an erased entry is named, and all that comes after it is replayed', async () => {
  const { code, json, stderr } = await verify(forgetting(ERASED));
  assert.equal(code, 0, stderr);
  const [summary] = json();
  assert.deepEqual(summary?.erased, [{ version: 2, erased_by: 40 }]);
  assert.deepEqual([summary?.pruned, summary?.entries, summary?.tiles], [0, SIZE, 5]);
  const [whole] = (await verify((_path, honest) => honest())).json();
  assert.deepEqual(whole, summary);
  assert.equal((await verify(forgetting(ERASED))).code, 0);
});

test('the set after an erased entry is asked for by its hashes, once', async () => {
  await verify(forgetting(ERASED));
  const asked = stage.requests.filter((request) => request.includes('/set'));
  assert.deepEqual(asked, [
    'GET /registry/2/set',
    'GET /registry/2/set/hashes',
    `GET /registry/${SIZE - 1}/set`,
  ]);
});

test('a payload that nothing erased is missed', async () => {
  for (const version of [2 + 1, SIZE - 1]) {
    const lie = forgetting({ erased: new Map([[version, 40]]) });
    const { code, stderr } = await verify(lie);
    assert.equal(code, 3, stderr);
    assert.match(
      stderr,
      new RegExp(`entry ${version}: expected its payload, or an entry that erases`),
    );
  }
});

test('a log in which another entry was erased than the one that is shown is refused', async () => {
  const later = log.map((entry) =>
    entry.leaf.version < 2
      ? entry
      : { ...entry, leaf: { ...entry.leaf, committed_at: '2026-11-21T09:30:00.000Z' } },
  );
  const lied = forgetting(ERASED, serve(reseal(later, 2)));
  // Its tiles are another log's by then: the leaf of the first bundle is compared before.
  assert.equal((await verify(lied)).code, 3);
});

test('an audit that was interrupted between an erased entry and the one that names it goes on', async () => {
  const path = stage.file('audit.json');
  const gone = forgetting({ erased: new Map([[2, 40]]), unwhole: [{ from: 2, to: 29 }] });
  const whole = await verify(gone, '--resume', path);
  assert.equal(whole.code, 0, whole.stderr);
  const { schema, state } = JSON.parse(readFileSync(path, 'utf8'));
  assert.equal(schema, 'quorate/audit/v2');
  assert.deepEqual(state.erasures, { found: [[2, 40]], waiting: [] });
  const again = await verify(gone, '--resume', path);
  assert.deepEqual(again.json(), whole.json());
});

test('what was pruned is refused, and with leave counted as not verified', async () => {
  const refused = await verify(forgetting(PRUNED));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /take the 280 from a snapshot or a mirror/);
  const { code, json, stderr } = await verify(forgetting(PRUNED), '--accept-pruned');
  assert.equal(code, 0, stderr);
  const [summary] = json();
  assert.deepEqual(
    [summary?.pruned, summary?.entries, summary?.governances, summary?.approvals, summary?.tiles],
    [278, SIZE, 2, 3 + 2 + 20 * 2, 5],
  );
  stage.lie(forgetting(PRUNED));
  const text = await stage.cli('verify', '--accept-pruned');
  stage.lie(undefined);
  assert.match(
    text.stdout,
    /not verified +the approvals and changes of 278 entries that were pruned/,
  );
});

test('a leaf that is not that of the tiles is no pruned entry', async () => {
  const lied = serve(reseal(editLeaf(log, 50, { set_size: 7 }), 50));
  const { code } = await verify(forgetting(PRUNED, lied), '--accept-pruned');
  assert.equal(code, 3);
});

test('a proof of an entry whose payload is gone is made of its leaf, and holds', async () => {
  const key = stage.governance.log_keys[0] ?? '';
  for (const [version, gone] of [
    [2, ERASED],
    [50, PRUNED],
  ] as const) {
    const path = stage.file(`${version}.tlog-proof`);
    stage.lie(forgetting(gone));
    const written = await stage.cli('proof', `${version}`, '-o', path);
    stage.lie(undefined);
    assert.equal(written.code, 0, written.stderr);
    const verified = await stage.cli('proof', 'verify', path, '--log-key', key);
    assert.equal(verified.code, 0, verified.stderr);
  }
  stage.lie(forgetting(ERASED));
  const bundle = await stage.cli(
    'bundle',
    'export',
    '--version',
    '2',
    '-o',
    stage.file('2.bundle'),
  );
  stage.lie(undefined);
  assert.deepEqual([bundle.code, /erased/.test(bundle.stderr)], [1, true]);
});
