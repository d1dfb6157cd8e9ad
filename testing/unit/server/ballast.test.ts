import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { releaseAtStart } from '../../../src/server/health/ballast.ts';
import { fillBallast } from '../../../src/server/health/ballast-file.ts';
import { type DiskStage, openDiskStage } from '../../support/disk-stage.ts';
import { makeRandom } from '../../support/random.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const MIB = 1024 * 1024;
const SETTINGS = { minBytes: 4 * MIB, warnBytes: 16 * MIB, ballastBytes: 3 * MIB };
const RELEASED =
  'the ballast was released for operator acts and a restart: free some space or enlarge the volume, then it is made again';

/** With a ballast; the log so far is forgotten. */
async function stageWithBallast(): Promise<DiskStage> {
  const stage = await openDiskStage({ room: 100 * MIB, ...SETTINGS });
  await stage.look(5);
  assert.equal(stage.size(), 3 * MIB);
  stage.lines.length = 0;
  return stage;
}

test('the ballast is made once a start is over, really takes its room, and is its owner’s alone', async () => {
  const stage = await openDiskStage({ room: 100 * MIB, ...SETTINGS });
  await stage.look(4);
  assert.equal(stage.size(), undefined);
  await stage.look();
  const { size, blocks, mode } = statSync(stage.path);
  assert.deepEqual([size, mode & 0o777], [3 * MIB, 0o600]);
  assert.ok(blocks * 512 >= 3 * MIB, `${blocks} blocks`);
  assert.ok(gzipSync(readFileSync(stage.path)).length > 2.9 * MIB, 'nothing can pack it');
  assert.deepEqual(stage.lines, [['the ballast was made', { bytes: 3 * MIB }]]);
  const bytes = readFileSync(stage.path);
  await stage.look(10);
  assert.ok(readFileSync(stage.path).equals(bytes), 'it is made once');
});

test('the ballast is made only where the soft mark stays far, and by the byte', async () => {
  const least = 18 * MIB + 3 * MIB;
  const stage = await openDiskStage({ room: least - 1, ...SETTINGS });
  await stage.look(10);
  assert.equal(stage.size(), undefined);
  stage.settings.room = least;
  await stage.look();
  assert.equal(stage.size(), 3 * MIB);
  assert.equal(stage.metric.disk?.mark, 0);
  const half = await openDiskStage({ room: 8 * MIB - 1, ballastBytes: 4 * MIB });
  await half.look(10);
  assert.equal(half.size(), undefined, 'without marks it takes at most half of what is there');
  half.settings.room = 8 * MIB;
  await half.look();
  assert.equal(half.size(), 4 * MIB);
});

test('at the hard mark the ballast is released and writes stay refused, until there is room beside it', async () => {
  const stage = await stageWithBallast();
  stage.settings.room = 7 * MIB - 1;
  await stage.look();
  assert.equal(stage.size(), 0);
  const freeBytes = 4 * MIB - 1;
  const warned = { free_bytes: freeBytes, warn_free_bytes: 16 * MIB };
  assert.deepEqual(stage.lines, [
    ['the disk of the data has little room: free some, or enlarge it', warned],
    [RELEASED, { bytes: 3 * MIB, free_bytes: freeBytes }],
  ]);
  await stage.look();
  const { details, message } = stage.gate.refusal() ?? assert.fail('writes pass');
  assert.equal(details.free_bytes, 7 * MIB - 1, 'more than the hard mark is free now');
  assert.equal(details.opens_at_bytes, 8 * MIB);
  assert.match(message, /^expected at least 8388608 free bytes .* got 7340031:/);
  stage.settings.room = 8 * MIB - 1;
  await stage.look();
  assert.ok(stage.isShut());
  stage.settings.room = 8 * MIB;
  await stage.look();
  assert.ok(!stage.isShut());
  assert.equal(stage.size(), 0, 'it is made again above the soft mark');
  stage.settings.room = 21 * MIB;
  await stage.look();
  assert.deepEqual([stage.size(), stage.isShut()], [3 * MIB, false]);
});

/** How the room goes: what others take and give back, a little at a time and sometimes much. */
function walk(seed: number, steps: number): number[] {
  const random = makeRandom(seed);
  let room = 30 * MIB;
  return Array.from({ length: steps }, () => {
    const most = random() < 0.1 ? 20 * MIB : MIB;
    room = Math.min(40 * MIB, Math.max(0, room + Math.floor((random() * 2 - 1) * most)));
    return room;
  });
}

async function refusalsOn(stage: DiskStage, rooms: readonly number[]): Promise<boolean[]> {
  const shut: boolean[] = [];
  for (const room of rooms) {
    stage.settings.room = room;
    await stage.look();
    shut.push(stage.isShut());
  }
  return shut;
}

test('writes are refused exactly as on a smaller disk without a ballast, however often it is released and made', async () => {
  const rooms = walk(11, 400);
  const stage = await stageWithBallast();
  const shut = await refusalsOn(stage, rooms);
  const smaller = await openDiskStage({ room: 97 * MIB, ...SETTINGS, ballastBytes: 0 });
  const expected = await refusalsOn(
    smaller,
    rooms.map((room) => room - 3 * MIB),
  );
  assert.deepEqual(shut, expected);
  const count = (message: string) => stage.messages().filter((one) => one === message).length;
  assert.ok(count(RELEASED) >= 3 && count('the ballast was made') >= 3, `${count(RELEASED)}`);
});

test('a disk that only fills up and stays full shuts writes once', async () => {
  const stage = await stageWithBallast();
  const rooms = Array.from({ length: 60 }, (_, i) => Math.max(6 * MIB, 20 * MIB - i * MIB));
  const shut = await refusalsOn(stage, rooms);
  assert.equal(shut.filter((one, i) => one !== shut[i - 1]).length, 2, `${shut}`);
});

test('a write without room releases it; then only bytes that could be written open the writes again', async () => {
  const stage = await stageWithBallast();
  stage.write({ isRefused: true });
  await stage.look();
  assert.equal(stage.size(), 0);
  assert.deepEqual(stage.lines, [[RELEASED, { bytes: 3 * MIB, free_bytes: 97 * MIB }]]);
  stage.timers.advance(999);
  assert.ok(stage.isShut(), 'although the disk tells of much room');
  await stage.look();
  assert.deepEqual([stage.size(), stage.isShut()], [3 * MIB, false]);
  assert.deepEqual(stage.messages().slice(-1), ['the ballast was made']);
});

test('nothing is done to what is no file, and it is said once', async () => {
  const dataDir = makeDirectory();
  const path = join(dataDir, 'ballast');
  const target = join(dataDir, 'precious');
  writeFileSync(target, 'precious');
  symlinkSync(target, path);
  const stage = await openDiskStage({ room: 100 * MIB, ...SETTINGS, dataDir });
  await stage.look(10);
  stage.settings.room = 0;
  await stage.look(2);
  assert.equal(readFileSync(target, 'utf8'), 'precious');
  assert.ok(stage.isShut());
  assert.equal(stage.messages().filter((one) => one.includes('ballast')).length, 1);
  await assert.rejects(
    fillBallast(path, { bytes: 1, spareBytes: 0, signal: AbortSignal.timeout(9_999) }),
    { code: 'ELOOP' },
  );
  rmSync(path);
  mkdirSync(path);
  await stage.look(2);
  stage.settings.room = 100 * MIB;
  await stage.look(2);
  rmSync(path, { recursive: true });
  await stage.look();
  assert.equal(stage.size(), 3 * MIB, 'once the name is free it is made');
});

test('what a crash left of it is replaced, and one that is whole is kept', async () => {
  const part = await openDiskStage({ room: 100 * MIB, ...SETTINGS, dataDir: dataWith(MIB) });
  assert.ok(!part.isShut());
  await part.look(5);
  assert.equal(part.size(), 3 * MIB);
  assert.ok(readFileSync(part.path).subarray(0, MIB).some(Boolean), 'made anew from its start');
  const whole = await openDiskStage({ room: 100 * MIB, ...SETTINGS, dataDir: dataWith(3 * MIB) });
  await whole.look(10);
  assert.ok(!readFileSync(whole.path).some(Boolean), 'and not written again');
});

function dataWith(ballastBytes: number): string {
  const dataDir = makeDirectory();
  writeFileSync(join(dataDir, 'ballast'), new Uint8Array(ballastBytes));
  return dataDir;
}

test('the end of a server gives up a ballast that is being made', async () => {
  const stage = await openDiskStage({ room: 2 ** 40, ballastBytes: 2 ** 38 });
  stage.timers.advance(4_999);
  stage.ballast.tend(PLENTY);
  assert.equal(stage.size(), undefined);
  stage.timers.advance(1);
  await stage.ballast.look();
  stage.ballast.tend(PLENTY);
  await stage.gate.close();
  assert.equal(stage.size(), 0);
  assert.deepEqual(stage.messages(), []);
});

const PLENTY = {
  freeBytes: 2 ** 40,
  roomBytes: 2 ** 40,
  marks: { warnBytes: 0, minBytes: 0 },
  isRefused: false,
};

test('a ballast that is being made counts as taken already, is given up when the disk fills, and made later', async () => {
  const stage = await openDiskStage({ room: 2 ** 40, ballastBytes: 2 ** 38 });
  stage.timers.advance(5_000);
  await stage.ballast.look();
  stage.ballast.tend(PLENTY);
  while ((stage.size() ?? 0) < 2 * MIB) await new Promise((resolve) => setImmediate(resolve));
  await stage.ballast.look();
  const missing = stage.ballast.missingBytes;
  assert.ok(missing <= 2 ** 38 - 2 * MIB && missing > 2 ** 37, `${missing}`);
  stage.ballast.tend({ ...PLENTY, isRefused: true });
  await stage.ballast.idle();
  assert.equal(stage.size(), 0);
  assert.deepEqual(stage.messages(), []);
  stage.settings.ballastBytes = MIB;
  await stage.look(599);
  assert.equal(stage.size(), 0);
  await stage.look();
  assert.equal(stage.size(), MIB);
});

test('a reload makes it larger, smaller, or takes it away', async () => {
  const stage = await stageWithBallast();
  for (const bytes of [5 * MIB, 2 * MIB, 0, MIB]) {
    stage.settings.ballastBytes = bytes;
    await stage.look(2);
    assert.equal(stage.size(), bytes === 0 ? undefined : bytes);
  }
  stage.settings.room = 20 * MIB;
  stage.settings.ballastBytes = 3 * MIB;
  await stage.look(2);
  assert.deepEqual([stage.size(), stage.isShut()], [MIB, false], 'without room it stays');
  stage.settings.ballastBytes = 0;
  await stage.look(2);
  stage.settings.room = 6 * MIB;
  stage.settings.ballastBytes = 3 * MIB;
  await stage.look(2);
  assert.deepEqual([stage.size(), stage.isShut()], [undefined, false], 'and nothing is owed to it');
});

test('after a write without room it is made again as soon as the hard mark allows, and owed until then', async () => {
  const stage = await stageWithBallast();
  stage.write({ isRefused: true });
  await stage.look();
  stage.settings.room = 8 * MIB - 1;
  await stage.look(120);
  assert.deepEqual([stage.size(), stage.isShut()], [0, true]);
  stage.settings.room = 8 * MIB;
  await stage.look();
  assert.deepEqual([stage.size(), stage.isShut()], [3 * MIB, false], 'below the soft mark');
});

test('a reload that wants no ballast ends the wait for its room', async () => {
  const stage = await stageWithBallast();
  stage.write({ isRefused: true });
  await stage.look();
  stage.settings.room = 7 * MIB;
  await stage.look(5);
  assert.deepEqual([stage.size(), stage.isShut()], [0, true]);
  stage.settings.ballastBytes = 0;
  await stage.look(2);
  assert.deepEqual([stage.size(), stage.isShut()], [undefined, false]);
});

test('who removes the ballast has its room; writes do not', async () => {
  const stage = await stageWithBallast();
  stage.settings.room = 10 * MIB;
  await stage.look();
  rmSync(stage.path);
  stage.settings.room = 7 * MIB - 1;
  await stage.look();
  assert.ok(stage.isShut());
});

test('a start on a full disk releases it before the store is opened, and on any other leaves it', async () => {
  const dataDir = dataWith(3 * MIB);
  const path = join(dataDir, 'ballast');
  const start = (freeBytes: number, minBytes: number) =>
    releaseAtStart({ dataDir, minBytes, freeBytes: async () => freeBytes, log: SILENT_LOG });
  await start(4 * MIB, 4 * MIB);
  await start(MIB, 0);
  assert.equal(statSync(path).size, 3 * MIB);
  await start(MIB - 1, 0);
  assert.equal(statSync(path).size, 0);
  const stage = await openDiskStage({ room: 7 * MIB - 1, ...SETTINGS, dataDir });
  assert.ok(stage.isShut(), 'and the room it gave is not for writes');
  writeFileSync(path, new Uint8Array(MIB));
  await start(4 * MIB - 1, 4 * MIB);
  assert.equal(statSync(path).size, 0);
});

test('a start that cannot look at the ballast goes on', async () => {
  const warnings: string[] = [];
  const log = { warn: (message: string) => void warnings.push(message) };
  const dataDir = dataWith(1);
  const freeBytes = () => Promise.reject(new Error('EIO'));
  await releaseAtStart({ dataDir, minBytes: 1, freeBytes, log });
  assert.deepEqual(warnings, ['the ballast could not be released']);
  await releaseAtStart({ dataDir: '/no/such', minBytes: 1, freeBytes, log });
  assert.equal(warnings.length, 1);
});
