import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runClosedLoop } from '../../../src/cli/bench/closed-loop.ts';
import { runOpenLoop } from '../../../src/cli/bench/open-loop.ts';
import type { Job, Paced, PaceOptions } from '../../../src/cli/bench/pace.ts';
import { DrivenBenchClock } from '../../support/bench-clock.ts';

interface Begun extends Job {
  readonly sentAt: number;
  doneAt?: number;
}

interface Run extends Paced {
  readonly jobs: readonly Begun[];
  readonly mostInFlight: number;
  readonly waited: readonly number[];
  readonly startedAt: number;
}

interface World extends Partial<PaceOptions> {
  readonly clock?: DrivenBenchClock;
  /** Milliseconds for the answer to a job; `undefined`: none ever comes. */
  readonly serve?: (job: Job, now: number) => number | undefined;
}

/** Runs against a service that answers as `serve` says. */
async function run(world: World): Promise<Run> {
  const { clock = new DrivenBenchClock(), serve = () => 1, ...options } = world;
  const jobs: Begun[] = [];
  const waited: number[] = [];
  let inFlight = 0;
  let mostInFlight = 0;
  const startedAt = clock.now();
  const pace: PaceOptions = {
    warmupMs: 0,
    durationMs: 10_000,
    rate: undefined,
    connections: 1_000,
    signal: new AbortController().signal,
    onUnsent: (_job, ms) => waited.push(ms),
    ...options,
    clock,
    begin: (job, done) => {
      const begun: Begun = { ...job, sentAt: clock.now() };
      jobs.push(begun);
      mostInFlight = Math.max(mostInFlight, ++inFlight);
      const ms = serve(job, clock.now());
      if (ms === undefined) return;
      clock.at(clock.now() + ms, () => {
        inFlight--;
        begun.doneAt = clock.now();
        done();
      });
    },
  };
  const running = pace.rate === undefined ? runClosedLoop(pace) : runOpenLoop(pace, pace.rate);
  const paced = await clock.drive(running);
  return { ...paced, jobs, mostInFlight, waited, startedAt };
}

/** From when they were due, the longest first. */
function latencies({ jobs }: Run): number[] {
  return jobs.map(({ dueAt, doneAt = Number.NaN }) => doneAt - dueAt).sort((a, b) => b - a);
}

/** Answers in a millisecond, but nothing from 5 s to 6 s after the start. */
function stalling(clock: DrivenBenchClock): (job: Job, now: number) => number {
  const from = clock.now() + 4_999.5;
  return (_job, now) => (now >= from && now < from + 1_000 ? from + 1_000 - now : 0) + 1;
}

test('a stall of one second is charged with every request that was due in it', async () => {
  for (const connections of [1, 1_000]) {
    const clock = new DrivenBenchClock();
    const stalled = await run({ clock, rate: 100, connections, serve: stalling(clock) });
    const long = latencies(stalled).filter((ms) => ms > 9);
    // With one connection each of them also waits for those before it, a millisecond each.
    const slack = connections === 1 ? 2 + 100 * 1.1 : 2;
    const least = connections === 1 ? 100 : 99;
    assert.ok(long.length >= least && long.length <= least + 12, `${long.length}`);
    for (const [i, ms] of long.slice(0, 99).entries())
      assert.ok(ms >= 998 - 10 * i && ms <= 1_002 - 10 * i + slack, `${i}: ${ms}`);
    assert.equal(stalled.jobs.length, 1_000);
    assert.deepEqual([stalled.late, stalled.unsent, stalled.isGeneratorLimited], [0, 0, false]);
  }
});

test('the closed loop sees one slow answer in the same stall, which is why it is not the default for objectives', async () => {
  const clock = new DrivenBenchClock();
  const stalled = await run({ clock, connections: 1, serve: stalling(clock) });
  assert.equal(latencies(stalled).filter((ms) => ms > 9).length, 1);
});

test('a fixed rate is exact, and does not drift however long the run is', async () => {
  for (const [rate, seconds] of [
    [100, 10],
    [333.3, 20],
    [0.5, 60],
    [2_500, 2],
  ] as const) {
    const { jobs, startedAt, elapsedMs } = await run({ rate, durationMs: seconds * 1000 });
    assert.equal(jobs.length, Math.ceil(rate * seconds - 1e-6), `${rate}`);
    for (const { index, dueAt, sentAt } of jobs) {
      assert.ok(Math.abs(dueAt - startedAt - (index * 1000) / rate) < 1e-6);
      assert.ok(sentAt >= dueAt && sentAt - dueAt < 0.5, `${index}: ${sentAt - dueAt}`);
    }
    assert.equal(elapsedMs, seconds * 1000);
  }
});

test('never more is under way than there are connections, and every job is begun once, in order', async () => {
  const service = fc.array(fc.double({ min: 0.5, max: 80, noNaN: true }), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(
      fc.option(fc.double({ min: 1, max: 2_000, noNaN: true }), { nil: undefined }),
      fc.integer({ min: 1, max: 20 }),
      service,
      async (rate, connections, times) => {
        const serve = ({ index }: Job) => times[index % times.length];
        const result = await run({ rate, connections, serve, durationMs: 300, warmupMs: 100 });
        assert.ok(result.mostInFlight <= connections);
        assert.deepEqual(
          result.jobs.map(({ index }) => index),
          result.jobs.map((_, i) => i),
        );
        assert.ok(result.jobs.every(({ doneAt }) => doneAt !== undefined));
        assert.equal(result.sent, result.jobs.filter(({ isCounted }) => isCounted).length);
        assert.equal(result.unfinished, 0);
        assert.equal(result.waited.length, result.unsent);
        if (rate === undefined) return;
        const due = Array.from(
          { length: Math.ceil(rate * 0.4 - 1e-6) },
          (_, i) => (i * 1000) / rate,
        );
        assert.equal(result.sent + result.unsent, due.filter((at) => at >= 100).length);
      },
    ),
    { numRuns: 40 },
  );
});

test('the closed loop keeps all of its connections busy, and begins nothing after its time', async () => {
  const result = await run({ connections: 7, serve: () => 10, durationMs: 1_000 });
  assert.equal(result.mostInFlight, 7);
  assert.equal(result.jobs.length, 7 * 100);
  assert.ok(result.jobs.every(({ sentAt }) => sentAt < result.startedAt + 1_000));
});

test('what is begun or due in the warm-up is done and not counted', async () => {
  for (const rate of [undefined, 100]) {
    const result = await run({
      rate,
      connections: 1,
      serve: () => 10,
      warmupMs: 500,
      durationMs: 1_000,
    });
    assert.deepEqual([result.jobs.length, result.sent], [150, 100]);
    assert.deepEqual(
      result.jobs.map(({ isCounted }) => isCounted),
      result.jobs.map(({ index }) => index >= 50),
    );
    assert.equal(result.elapsedMs, 1_000);
  }
});

test('what was due and never sent is told with how long it had waited, and is no fault of the generator', async () => {
  const result = await run({ rate: 100, connections: 1, serve: () => 100, durationMs: 1_000 });
  assert.equal(result.sent + result.unsent, 100);
  assert.ok(result.sent >= 9 && result.sent <= 11, `${result.sent}`);
  // The last falls due 10 ms before the end, and each before it 10 ms earlier.
  assert.deepEqual(
    result.waited.toReversed().map((ms) => Math.round(ms)),
    Array.from({ length: result.unsent }, (_, i) => 10 * (i + 1)),
  );
  assert.deepEqual([result.late, result.isGeneratorLimited], [0, false]);
});

test('a generator whose own thread is held up says so', async () => {
  const clock = new DrivenBenchClock();
  for (let at = 250; at < 10_000; at += 500) clock.at(clock.now() + at, () => clock.block(60));
  const result = await run({ clock, rate: 100 });
  assert.equal(result.isGeneratorLimited, true);
  assert.ok(result.late >= 20 * 5 && result.late <= 20 * 6, `${result.late}`);
});

test('a generator that is held up for less than one in a hundred is not limited', async () => {
  const clock = new DrivenBenchClock();
  clock.at(clock.now() + 5_001, () => clock.block(60));
  const { late, isGeneratorLimited } = await run({ clock, rate: 100 });
  assert.ok(late > 0 && late < 10, `${late}`);
  assert.equal(isGeneratorLimited, false);
});

test('a generator that takes longer to send than the rate allows says so, though every connection is in use', async () => {
  const clock = new DrivenBenchClock();
  const serve = () => {
    clock.block(5);
    return 0.1;
  };
  const result = await run({ clock, rate: 1_000, connections: 4, serve, durationMs: 2_000 });
  assert.ok(result.unsent > 1_000, `${result.unsent}`);
  assert.ok(result.busyShare > 0.9, `${result.busyShare}`);
  assert.equal(result.isGeneratorLimited, true);
});

test('waiting for the next request is no work: an idle generator tells a small share', async () => {
  const { busyShare } = await run({ rate: 5, serve: () => 20 });
  assert.ok(busyShare < 0.1, `${busyShare}`);
});

test('the closed loop goes by how busy its thread says it was', async () => {
  for (const [busyShare, isLimited] of [
    [0.5, false],
    [0.97, true],
  ] as const) {
    const clock = new DrivenBenchClock();
    clock.busyShare = busyShare;
    const result = await run({ clock, connections: 2, durationMs: 100 });
    assert.deepEqual([result.busyShare, result.isGeneratorLimited], [busyShare, isLimited]);
  }
});

test('a run of so many jobs ends with the last of them, and its time is theirs', async () => {
  const closed = await run({ connections: 4, count: 40, serve: () => 10 });
  assert.deepEqual([closed.jobs.length, closed.elapsedMs], [40, 100]);
  const open = await run({ rate: 100, count: 40, serve: () => 10 });
  assert.equal(open.jobs.length, 40);
  assert.ok(Math.abs(open.elapsedMs - 400) < 2, `${open.elapsedMs}`);
  const none = await run({ connections: 4, count: 0 });
  assert.deepEqual([none.jobs.length, none.elapsedMs], [0, 0]);
});

test('an interrupt ends the run at once, and what is under way is not waited for', async () => {
  for (const rate of [undefined, 100]) {
    const clock = new DrivenBenchClock();
    const interrupt = new AbortController();
    clock.at(clock.now() + 995, () => interrupt.abort());
    const serve = ({ index }: Job) => (index >= 10 ? undefined : 10);
    const result = await run({ clock, rate, connections: 4, serve, signal: interrupt.signal });
    assert.deepEqual([result.unfinished, result.isInterrupted], [4, true]);
    assert.ok(Math.abs(result.elapsedMs - 995) < 1, `${result.elapsedMs}`);
    // Those that were due by then had waited.
    assert.equal(result.unsent, rate === undefined ? 0 : 100 - 14);
  }
});

test('a run that was interrupted before it began sends nothing', async () => {
  const signal = AbortSignal.abort();
  for (const rate of [undefined, 100])
    assert.equal((await run({ rate, signal })).jobs.length, 0, `${rate}`);
});
