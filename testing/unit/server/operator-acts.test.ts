/** Operator acts on a real registry over a real socket: what they do, and what none of them can. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { OPERATOR_ACTS } from '../../../src/http/operator.ts';
import { createActs } from '../../../src/server/operator/acts.ts';
import { Snapshots } from '../../../src/server/snapshot/snapshots.ts';
import { openTestBlobs, openTestCollector } from '../../support/blobs.ts';
import { checkLog } from '../../support/check-log.ts';
import { makeFaulty } from '../../support/faulty-store.ts';
import { openOperator, type TestOperator, until } from '../../support/operator.ts';
import { put, SILENT_LOG } from '../../support/registry.ts';
import { descriptorsPayload, supersedePayload } from '../../support/signers.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';
import { TestTimers } from '../../support/timers.ts';

const REASON = { reason: 'a drill' };
const NO_SIGNAL = new AbortController().signal;

function payloadFor({ registryHash }: TestOperator, id: string) {
  return descriptorsPayload(registryHash, [put(id, {})], { note: id });
}

/** Proposed, and approved by all but nobody has committed it. */
async function propose(real: TestOperator, id: string) {
  const payload = payloadFor(real, id);
  await real.registry.proposals.propose(payload.bytes);
  for (const signer of real.signers)
    await real.registry.proposals.approve(payload.payloadB3, signer.approve(payload));
  return payload;
}

test('no act moves the head, the governance or the log, or lets anything through without its quorum', async (t) => {
  const dataDir = makeDirectory();
  const collector = openTestCollector(t, await openTestBlobs({ dataDir }));
  const real = await openOperator(t, { dataDir, parts: { collector } });
  await real.change(put('a', {}));
  const { registry, signers } = real;
  const lonely = payloadFor(real, 'lonely');
  await registry.proposals.propose(lonely.bytes);
  const [signer] = signers;
  assert.ok(signer);
  await registry.proposals.approve(lonely.payloadB3, signer.approve(lonely));
  const before = { head: registry.head(), chain: await checkLog(real.store) };
  for (const act of OPERATOR_ACTS) {
    assert.equal((await real.post(`/operator/${act}`, REASON)).status, 200, act);
    assert.equal(registry.head(), before.head, act);
    const after = await checkLog(real.store);
    assert.deepEqual(
      [after?.entryHash, after?.governance],
      [before.chain?.entryHash, before.chain?.governance],
    );
    await assert.rejects(
      registry.proposals.commit(lonely.payloadB3),
      { code: act === 'freeze' ? 'frozen' : 'quorum_not_reached' },
      act,
    );
  }
  assert.deepEqual(
    real.events.map(({ act, decision, version }) => [act, decision, version]),
    OPERATOR_ACTS.map((act) => [act, 'accepted', 1]),
  );
});

test('a frozen registry refuses every write with the reason, and reads as before', async (t) => {
  const real = await openOperator(t);
  await real.change(put('a', {}));
  const { registry, registryHash, signers } = real;
  const ready = await propose(real, 'ready');
  const head = registry.head();
  assert.ok(head);
  const frozen = await real.post('/operator/freeze', { reason: 'the disk is replaced' });
  const { since } = frozen.body.frozen as { since: string };
  assert.deepEqual(frozen.body, {
    changed: true,
    settled: true,
    frozen: { reason: 'the disk is replaced', since, kept: true },
    version: 1,
    entry_hash: head.object.entry_hash,
  });
  const refused = { code: 'frozen', details: { reason: 'the disk is replaced', since } };
  const { proposals } = registry;
  const [signer] = signers;
  assert.ok(signer);
  await assert.rejects(proposals.propose(payloadFor(real, 'new').bytes), refused);
  const supersede = supersedePayload(registryHash, { supersedes: head.object.entry_hash });
  await assert.rejects(proposals.propose(supersede.bytes, { types: ['supersede'] }), refused);
  await assert.rejects(proposals.approve(ready.payloadB3, signer.approve(ready)), refused);
  await assert.rejects(proposals.commit(ready.payloadB3), refused);
  assert.equal(registry.head(), head);
  assert.ok(await registry.reader.entry(1));
  assert.ok(await registry.reader.inclusionProof({ version: 0, size: 2 }));
  const readiness = registry.readiness();
  assert.deepEqual([readiness.ready, readiness.writeReady], [true, false]);
  assert.match(readiness.missing.join(), /the disk is replaced/);
  assert.equal((await proposals.propose(ready.bytes)).isNew, false, 'a known proposal is told');
  const committed = (await registry.proposals.list()).find(({ state }) => state === 'committed');
  assert.ok(committed);
  assert.equal((await proposals.commit(committed.id)).isNew, false, 'and so is an outcome');

  const thawed = await real.post('/operator/thaw', { reason: 'it is there' });
  assert.deepEqual(thawed.body, {
    changed: true,
    frozen: null,
    version: 1,
    entry_hash: head.object.entry_hash,
  });
  assert.equal((await proposals.commit(ready.payloadB3)).head.version, 2);
});

test('freezing what is frozen and thawing what is not is told, and changes nothing', async (t) => {
  const real = await openOperator(t);
  assert.equal((await real.post('/operator/thaw', REASON)).body.changed, false);
  assert.equal((await real.post('/operator/freeze', { reason: 'first' })).body.changed, true);
  const second = (await real.post('/operator/freeze', { reason: 'second' })).body;
  assert.deepEqual([second.changed, Object(second.frozen).reason], [false, 'first']);
  assert.equal(real.freeze.state?.reason, 'first');
  assert.equal(real.events.length, 3);
});

test('a freeze lets commits before it finish, and answers with the version they ended at', async (t) => {
  let faulty: ReturnType<typeof makeFaulty> | undefined;
  const real = await openOperator(t, {
    wrap: (store) => {
      faulty = makeFaulty(store);
      return faulty.store;
    },
  });
  assert.ok(faulty);
  const [first, late] = [await propose(real, 'first'), await propose(real, 'late')];
  const release = faulty.hold();
  const batches = faulty.batches.length;
  const committing = real.registry.proposals.commit(first.payloadB3);
  await until(() => faulty?.batches.length !== batches);
  let isAnswered = false;
  const freezing = real.post('/operator/freeze', REASON).then((answer) => {
    isAnswered = true;
    return answer;
  });
  await until(() => real.freeze.state?.isKept === true);
  await assert.rejects(real.registry.proposals.commit(late.payloadB3), { code: 'frozen' });
  const status = (await real.get('/operator/status')).body;
  assert.deepEqual([isAnswered, Object(status.head).version], [false, 0]);
  release();
  const { body } = await freezing;
  assert.deepEqual([body.settled, body.version], [true, 1]);
  assert.equal((await committing).head.version, 1);
});

test('a freeze does not wait for ever for a disk that does not answer', async (t) => {
  const real = await openOperator(t);
  const { registry, store, freeze } = real;
  const timers = new TestTimers(0);
  const never = new Promise<void>(() => undefined);
  const acts = createActs({
    registry: {
      head: () => registry.head(),
      checkpoint: () => registry.checkpoint(),
      readiness: () => registry.readiness(),
      idle: () => never,
    },
    store,
    freeze,
    snapshots: new Snapshots({
      store,
      dataDir: null,
      log: SILENT_LOG,
      now: Date.now,
      monotonicMs: () => 0,
    }),
    reload: async () => [],
    build: { version: '1', revision: null },
    timers,
    now: () => 0,
    uptimeSeconds: () => 0,
  });
  const freezing = acts.freeze({ reason: 'it hangs', signal: NO_SIGNAL });
  await until(() => timers.pending > 0);
  timers.advance(9_999);
  let isAnswered = false;
  const answered = freezing.then((answer) => {
    isAnswered = true;
    return answer;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isAnswered, false);
  timers.advance(1);
  const { body } = await answered;
  assert.deepEqual([body.settled, body.changed], [false, true]);
  assert.equal(freeze.refusal()?.code, 'frozen');
});

test('the status says what an operator needs to know', async (t) => {
  const real = await openOperator(t, {
    parts: { auditHead: () => ({ seq: 7, hash: 'b3:abc' }) },
  });
  await real.change(put('a', {}));
  const status = (await real.get('/operator/status')).body;
  const { uptime_seconds, storage_bytes, checks, head, ...rest } = status;
  assert.ok(Number.isInteger(uptime_seconds) && Number(storage_bytes) > 0);
  assert.deepEqual(head, real.registry.head()?.object);
  assert.deepEqual((checks as { name: string }[]).map(({ name }) => name).at(-1), 'freeze');
  assert.deepEqual(rest, {
    program: '1.2.3',
    ready: true,
    write_ready: true,
    frozen: null,
    checkpoint_size: 2,
    snapshot: null,
    audit: { seq: 7, hash: 'b3:abc' },
  });
  await real.post('/operator/freeze', REASON);
  const frozen = (await real.get('/operator/status')).body;
  assert.deepEqual([frozen.write_ready, Object(frozen.frozen).reason], [false, 'a drill']);
  assert.deepEqual(
    real.events.map(({ act }) => act),
    ['freeze'],
    'to look is no act',
  );
});

test('a registry without genesis has a status, and can be frozen', async (t) => {
  const real = await openOperator(t, { registry: { isBegun: false } });
  const { head, checkpoint_size, audit } = (await real.get('/operator/status')).body;
  assert.deepEqual([head, checkpoint_size, audit], [null, null, null]);
  const frozen = await real.post('/operator/freeze', REASON);
  assert.deepEqual([frozen.body.version, frozen.body.entry_hash], [null, null]);
  const refused = await real.post('/operator/snapshot');
  assert.deepEqual([refused.status, refused.body.code], [404, 'not_initialised']);
});

test('a reload answers the keys that changed, or every violation', async (t) => {
  const good = await openOperator(t, {
    parts: { reload: async () => ['log_level', 'max_inflight'] },
  });
  assert.deepEqual((await good.post('/operator/reload')).body.changed, [
    'log_level',
    'max_inflight',
  ]);
  const violations = [
    'quorate.toml: log_level: expected debug, ..., got loud',
    'listen: no reload',
  ];
  const bad = await openOperator(t, {
    parts: {
      reload: async () => {
        throw new RegistryError('invalid_request', `got 2 mistakes:\n${violations.join('\n')}`, {
          details: { violations },
        });
      },
    },
  });
  const refused = await bad.post('/operator/reload');
  assert.deepEqual([refused.status, refused.body.details], [400, { violations }]);
  assert.deepEqual(
    bad.events.map(({ decision, code }) => [decision, code]),
    [['refused', 'invalid_request']],
  );
});

test('a compaction drops proposals an hour after they expired, and answers what it did', async (t) => {
  const real = await openOperator(t);
  const payload = descriptorsPayload(real.registryHash, [put('a', {})], { lifetimeMs: 3_600_000 });
  await real.registry.proposals.propose(payload.bytes);
  real.timers.advance(2 * 3_600_000);
  const kept = (await real.post('/operator/compact')).body;
  assert.equal(kept.dropped_proposals, 0);
  real.timers.advance(1);
  const { before, after, ...done } = (await real.post('/operator/compact')).body;
  assert.deepEqual(Object.keys(Object(before)).sort(), ['database_bytes', 'log_bytes']);
  assert.equal(Object(after).log_bytes, 0);
  assert.deepEqual(done, {
    dropped_proposals: 1,
    free_bytes: done.free_bytes,
    log_folded: true,
    version: 0,
    entry_hash: real.registry.head()?.object.entry_hash,
  });
  assert.deepEqual(await real.store.proposals(), []);
  await assert.rejects(real.registry.proposals.commit(payload.payloadB3), { code: 'expired' });
});

test('a snapshot is in the data directory and named in the answer; in memory there is none', async (t) => {
  const real = await openOperator(t);
  await real.change(put('a', {}));
  const { status, body } = await real.post('/operator/snapshot');
  assert.equal(status, 200);
  assert.deepEqual(readdirSync(join(real.dataDir, 'snapshots')), [body.file]);
  assert.deepEqual(
    [body.version, body.entry_hash, body.checkpoint],
    [1, real.registry.head()?.object.entry_hash, null],
  );
  const inMemory = await openOperator(t, { isMicronode: true });
  const refused = await inMemory.post('/operator/snapshot');
  assert.deepEqual([refused.status, refused.body.code], [400, 'invalid_request']);
  assert.match(String(refused.body.detail), /in memory/);
  const compacted = (await inMemory.post('/operator/compact')).body;
  assert.equal(compacted.log_folded, true);
  assert.equal((await inMemory.post('/operator/freeze', REASON)).body.changed, true);
});

test('a caller who goes away gives the snapshot up, and nothing is left of it', async (t) => {
  const gone = new AbortController();
  const real = await openOperator(t, {
    wrap: (store) =>
      new Proxy(store, {
        get: (target, name) => {
          const member: unknown = Reflect.get(target, name);
          if (name !== 'snapshot')
            return typeof member === 'function' ? member.bind(target) : member;
          return async (...given: Parameters<typeof store.snapshot>) => {
            gone.abort();
            const { signal } = given[0];
            if (signal?.aborted === false)
              await new Promise((resolve) => signal.addEventListener('abort', resolve));
            return target.snapshot(...given);
          };
        },
      }),
  });
  await assert.rejects(real.post('/operator/snapshot', {}, gone.signal), { name: 'AbortError' });
  await until(() => real.events.length > 0);
  assert.deepEqual(
    real.events.map(({ act, decision, code }) => [act, decision, code]),
    [['snapshot', 'refused', 'unavailable']],
  );
  assert.deepEqual(readdirSync(join(real.dataDir, 'snapshots')), []);
  assert.equal((await real.get('/operator/status')).body.snapshot, null);
});

for (const isJoined of [false, true])
  test(`a caller who goes away ${isJoined ? 'waits no longer for a collection that was under way' : 'gives the collection up'}`, async (t) => {
    const dataDir = makeDirectory();
    const blobs = {
      count: () => new Promise<void>(() => undefined),
      remove: () => assert.fail('nothing was found yet'),
    };
    const collector = openTestCollector(t, { ...(await openTestBlobs({ dataDir })), blobs });
    const gone = new AbortController();
    const collect: typeof collector.collect = (signal) => {
      const collecting = collector.collect(signal);
      gone.abort();
      return collecting;
    };
    const real = await openOperator(t, { dataDir, parts: { collector: { collect } } });
    const underWay = isJoined ? [collector.collect()] : [];
    const asked = real.post('/operator/collect', {}, gone.signal);
    await assert.rejects(asked, { name: 'AbortError' });
    await until(() => real.events.length > 0);
    assert.deepEqual(
      real.events.map(({ act, decision, code }) => [act, decision, code]),
      [['collect', 'refused', 'unavailable']],
    );
    const ended = Promise.allSettled(underWay);
    await collector.close();
    for (const end of await ended) assert.equal(end.status, 'rejected');
  });

test('a freeze outlives the process, whatever else does', async (t) => {
  const first = await openOperator(t);
  await first.post('/operator/freeze', { reason: 'over the weekend' });
  await first.registry[Symbol.asyncDispose]();
  assert.ok(existsSync(join(first.dataDir, 'freeze.json')));
  const { dataDir } = first;
  const again = await openOperator(t, { dataDir, registry: { isBegun: false } });
  const { body } = await again.get('/operator/status');
  assert.equal(Object(body.frozen).reason, 'over the weekend');
  await assert.rejects(again.change(put('a', {})), { code: 'frozen' });
  await again.post('/operator/thaw', REASON);
  assert.equal((await again.change(put('a', {}))).version, 1);
});
