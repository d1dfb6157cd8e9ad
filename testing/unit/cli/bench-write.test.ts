import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cycle, Step } from '../../../src/cli/bench/cycle.ts';
import { LatencyRecorder } from '../../../src/cli/bench/histogram.ts';
import { prepare, runWrites, type WriteOptions } from '../../../src/cli/bench/write-load.ts';
import { DrivenBenchClock } from '../../support/bench-clock.ts';
import { genesisPayload, makeGovernance, makeSigners } from '../../support/signers.ts';

const MAKING_MS = 20;
const STEP_MS = 10;

/** Cycles that are told apart by their times alone. */
function cyclesOf(count: number): readonly Cycle[] {
  const governance = makeGovernance(makeSigners(1), { threshold: 1 });
  return Array.from({ length: count }, (_, i) => ({
    proposal: genesisPayload(governance, { createdAt: i }),
    approvals: [],
  }));
}

interface World {
  readonly clock: DrivenBenchClock;
  /** What was run, in order. */
  readonly runs: { readonly cycle: Cycle; readonly steps: readonly Step[] }[];
  readonly options: WriteOptions;
}

function open(isRefused: (cycle: Cycle) => boolean = () => false): World {
  const clock = new DrivenBenchClock();
  const runs: World['runs'] = [];
  const wait = (ms: number) => new Promise<void>((resolve) => clock.at(clock.now() + ms, resolve));
  const recorder = new LatencyRecorder();
  const options: WriteOptions = {
    clock,
    warmupMs: 0,
    durationMs: 10_000,
    rate: undefined,
    count: 6,
    connections: 1,
    signal: new AbortController().signal,
    stock: [],
    cycles: {
      recorders: { propose: recorder, approve: recorder, commit: recorder },
      run: async (cycle, { steps }) => {
        runs.push({ cycle, steps });
        await wait(STEP_MS * steps.length);
        return isRefused(cycle) ? 'approve: 503 frozen' : undefined;
      },
    },
    maker: {
      make: async () => {
        await wait(MAKING_MS);
        const [cycle] = cyclesOf(1);
        return cycle ?? assert.fail();
      },
    },
  };
  return { clock, runs, options };
}

test('making a payload is in no latency, though it takes its time from the closed loop', async () => {
  const { clock, options } = open();
  const result = await clock.drive(runWrites(options));
  assert.deepEqual([result.latency_us?.min, result.latency_us?.max], [30_000, 30_000]);
  assert.equal(result.elapsed_ms, 6 * (MAKING_MS + 3 * STEP_MS));
});

test('what was made ahead is sent in order, each once, and its wait for a connection counts', async () => {
  const { clock, options, runs } = open();
  const stock = cyclesOf(6);
  const result = await clock.drive(runWrites({ ...options, stock, rate: 100 }));
  assert.deepEqual(
    runs.map(({ cycle }) => cycle),
    stock,
  );
  // Each is due 10 ms after the one before, and takes 30 ms with one connection for all.
  assert.equal(Math.round((result.latency_us?.max ?? 0) / 1000), 30 * 6 - 10 * 5);
});

test('a payload that cannot be made is a failure, and the run goes on', async () => {
  const { clock, options } = open();
  const make = () => Promise.reject(new Error('no key'));
  const result = await clock.drive(runWrites({ ...options, maker: { make } }));
  assert.deepEqual(result.errors, { 'not made: Error: no key': 6 });
});

test('only what was proposed and approved is left to be committed', async () => {
  const stock = cyclesOf(8);
  const { clock, options, runs } = open((cycle) => stock.indexOf(cycle) % 4 === 1);
  const { load, ready } = await clock.drive(prepare({ ...options, stock, connections: 3 }));
  assert.deepEqual([load.requests, load.errors], [8, { 'approve: 503 frozen': 2 }]);
  assert.deepEqual(new Set(ready), new Set(stock.filter((_, i) => i % 4 !== 1)));
  assert.ok(runs.every(({ steps }) => steps.join() === 'propose,approve'));
});
