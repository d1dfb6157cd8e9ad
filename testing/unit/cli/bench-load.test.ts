import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Fault,
  faultOf,
  type LoadOptions,
  type LoadResult,
  runLoad,
} from '../../../src/cli/bench/load.ts';
import { assertNoneFailed } from '../../../src/cli/bench/result.ts';
import { DrivenBenchClock } from '../../support/bench-clock.ts';

interface Answer {
  readonly ms: number;
  readonly fault?: Fault;
  /** Milliseconds that making it took, which do not count. */
  readonly madeIn?: number;
}

function load(
  answer: (index: number) => Answer,
  options: Partial<LoadOptions> = {},
): Promise<LoadResult> {
  const clock = new DrivenBenchClock();
  const running = runLoad({
    clock,
    warmupMs: 0,
    durationMs: 1_000,
    rate: 100,
    connections: 100,
    signal: new AbortController().signal,
    begin: ({ index, dueAt }, done) => {
      const { ms, fault, madeIn } = answer(index);
      clock.at(clock.now() + ms, () =>
        madeIn === undefined ? done(fault) : done(fault, dueAt + madeIn),
      );
    },
    ...options,
  });
  return clock.drive(running);
}

test('failures are counted by kind and are in no latency', async () => {
  const result = await load((index) =>
    index % 10 === 3
      ? { ms: 500, fault: '503 frozen' }
      : index % 20 === 4
        ? { ms: 0.5, fault: 'ECONNRESET' }
        : { ms: 2 },
  );
  assert.deepEqual(result.errors, { '503 frozen': 10, ECONNRESET: 5 });
  assert.deepEqual([result.requests, result.failed, result.latency_us?.count], [100, 15, 85]);
  assert.ok((result.latency_us?.max ?? 0) < 3_000, 'a failed answer is in the latencies');
  assert.equal(result.rate, 85);
});

test('a stall of one second at 100 a second shows in every percentile that arithmetic says', async () => {
  // 1,000 requests; those of the sixth second are answered when it is over.
  const result = await load(
    (index) => ({ ms: index >= 500 && index < 600 ? 1_000 - (index - 500) * 10 : 1 }),
    { durationMs: 10_000, connections: 1_000 },
  );
  const { p50, p90, p95, p99, p99_9, max } = result.latency_us ?? assert.fail('no latency');
  const ms = (us: number) => Math.round(us / 1_000);
  // 100 see 1,000 ms down to 10 ms; the p99 is the 990th of 1,000, the 11th from above.
  assert.deepEqual([p50, p90, p95, p99, p99_9, max].map(ms), [1, 1, 500, 900, 990, 1_000]);
});

test('what was due and not sent is in the latencies with what it had waited', async () => {
  const result = await load(() => ({ ms: 2_000 }), { connections: 1 });
  // One was sent, and 99 waited for it from when they were due to the end.
  assert.deepEqual([result.requests, result.unsent, result.latency_us?.count], [1, 99, 100]);
  assert.equal(Math.round((result.latency_us?.min ?? 0) / 1_000), 10);
});

test('what had to be made first counts from when it was', async () => {
  const result = await load(() => ({ ms: 30, madeIn: 20 }), { rate: undefined, connections: 1 });
  assert.deepEqual([result.latency_us?.min, result.latency_us?.max], [10_000, 10_000]);
  assert.equal(result.requests, Math.ceil(1_000 / 30));
});

test('failures of the warm-up are not counted', async () => {
  const options = { warmupMs: 500, durationMs: 500 };
  const result = await load((index) => (index < 50 ? { ms: 1, fault: '404' } : { ms: 1 }), options);
  assert.deepEqual([result.requests, result.failed], [50, 0]);
});

test('progress ends where the run does, and is told against a total that holds', async () => {
  for (const options of [
    { rate: 100 },
    { rate: undefined, connections: 1 },
    { rate: 50, count: 20 },
  ]) {
    const told: [number, number][] = [];
    const onProgress = (done: number, total: number) => told.push([done, total]);
    await load(() => ({ ms: 10 }), { ...options, onProgress });
    assert.ok(told.length > 0);
    for (const [done, total] of told)
      assert.ok(done <= total && Number.isInteger(total), `${done}/${total}`);
    const [done, total] = told.at(-1) ?? [0, 1];
    assert.equal(done, total);
  }
});

test('an answer is a fault by its status, its problem code, or what is missing of it', () => {
  const answer = { status: 200, etag: undefined, isWhole: true, text: '' };
  assert.equal(faultOf(answer, [200]), undefined);
  assert.equal(faultOf({ ...answer, isWhole: false }, [200]), '200 cut off');
  assert.equal(faultOf(answer, [201, 202]), '200');
  const problem = { ...answer, status: 429, text: '{"code":"rate_limited"}' };
  assert.equal(faultOf(problem, [200]), '429 rate_limited');
  for (const text of ['<html>', '{"code":"no \\u001b such"}', 'null', '[]', '{}'])
    assert.equal(faultOf({ ...answer, status: 502, text }, [200]), '502', text);
  assert.equal(faultOf({ cause: 'ECONNREFUSED' }, [200]), 'ECONNREFUSED');
});

test('a run fails when anything in it did, and says what', () => {
  const good = { requests: 5, failed: 0, errors: {} };
  assert.doesNotThrow(() => assertNoneFailed([good, good]));
  assert.throws(() => assertNoneFailed([good, { requests: 3, failed: 2, errors: { '404': 2 } }]), {
    code: 'unexpected_answer',
    message: /2 of 8 that did not: 2 x 404/,
  });
});
