/** An audit log under a kill, a full disk and failing system calls: what was acknowledged is there, and the chain holds. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import {
  event,
  openTestAudit,
  type ReadLog,
  readLog,
  segmentsIn,
  writeLog,
} from '../support/audit-log.ts';
import { CHILD_ENV, programOf, run } from '../support/child.ts';
import { mountSmall } from '../support/mount.ts';
import { makeDirectory } from '../support/store-sqlite.ts';
import { failEachCall, isStraceMissing } from '../support/strace.ts';

const CHILD = programOf('audit-child');
// strace counts the calls of each thread for itself: with one for all files, the k-th call is the k-th.
const ONE_THREAD = ['-E', 'UV_THREADPOOL_SIZE=1'];
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';

function childOf(dataDir: string, from: number): ChildProcess {
  const parameters = [CHILD, dataDir, String(from), '1000000', '1048576', '1'];
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  return spawn(process.execPath, parameters, { stdio: [...stdio], env: CHILD_ENV });
}

/** Kills it after so many acknowledgements; answers the last of them. */
async function killAfter(child: ChildProcess, count: number): Promise<number> {
  const closed = once(child, 'close');
  let last = -1;
  let seen = 0;
  try {
    for await (const line of createInterface({ input: child.stdout ?? assert.fail() })) {
      const [word, i] = line.split(' ');
      assert.equal(word, 'ack', line);
      last = Number(i);
      if (++seen === count) child.kill('SIGKILL');
    }
  } finally {
    child.kill('SIGKILL');
  }
  const [, signal] = await closed;
  assert.equal(signal, 'SIGKILL');
  assert.ok(seen >= count);
  return last;
}

function corrIds({ records }: ReadLog): string[] {
  return records.flatMap((r) => ('corr_id' in r && r.corr_id !== null ? [r.corr_id] : []));
}

test('whatever was acknowledged before a kill is there, and the next start goes on from it', async (t) => {
  const dataDir = makeDirectory();
  let next = 0;
  let deleted = 0;
  const rounds = IS_LONG ? 60 : 3;
  for (let round = 0; round < rounds; round++) {
    const first = next;
    const last = await killAfter(childOf(dataDir, first), 260 + 17 * (round % 9));
    const log = await readLog(dataDir);
    const kept = corrIds(log);
    // What came after the last acknowledgement may be there too.
    const from = kept.indexOf(`e-${first}`);
    assert.ok(from >= 0);
    for (let i = first; i <= last; i++) assert.equal(kept[from + i - first], `e-${i}`);
    next = first + kept.length - from;
    deleted = log.summary.deleted;
  }
  assert.ok(deleted > 0, 'no segment was deleted');
  const { audit, directory } = await openTestAudit(t, { dataDir });
  assert.equal(audit.refusal(), undefined);
  await readLog(directory);
});

test('a kill at any sync of a rotation and a deletion leaves a log that verifies and is gone on with', async (t) => {
  if (isStraceMissing(t)) return;
  const wide = event({ reason: 'x'.repeat(900) });
  const full = await writeLog(t, new Array(720).fill(wide));
  assert.equal(segmentsIn(join(full, 'audit')).length, 8);
  let deleted = 0;
  const killed = await failEachCall({
    call: 'fsync',
    effect: 'signal=SIGKILL',
    makeDirectory,
    program: ({ directory }) => {
      cpSync(full, join(directory, 'data'), { recursive: true });
      return [
        ...ONE_THREAD,
        process.execPath,
        CHILD,
        join(directory, 'data'),
        '0',
        '120',
        '1048576',
        '1',
      ];
    },
    check: async ({ lines }, { directory, k }) => {
      const dataDir = join(directory, 'data');
      const before = await readLog(dataDir);
      const acked = lines.flatMap((line) =>
        line.startsWith('ack ') ? [`e-${line.slice(4)}`] : [],
      );
      assert.deepEqual(
        corrIds(before)
          .filter((id) => id.startsWith('e-'))
          .slice(0, acked.length),
        acked,
        `${k}`,
      );
      const { audit } = await openTestAudit(t, { dataDir });
      await audit.record(wide);
      assert.equal(audit.refusal(), undefined, `${k}`);
      const after = await readLog(dataDir);
      assert.ok(after.summary.last.seq > before.summary.last.seq);
      deleted += after.summary.deleted;
    },
  });
  assert.ok(killed >= 6, `${killed}`);
  assert.ok(deleted > 0, 'no segment was deleted');
});

test('a full disk shuts the gate, tears nothing, and is gone on from when there is space', async (t) => {
  const dataDir = mountSmall(t, '1m');
  if (dataDir === undefined) return;
  const ballast = join(dataDir, 'ballast');
  writeFileSync(ballast, new Uint8Array(512 * 1024));
  const { audit, directory, counts, timers } = await openTestAudit(t, {
    dataDir,
    maxBytes: 64 * 1024 * 1024,
  });
  let i = 0;
  for (; i < 2_000 && audit.refusal() === undefined; i++)
    await audit.record(event({ corrId: `e-${i}`, reason: 'x'.repeat(900) }));
  assert.equal(audit.refusal()?.code, 'read_only', 'the disk was never full');
  assert.equal(counts.failed, 1);
  const full = await readLog(directory);
  assert.equal(full.summary.tornBytes, 0);
  assert.equal(corrIds(full).at(-1), `e-${i - 2}`);
  await audit.record(event({ corrId: 'while full' }));
  assert.equal(counts.failed, 2);
  rmSync(ballast);
  timers.advance(1_000);
  for (let tries = 0; audit.refusal() !== undefined && tries < 10_000; tries++)
    await new Promise((resolve) => setImmediate(resolve));
  assert.equal(audit.refusal(), undefined);
  await audit.record(event({ corrId: 'after' }));
  const log = await readLog(directory);
  assert.deepEqual(corrIds(log).slice(-3), [`e-${i - 1}`, 'while full', 'after']);
});

interface Injection {
  /** e.g. `write:error=EIO:when=3` */
  readonly inject: string;
  readonly code: string;
}

/** Runs the child with faults on its segments only; answers what it said and what is in the log. */
async function runWithFault(t: TestContext, { inject }: Pick<Injection, 'inject'>) {
  const dataDir = makeDirectory();
  const trace = join(makeDirectory(), 'trace');
  const [call = ''] = inject.split(':');
  const paths = [1, 2].flatMap((n) => ['-P', join(dataDir, 'audit', `0000000${n}.ndjson`)]);
  const options = [
    '-f',
    '-y',
    '-qq',
    '-o',
    trace,
    ...paths,
    '-e',
    `trace=${call},pwrite64`,
    '-e',
    `inject=${inject}`,
  ];
  const program = [...ONE_THREAD, process.execPath, CHILD, dataDir, '0', '150', '1048576', '10'];
  const ran = await run('strace', [...options, ...program]);
  const traced = readFileSync(trace, 'utf8').split('\n');
  const injected = traced.filter((line) => line.includes('(INJECTED)'));
  t.diagnostic(`${inject}: ${injected.length} calls failed`);
  assert.ok(injected.length > 0, `no ${call} failed`);
  assert.ok(
    injected.every((line) => line.includes('.ndjson')),
    injected.join('\n'),
  );
  const rewritten = traced.filter((line) => line.includes('pwrite64('));
  return { lines: ran.lines, log: await readLog(dataDir), rewrites: rewritten.length };
}

const FAULTS: readonly Injection[] = [
  { inject: 'write:error=EIO:when=40', code: 'not_ready' },
  { inject: 'write:error=EIO:when=40..42', code: 'not_ready' },
  { inject: 'write:error=ENOSPC:when=40', code: 'read_only' },
  { inject: 'fsync:error=EIO:when=2', code: 'not_ready' },
  { inject: 'fsync:error=EIO:when=2..3', code: 'not_ready' },
  { inject: 'fsync:error=ENOSPC:when=2', code: 'read_only' },
];

for (const { inject, code } of FAULTS)
  test(`${inject} shuts the gate, and every event is in the log afterwards, once and in order`, async (t) => {
    if (isStraceMissing(t)) return;
    const { lines, log, rewrites } = await runWithFault(t, { inject });
    assert.equal(lines.at(-1), 'closed');
    assert.ok(
      lines.includes(`shut ${code}`),
      lines.filter((line) => !line.startsWith('ack')).join(),
    );
    assert.ok(lines.includes('open'));
    const all = Array.from({ length: 150 }, (_, i) => `e-${i}`);
    assert.deepEqual(corrIds(log), all);
    assert.equal(log.summary.files, 2);
    // What a failed sync may have lost is written once more, in its place.
    assert.equal(rewrites > 0, inject.startsWith('fsync'));
  });

test('a segment that cannot be begun shuts the gate and leaves no half of itself', async (t) => {
  const { audit, directory, timers } = await openTestAudit(t);
  // In the place of the next one: it can be neither made nor written.
  const next = join(directory, '00000002.ndjson');
  let i = 0;
  writeFileSync(next, '');
  for (; i < 200 && audit.refusal() === undefined; i++)
    await audit.record(event({ corrId: `e-${i}`, reason: 'x'.repeat(900) }));
  assert.match(audit.refusal()?.message ?? '', /EEXIST/);
  assert.equal(statSync(next).size, 0);
  rmSync(next);
  timers.advance(1_000);
  for (let tries = 0; audit.refusal() !== undefined && tries < 10_000; tries++)
    await new Promise((resolve) => setImmediate(resolve));
  const log = await readLog(directory);
  assert.equal(corrIds(log).length, i);
  assert.equal(log.summary.files, 2);
});
