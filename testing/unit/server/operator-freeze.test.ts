/** The freeze of an operator: shut at once, kept in a file, and never lost to doubt. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Freeze, openFreeze } from '../../../src/server/operator/freeze.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const NOW = Date.parse('2026-11-21T09:30:00.000Z');
const SINCE = '2026-11-21T09:30:00.000Z';

function open(path: string | null, now = NOW): Promise<Freeze> {
  return openFreeze(path, { now: () => now, log: SILENT_LOG });
}

function makePath(): string {
  return join(makeDirectory(), 'freeze.json');
}

test('a freeze refuses writes with its reason, and a thaw ends it', async () => {
  const freeze = await open(makePath());
  assert.deepEqual([freeze.name, freeze.state, freeze.refusal()], ['freeze', null, undefined]);
  assert.equal(await freeze.freeze('the disk is being replaced'), true);
  assert.deepEqual(freeze.state, {
    reason: 'the disk is being replaced',
    since: SINCE,
    isKept: true,
  });
  const refusal = freeze.refusal();
  assert.equal(refusal?.code, 'frozen');
  assert.deepEqual(refusal?.details, { reason: 'the disk is being replaced', since: SINCE });
  assert.match(
    refusal?.message ?? '',
    /frozen since 2026-11-21T09:30:00\.000Z: "the disk is being/,
  );
  assert.equal(await freeze.thaw('done'), true);
  assert.deepEqual([freeze.state, freeze.refusal()], [null, undefined]);
});

test('a freeze survives a restart, word for word, and so does a thaw', async () => {
  const path = makePath();
  await (await open(path)).freeze('Grüße "an" \\ alle 🧊');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const again = await open(path, NOW + 1_000);
  assert.deepEqual(again.state, { reason: 'Grüße "an" \\ alle 🧊', since: SINCE, isKept: true });
  assert.equal(again.refusal()?.code, 'frozen');
  await again.thaw('done');
  assert.equal(existsSync(path), false);
  assert.equal((await open(path)).state, null);
});

test('freezing twice keeps the first reason, and thawing twice changes nothing', async () => {
  const path = makePath();
  const freeze = await open(path);
  assert.equal(await freeze.thaw('nothing to thaw'), false);
  assert.equal(await freeze.freeze('first'), true);
  assert.equal(await freeze.freeze('second'), false);
  assert.equal(freeze.state?.reason, 'first');
  assert.match(readFileSync(path, 'utf8'), /"first"/);
  assert.equal(await freeze.thaw('done'), true);
  assert.equal(await freeze.thaw('done'), false);
});

test('acts that overlap take effect one after the other', async () => {
  const path = makePath();
  const freeze = await open(path);
  const answers = [freeze.freeze('a'), freeze.freeze('b'), freeze.thaw('c'), freeze.freeze('d')];
  assert.deepEqual(await Promise.all(answers), [true, false, true, true]);
  assert.equal(freeze.state?.reason, 'd');
  assert.equal((await open(path)).state?.reason, 'd');
});

test('writes are refused from the moment of a freeze, before it is on disk', async () => {
  const freeze = await open(makePath());
  const frozen = freeze.freeze('now');
  await Promise.resolve();
  assert.equal(freeze.refusal()?.code, 'frozen');
  assert.equal(freeze.state?.isKept, false);
  await frozen;
  assert.equal(freeze.state?.isKept, true);
});

for (const [what, text] of [
  ['an empty file', ''],
  ['no json', 'frozen\n'],
  ['half a file', '{"reason":"x","si'],
  ['a line without its end', `{"reason":"x","since":"${SINCE}"}`],
  ['a line with another end', `{"reason":"x","since":"${SINCE}"}x`],
  ['another member', `{"by":"me","reason":"x","since":"${SINCE}"}\n`],
  ['no time', '{"reason":"x","since":"yesterday"}\n'],
  ['no reason', `{"reason":null,"since":"${SINCE}"}\n`],
  ['not utf-8', Buffer.from([0x22, 0xff, 0x22, 0x0a])],
  ['a huge file', `{"reason":"${'x'.repeat(70_000)}","since":"${SINCE}"}\n`],
] as const)
  test(`${what} in place of a freeze counts as one until an operator decides`, async () => {
    const path = makePath();
    writeFileSync(path, text);
    const freeze = await open(path);
    assert.equal(freeze.refusal()?.code, 'frozen');
    assert.equal(freeze.state?.isKept, false);
    assert.equal(freeze.state?.since, null);
    assert.match(freeze.state?.reason ?? '', /freeze\.json cannot be read/);
    assert.equal(await freeze.freeze('known now'), true, 'a proper one takes its place');
    assert.deepEqual((await open(path)).state?.reason, 'known now');
    writeFileSync(path, text);
    const other = await open(path);
    assert.equal(await other.thaw('looked at'), true);
    assert.equal((await open(path)).state, null);
  });

test('a named pipe in its place counts as a freeze, and is not waited for', async () => {
  const path = makePath();
  execFileSync('mkfifo', [path]);
  assert.equal((await open(path)).refusal()?.code, 'frozen');
});

test('a file that cannot be read, for whatever reason, counts as a freeze', async () => {
  const directory = makePath();
  mkdirSync(directory);
  assert.equal((await open(directory)).refusal()?.code, 'frozen');
  const loop = makePath();
  symlinkSync(loop, loop);
  assert.equal((await open(loop)).refusal()?.code, 'frozen');
  const notThere = join(makePath(), 'a file is no directory');
  writeFileSync(join(notThere, '..'), '');
  assert.equal((await open(notThere)).refusal()?.code, 'frozen');
});

test('a freeze that cannot be kept holds all the same, and says so', async () => {
  const path = join(makeDirectory(), 'gone', 'freeze.json');
  const freeze = await open(path);
  await assert.rejects(freeze.freeze('now'), {
    code: 'storage_failed',
    message: /freeze\.json to be kept: writes are refused until this process ends, got ENOENT/,
  });
  assert.equal(freeze.refusal()?.code, 'frozen');
  assert.deepEqual(freeze.state, { reason: 'now', since: SINCE, isKept: false });
  mkdirSync(join(path, '..'));
  assert.equal(await freeze.freeze('again'), true, 'it is tried again');
  assert.equal((await open(path)).state?.reason, 'again');
});

test('a thaw that cannot be kept leaves the freeze as it was', async () => {
  const path = makePath();
  const freeze = await open(path);
  await freeze.freeze('now');
  rmSync(path);
  mkdirSync(join(path, 'held'), { recursive: true });
  await assert.rejects(freeze.thaw('done'), { code: 'storage_failed' });
  assert.equal(freeze.refusal()?.code, 'frozen');
  chmodSync(path, 0o700);
  rmSync(path, { recursive: true });
  assert.equal(await freeze.thaw('done'), true);
});

test('what a crash left beside the file is removed, and nothing else is', async () => {
  const path = makePath();
  const directory = join(path, '..');
  for (const name of [
    'freeze.json.0123456789ab.tmp',
    'freeze.json.bak',
    'other.0123456789ab.tmp',
    'freeze.json.tmp',
  ])
    writeFileSync(join(directory, name), '');
  assert.equal((await open(path)).state, null);
  assert.deepEqual(readdirSync(directory).sort(), [
    'freeze.json.bak',
    'freeze.json.tmp',
    'other.0123456789ab.tmp',
  ]);
});

test('without a file a freeze is in memory alone', async () => {
  const freeze = await open(null);
  assert.equal(await freeze.freeze('now'), true);
  assert.deepEqual(freeze.state, { reason: 'now', since: SINCE, isKept: true });
  assert.equal(await freeze.thaw('done'), true);
  assert.equal(freeze.refusal(), undefined);
});
