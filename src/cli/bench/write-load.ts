/** Writes: whole cycles under load, or commits alone of what was proposed and approved before. */
import type { Cycle, CycleMaker, CycleSender, Step } from './cycle.ts';
import { ALL_STEPS } from './cycle.ts';
import type { Latency } from './histogram.ts';
import { type Fault, type LoadOptions, type LoadResult, runLoad } from './load.ts';
import type { Job } from './pace.ts';

export interface WriteOptions extends Omit<LoadOptions, 'begin'> {
  readonly cycles: Pick<CycleSender, 'run' | 'recorders'>;
  readonly steps?: readonly Step[];
  /** Made ahead. */
  readonly stock: readonly Cycle[];
  /** Makes those that the stock has not; their making is not measured, but slows the closed loop down. */
  readonly maker: Pick<CycleMaker, 'make'>;
}

export interface WriteResult extends LoadResult {
  /** Of single requests; `latency_us` is of whole cycles. */
  readonly steps: Readonly<Partial<Record<Step, Latency | null>>>;
}

export async function runWrites({
  cycles,
  steps = ALL_STEPS,
  stock,
  maker,
  ...load
}: WriteOptions): Promise<WriteResult> {
  const run = async (job: Job): Promise<readonly [Fault, number]> => {
    const made = stock[job.index];
    const cycle = made ?? (await maker.make());
    const beganAt = made === undefined ? load.clock.now() : job.dueAt;
    return [await cycles.run(cycle, { steps, isCounted: job.isCounted }), beganAt];
  };
  const result = await runLoad({
    ...load,
    begin: (job, done) =>
      void run(job).then(
        ([fault, beganAt]) => done(fault, beganAt),
        // A payload that cannot be made is no fault of the registry, but no success either.
        (error) => done(`not made: ${error}`),
      ),
  });
  return { ...result, steps: stepLatencies(cycles, steps) };
}

export interface Prepared {
  readonly load: WriteResult;
  /** Those that want nothing but their commit. */
  readonly ready: readonly Cycle[];
}

/** Proposes and approves all of `stock`, as fast as it goes. */
export async function prepare(
  options: Pick<
    WriteOptions,
    'cycles' | 'stock' | 'clock' | 'connections' | 'signal' | 'onProgress'
  >,
): Promise<Prepared> {
  const { cycles, stock } = options;
  const steps = ['propose', 'approve'] as const;
  const ready: Cycle[] = [];
  const run = async (cycle: Cycle): Promise<Fault> => {
    const fault = await cycles.run(cycle, { steps, isCounted: true });
    if (fault === undefined) ready.push(cycle);
    return fault;
  };
  const result = await runLoad({
    ...options,
    warmupMs: 0,
    durationMs: Number.POSITIVE_INFINITY,
    rate: undefined,
    count: stock.length,
    begin: (job, done) => {
      const cycle = stock[job.index];
      if (cycle !== undefined) void run(cycle).then(done);
    },
  });
  return { load: { ...result, steps: stepLatencies(cycles, steps) }, ready };
}

function stepLatencies(
  cycles: WriteOptions['cycles'],
  steps: readonly Step[],
): WriteResult['steps'] {
  return Object.fromEntries(steps.map((step) => [step, cycles.recorders[step].latency]));
}
