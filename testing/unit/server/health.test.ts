import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import type { WriteGate } from '../../../src/registry/gates.ts';
import { openHealthGates } from '../../../src/server/health/gates.ts';
import { LoopGate } from '../../../src/server/health/loop-gate.ts';
import { storageGate } from '../../../src/server/health/storage-gate.ts';
import { watchStore } from '../../../src/server/health/watched-store.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { LogFields } from '../../../src/telemetry/log.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { makeProposal } from '../../support/store-entries.ts';
import { TestTimers } from '../../support/timers.ts';

const MIB = 1024 * 1024;
const NO_DISK = { minFreeBytes: 0, warnFreeBytes: 0, ballastBytes: 0 };

/** A store whose checkpoints are kept when the test says so. */
function heldStore() {
  const timers = new TestTimers(1_000_000);
  const nowMs = () => timers.now();
  const held: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const slow = createMemoryStore();
  slow.putCheckpoint = () =>
    new Promise<void>((resolve, reject) => void held.push({ resolve, reject }));
  const { store, writes } = watchStore(slow, nowMs);
  /** Begins one; the answer ends it. */
  const begin = () => {
    const done = store.putCheckpoint('note').catch((error: unknown) => error);
    const { resolve, reject } = held.at(-1) ?? assert.fail('nothing was written');
    return {
      end: async () => {
        resolve();
        await done;
      },
      fail: async (error: Error) => {
        reject(error);
        assert.equal(await done, error, 'what the store throws reaches the caller');
      },
    };
  };
  return { timers, nowMs, store, writes, begin };
}

function codeOf(gate: WriteGate): string | undefined {
  return gate.refusal()?.code;
}

test('of the writes on their way the oldest counts, and of those that ended the last', async () => {
  const { timers, writes, begin } = heldStore();
  assert.deepEqual([writes.oldestMs(), writes.last()], [0, undefined]);
  const first = begin();
  timers.advance(300);
  const second = begin();
  timers.advance(200);
  assert.equal(writes.oldestMs(), 500);
  await first.end();
  assert.equal(writes.oldestMs(), 200);
  assert.deepEqual(writes.last(), { tookMs: 500, endedMs: timers.now(), isRefused: false });
  await second.fail(new RegistryError('read_only', 'expected space, got none'));
  assert.deepEqual(writes.last(), { tookMs: 200, endedMs: timers.now(), isRefused: true });
  assert.equal(writes.oldestMs(), 0);
});

test('every write of a store is timed, and no read', async () => {
  const timers = new TestTimers(0);
  const { store, writes } = watchStore(createMemoryStore(), () => timers.now());
  let ended = 0;
  const isTimed = async (act: () => Promise<unknown>): Promise<boolean> => {
    timers.advance(1);
    await act().catch(() => undefined);
    const isNew = writes.last()?.endedMs === timers.now();
    if (isNew) ended++;
    return isNew;
  };
  const proposal = makeProposal('p');
  const approval = { signer_id: 'a', algo: 'ed25519', sig: '', signed_at: '' } as const;
  assert.ok(await isTimed(() => store.putProposal(proposal)));
  assert.ok(await isTimed(() => store.putApproval(proposal.payloadB3, approval)));
  assert.ok(await isTimed(() => store.dropProposals([proposal.payloadB3])));
  assert.ok(await isTimed(() => store.putCheckpoint('note')));
  assert.ok(await isTimed(() => store.append({ expected: -1, entries: [] })));
  assert.ok(await isTimed(() => store.compact({ expiredBefore: '2026-11-21T09:30:00.000Z' })));
  assert.equal(ended, 6);
  assert.equal(await isTimed(() => store.head()), false);
  assert.equal(await isTimed(() => store.proposals()), false);
  assert.equal(await isTimed(() => store.storageBytes()), false);
});

test('writes are refused while one waits longer than the limit, at its value not yet', async () => {
  const { timers, nowMs, writes, begin } = heldStore();
  const gate = storageGate({ writes, nowMs, limitMs: () => 1_000 });
  const write = begin();
  timers.advance(1_000);
  assert.equal(codeOf(gate), undefined);
  timers.advance(1);
  const refusal = gate.refusal();
  assert.equal(refusal?.code, 'storage_slow');
  assert.deepEqual(refusal?.details, { reason: 'storage', limit_ms: 1_000, took_ms: 1_001 });
  await write.end();
});

test('after a slow write the store is left alone for two seconds, then a quick one proves it', async () => {
  const { timers, nowMs, writes, begin } = heldStore();
  const gate = storageGate({ writes, nowMs, limitMs: () => 1_000 });
  const slow = begin();
  timers.advance(5_000);
  await slow.end();
  assert.equal(gate.refusal()?.details.took_ms, 5_000);
  timers.advance(1_999);
  assert.equal(codeOf(gate), 'storage_slow');
  timers.advance(1);
  assert.equal(codeOf(gate), undefined);
  const again = begin();
  timers.advance(1_001);
  assert.equal(codeOf(gate), 'storage_slow', 'still slow: it is noticed again');
  const queued = begin();
  await again.end();
  timers.advance(50);
  await queued.end();
  assert.equal(codeOf(gate), undefined, 'a quick write ends the wait before its time');
});

test('a write that took the limit was quick enough, a millisecond more was not', async () => {
  const { timers, nowMs, writes, begin } = heldStore();
  const gate = storageGate({ writes, nowMs, limitMs: () => 1_000 });
  for (const [tookMs, code] of [
    [1_000, undefined],
    [1_001, 'storage_slow'],
  ] as const) {
    const write = begin();
    timers.advance(tookMs);
    await write.end();
    assert.equal(codeOf(gate), code);
  }
});

test('a store that takes 50 ms for each write is not slow', async () => {
  const { timers, nowMs, writes, begin } = heldStore();
  const gate = storageGate({ writes, nowMs, limitMs: () => 1_000 });
  for (let n = 0; n < 100; n++) {
    const write = begin();
    timers.advance(50);
    assert.equal(codeOf(gate), undefined);
    await write.end();
    assert.equal(codeOf(gate), undefined);
  }
});

function openLoopGate(limit = { ms: 250 }) {
  const timers = new TestTimers(0);
  const gate = new LoopGate({ timers, nowMs: () => timers.now(), limitMs: () => limit.ms });
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) timers.advance(50);
  };
  pass(2_000);
  return { timers, gate, pass, limit };
}

test('a loop that is late by the limit refuses writes for a second, by one less not', () => {
  const { timers, gate, pass } = openLoopGate();
  timers.advance(50 + 249);
  assert.equal(codeOf(gate), undefined);
  pass(200);
  timers.advance(50 + 250);
  const refusal = gate.refusal();
  assert.equal(refusal?.code, 'loop_late');
  assert.deepEqual(refusal?.details, { reason: 'loop', limit_ms: 250, late_ms: 250 });
  pass(950);
  assert.equal(codeOf(gate), 'loop_late');
  pass(50);
  assert.equal(codeOf(gate), undefined);
  gate.close();
  assert.equal(timers.pending, 0);
});

test('a request that comes to its turn before the timer does is refused as well', () => {
  let now = 10_000;
  const gate = new LoopGate({
    timers: { setTimeout: () => undefined, clearTimeout: () => undefined, soon: () => undefined },
    nowMs: () => now,
    limitMs: () => 250,
  });
  now += 2_049;
  assert.equal(codeOf(gate), 'loop_late');
});

test('what is late in the first two seconds is the start, and no reason to refuse', () => {
  const timers = new TestTimers(0);
  const gate = new LoopGate({ timers, nowMs: () => timers.now(), limitMs: () => 250 });
  timers.advance(1_999);
  assert.equal(codeOf(gate), undefined);
  timers.advance(50 + 249);
  timers.advance(50 + 250);
  assert.equal(codeOf(gate), 'loop_late');
});

test('a reloaded limit is in force at once', () => {
  const { timers, gate, pass, limit } = openLoopGate({ ms: 600_000 });
  timers.advance(5_000);
  assert.equal(codeOf(gate), undefined);
  limit.ms = 10;
  pass(100);
  timers.advance(50 + 10);
  assert.equal(codeOf(gate), 'loop_late');
});

test('each change of a gate is one line of the log, and none of a place', async () => {
  const { timers, nowMs, writes, begin } = heldStore();
  const lines: [string, LogFields | undefined][] = [];
  const tell = (message: string, fields?: LogFields) => void lines.push([message, fields]);
  const shed = { ...NO_DISK, storageMs: 100, loopMs: 600_000, minFreeBytes: MIB };
  const health = await openHealthGates({
    live: () => ({ shed }),
    writes,
    dataDir: '/the/data',
    timers,
    metrics: { disk: () => undefined },
    nowMs,
    log: { info: tell, warn: tell },
    freeBytes: async (directory) => {
      assert.equal(directory, '/the/data');
      return 2 * MIB;
    },
  });
  assert.deepEqual(
    health.gates.map(({ name }) => name),
    ['storage', 'loop', 'disk'],
  );
  const write = begin();
  for (let n = 0; n < 4; n++) timers.advance(250);
  await write.end();
  for (let n = 0; n < 10; n++) timers.advance(250);
  shed.minFreeBytes = 3 * MIB;
  for (let n = 0; n < 4; n++) timers.advance(250);
  const details = {
    reason: 'disk',
    min_free_bytes: 3 * MIB,
    opens_at_bytes: 4 * MIB,
    free_bytes: 2 * MIB,
  };
  assert.deepEqual(lines, [
    [
      'writes are refused',
      { gate: 'storage', code: 'storage_slow', reason: 'storage', limit_ms: 100, took_ms: 250 },
    ],
    ['writes pass again', { gate: 'storage' }],
    ['writes are refused', { gate: 'disk', code: 'read_only', ...details }],
  ]);
  await health.close();
  assert.equal(timers.pending, 0);
});

test('without a data directory no disk is looked at', async () => {
  const { timers, nowMs, writes } = heldStore();
  const shed = { ...NO_DISK, storageMs: 100, loopMs: 100 };
  const health = await openHealthGates({
    live: () => ({ shed }),
    writes,
    dataDir: null,
    timers,
    metrics: { disk: () => undefined },
    nowMs,
    log: SILENT_LOG,
    freeBytes: () => assert.fail('a disk was looked at'),
  });
  assert.deepEqual(
    health.gates.map(({ name }) => name),
    ['storage', 'loop'],
  );
  await health.close();
});
