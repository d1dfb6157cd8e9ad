/**
 * What folds a long write-ahead log beside the commit lane fails, or dies: an i/o error is as fatal there as in the lane,
 * a full disk is waited out, and whatever happens the log is whole and has what was acknowledged.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CHILD_ENV, programOf } from '../support/child.ts';
import { recover } from '../support/store-recover.ts';
import { makePath } from '../support/store-sqlite.ts';
import { attach, isAttachMissing } from '../support/strace-attach.ts';

const CHILD = programOf('store-long-log-child');
const THREAD = 'log-fold';
const DEADLINE_MS = 60_000;
const PAUSE_MS = 5;

interface Case {
  readonly call: 'fsync' | 'pwrite64';
  /** Of the database's files. */
  readonly suffix: '' | '-wal';
  /** Which one of these calls it is, counted from when the reader goes. */
  readonly nth: number;
}

const SYNCS: readonly Case[] = [
  // Of the log, before anything is copied; by SQLite, after all is; by the thread.
  { call: 'fsync', suffix: '-wal', nth: 1 },
  { call: 'fsync', suffix: '', nth: 1 },
  { call: 'fsync', suffix: '', nth: 2 },
];
const WRITES: readonly Case[] = [1, 2, 1_000, 3_000].map((nth) => ({
  call: 'pwrite64',
  suffix: '',
  nth,
}));

/** The number of the thread of a process that has this name, once there is one. */
async function threadOf(pid: number): Promise<number> {
  const end = performance.now() + DEADLINE_MS;
  for (;;) {
    const tasks = `/proc/${pid}/task`;
    const found = readdirSync(tasks).find(
      (task) => readFileSync(`${tasks}/${task}/comm`, 'utf8').trim() === THREAD,
    );
    if (found !== undefined) return Number(found);
    assert.ok(performance.now() < end, `no thread ${THREAD}`);
    await delay(PAUSE_MS);
  }
}

/** What a process said whose log was folded while the call had that effect, and how it ended. */
async function outcomeOf(t: TestContext, { call, suffix, nth }: Case, effect: string) {
  const path = makePath();
  const child = spawn(process.execPath, [CHILD, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: CHILD_ENV,
  });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
  while (!said.includes('long')) await once(lines, 'line');
  const { injected } = await attach(t, await threadOf(child.pid ?? 0), {
    call,
    effect: `${effect}:when=${nth}`,
    path: `${path}${suffix}`,
    isOneThread: true,
  });
  child.stdin.end();
  const [, signal] = await ended;
  const isKill = effect.startsWith('signal=');
  assert.ok(isKill || injected() === 1, `${injected()} calls failed`);
  const { head } = await recover(path);
  const acknowledged = said.filter((line) => line.startsWith('ack ')).length - 1;
  assert.equal(head, acknowledged, `${said}`);
  return { said, signal };
}

for (const one of [...SYNCS, ...WRITES])
  test(`after an i/o error of ${one.call} ${one.nth} on the file${one.suffix} beside the lane nothing more is acknowledged and nothing is lost`, async (t) => {
    if (isAttachMissing(t)) return;
    const { said, signal } = await outcomeOf(t, one, 'error=EIO');
    assert.equal(said.at(-2), 'long');
    assert.match(said.at(-1) ?? '', /^fatal storage_failed/);
    assert.equal(signal, 'SIGKILL');
  });

for (const one of WRITES)
  test(`without space for write ${one.nth} beside the lane the log is folded when there is some`, async (t) => {
    if (isAttachMissing(t)) return;
    const { said, signal } = await outcomeOf(t, one, 'error=ENOSPC');
    assert.deepEqual(said.slice(-4), ['long', 'short', 'ack 1', 'closed']);
    assert.equal(signal, null);
  });

for (const one of WRITES)
  test(`a process that is killed at write ${one.nth} beside the lane leaves a whole log`, async (t) => {
    if (isAttachMissing(t)) return;
    const { said, signal } = await outcomeOf(t, one, 'signal=SIGKILL');
    assert.equal(said.at(-1), 'long');
    assert.equal(signal, 'SIGKILL');
  });
