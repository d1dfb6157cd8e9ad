import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ballast } from '../../../src/server/health/ballast.ts';
import { DiskGate } from '../../../src/server/health/disk-gate.ts';
import {
  type DiskMark,
  endOfMark,
  markOf,
  reservedBytes,
} from '../../../src/server/health/disk-marks.ts';
import { openDiskStage } from '../../support/disk-stage.ts';
import { makeRandom } from '../../support/random.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { TestTimers } from '../../support/timers.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

test('a mark begins below its size and is over an eighth above it, at least a MiB', () => {
  const marks = { warnBytes: 512 * MIB, minBytes: 64 * MIB };
  const steps: readonly (readonly [number, DiskMark])[] = [
    [512 * MIB, 'fine'],
    [512 * MIB - 1, 'soft'],
    [576 * MIB - 1, 'soft'],
    [64 * MIB, 'soft'],
    [576 * MIB, 'fine'],
    [64 * MIB - 1, 'hard'],
    [72 * MIB - 1, 'hard'],
    [72 * MIB, 'soft'],
    [0, 'hard'],
    [GIB, 'fine'],
  ];
  let mark: DiskMark = 'fine';
  for (const [room, expected] of steps) {
    mark = markOf(room, marks, mark);
    assert.equal(mark, expected, `${room}`);
  }
  assert.deepEqual([endOfMark(0), endOfMark(MIB), endOfMark(16 * MIB)], [MIB, 2 * MIB, 18 * MIB]);
  assert.equal(markOf(0, { warnBytes: 0, minBytes: 0 }, 'fine'), 'fine');
  assert.equal(markOf(MIB - 1, { warnBytes: 0, minBytes: 0 }, 'hard'), 'hard');
  assert.equal(markOf(MIB / 2, { warnBytes: 0, minBytes: 0 }, 'soft'), 'fine');
  assert.equal(markOf(65 * MIB, { warnBytes: 0, minBytes: 64 * MIB }, 'soft'), 'fine');
});

test('a room that swings by less than the hysteresis changes no mark twice', () => {
  const random = makeRandom(7);
  const marks = { warnBytes: 512 * MIB, minBytes: 64 * MIB };
  for (const [middle, swing] of [
    [512 * MIB, 63 * MIB],
    [64 * MIB, 7 * MIB],
  ] as const) {
    let mark: DiskMark = 'fine';
    const changes: DiskMark[] = [];
    for (let i = 0; i < 1_000; i++) {
      const next = markOf(middle + (random() * 2 - 1) * swing, marks, mark);
      if (next !== mark) changes.push(next);
      mark = next;
    }
    assert.ok(changes.length <= 2 && changes.length > 0, `${changes}`);
  }
});

test('the disk is looked at before the first write, refuses below the limit, and opens above it', async () => {
  const stage = await openDiskStage({ room: 64 * MIB - 1, minBytes: 64 * MIB });
  const refusal = stage.gate.refusal();
  assert.equal(refusal?.code, 'read_only');
  assert.match(refusal?.message ?? '', /^expected at least 75497472 free bytes .* got 67108863:/);
  assert.deepEqual(refusal?.details, {
    reason: 'disk',
    min_free_bytes: 64 * MIB,
    opens_at_bytes: 72 * MIB,
    free_bytes: 64 * MIB - 1,
  });
  for (const [room, isShut] of [
    [72 * MIB - 1, true],
    [72 * MIB, false],
    [64 * MIB, false],
    [10, true],
    [80 * MIB, false],
  ] as const) {
    stage.settings.room = room;
    await stage.look();
    assert.equal(stage.isShut(), isShut, `${room}`);
  }
});

test('an operator is told once that room gets little, and once that there is enough again', async () => {
  const stage = await openDiskStage({ room: GIB, minBytes: 64 * MIB, warnBytes: 512 * MIB });
  const seen: unknown[] = [];
  for (const room of [511 * MIB, 520 * MIB, 500 * MIB, MIB, 100 * MIB, 575 * MIB, 576 * MIB]) {
    stage.settings.room = room;
    await stage.look();
    seen.push(stage.metric.disk?.mark);
    assert.equal(stage.metric.disk?.freeBytes, room);
  }
  assert.deepEqual(seen, [1, 1, 1, 2, 1, 1, 0]);
  const figures = (free: number) => ({ free_bytes: free, warn_free_bytes: 512 * MIB });
  assert.deepEqual(stage.lines, [
    ['the disk of the data has little room: free some, or enlarge it', figures(511 * MIB)],
    ['the disk of the data has room again', figures(576 * MIB)],
  ]);
});

test('a reload moves both marks at once, and 0 warns nobody', async () => {
  const stage = await openDiskStage({ room: 100 * MIB, minBytes: 64 * MIB, warnBytes: 512 * MIB });
  assert.equal(stage.metric.disk?.mark, 1);
  stage.settings.minBytes = 128 * MIB;
  assert.ok(stage.isShut());
  stage.settings.minBytes = MIB;
  stage.settings.warnBytes = 0;
  assert.ok(!stage.isShut());
  await stage.look();
  assert.equal(stage.metric.disk?.mark, 0);
  stage.settings.room = 10;
  await stage.look();
  assert.equal(stage.metric.disk?.mark, 2);
  assert.deepEqual(stage.messages(), [
    'the disk of the data has little room: free some, or enlarge it',
    'the disk of the data has room again',
  ]);
});

const NO_BALLAST: Pick<Ballast, 'look' | 'tend' | 'close' | 'missingBytes' | 'isAwaitingRoom'> = {
  missingBytes: 0,
  isAwaitingRoom: false,
  look: async () => undefined,
  tend: () => undefined,
  close: async () => undefined,
};

function openAlone(looks: readonly (() => Promise<number>)[]) {
  const timers = new TestTimers(0);
  const warnings: string[] = [];
  const states: unknown[] = [];
  let asked = 0;
  const opening = DiskGate.open({
    freeBytes: () => (looks[asked++] ?? looks.at(-1) ?? assert.fail())(),
    marks: () => ({ minBytes: 64 * MIB, warnBytes: 0 }),
    ballast: NO_BALLAST,
    writes: { oldestMs: () => 0, last: () => undefined },
    nowMs: () => timers.now(),
    timers,
    metrics: { disk: (state) => void states.push(state) },
    log: { ...SILENT_LOG, warn: (message) => void warnings.push(message) },
  });
  const look = async () => {
    timers.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { timers, opening, look, warnings, states, asked: () => asked };
}

test('a disk that cannot be asked refuses nothing, has no figures, and the log says so once', async () => {
  const fail = () => Promise.reject(new Error('EIO'));
  const { opening, look, warnings, states } = openAlone([fail, fail, async () => 0, fail]);
  const gate = await opening;
  const codes = [gate.refusal()?.code];
  for (let n = 0; n < 3; n++) {
    await look();
    codes.push(gate.refusal()?.code);
  }
  assert.deepEqual(codes, [undefined, undefined, 'read_only', undefined]);
  assert.deepEqual(states, [undefined, undefined, { freeBytes: 0, mark: 2 }, undefined]);
  assert.equal(warnings.length, 2);
});

test('a disk that never answers holds up neither the start nor more than one look', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const { timers, opening, look, asked } = openAlone([() => promise]);
  timers.advance(1_000);
  const gate = await opening;
  for (let second = 0; second < 5; second++) timers.advance(1_000);
  assert.deepEqual([asked(), gate.refusal()], [1, undefined]);
  resolve(0);
  await new Promise((done) => setImmediate(done));
  assert.equal(gate.refusal()?.code, 'read_only');
  await look();
  assert.equal(asked(), 2);
  await gate.close();
  assert.equal(timers.pending, 0);
});

test('room that only a write can miss, as with a quota, refuses for two seconds; then one may try', async () => {
  const stage = await openDiskStage({ room: 100 * MIB, minBytes: 64 * MIB });
  stage.write({ isRefused: true });
  assert.match(stage.gate.refusal()?.message ?? '', /^expected room for a write, got none/);
  stage.timers.advance(1_999);
  assert.ok(stage.isShut());
  stage.timers.advance(1);
  assert.ok(!stage.isShut());
  stage.write({ isRefused: false });
  assert.ok(!stage.isShut());
});

test('what is beside the log leaves the hard mark and the ballast free', () => {
  assert.equal(reservedBytes({ minFreeBytes: 64 * MIB, ballastBytes: 32 * MIB }), 96 * MIB);
});
