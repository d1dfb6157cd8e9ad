/** `quorate bench put`: whole cycles of propose, approve and commit, or commits alone. */
import type { Command } from 'commander';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { createBenchClock } from './clock.ts';
import { CycleSender } from './cycle.ts';
import { ANSWER_TIMEOUT_MS, HttpSender } from './http-sender.ts';
import { addPaceOptions, jobsOf, type PaceFlags, paceConfig } from './options.ts';
import type { BenchResult } from './result.ts';
import { runBench, withBar } from './run.ts';
import { showHeading, showHistogram, showLatencies, showLoad, showSteps } from './show.ts';
import { prepare, runWrites, type WriteResult } from './write-load.ts';
import {
  addWriteOptions,
  makeStock,
  openWriting,
  type WriteFlags,
  type Writing,
  writeConfig,
} from './writing.ts';

interface PutFlags extends PaceFlags, WriteFlags {
  readonly prepared?: boolean;
  readonly count?: number;
}

interface PutLoads {
  /** Whole cycles, or with `prepare` their commits alone. */
  readonly put: WriteResult;
  readonly prepare?: WriteResult;
}

/** Of `--prepared` at no fixed rate; a registry holds 1,000 proposals unless it was configured otherwise. */
const PREPARED = 500;

export function definePut(command: Command, context: Context): void {
  const put = command
    .command('put')
    .description('Propose, approve and commit, and measure how long each takes.');
  addWriteOptions(addPaceOptions(put, 'cycles'))
    .option('--count <count>', 'end after so many cycles, none of them a warm-up', parseCount)
    .option('--prepared', 'propose and approve all of them first, then measure commits alone')
    .action((flags: PutFlags) => benchPut(context, withCount(flags)));
}

/** What is counted out is not spent on a warm-up. */
function withCount(flags: PutFlags): PutFlags {
  const isOpen = flags.prepared !== true || flags.rate !== undefined;
  if (flags.count === undefined && isOpen) return flags;
  return { ...flags, warmup: 0, count: flags.count ?? PREPARED };
}

async function benchPut(context: Context, flags: PutFlags): Promise<void> {
  const { prepared = false, count = null } = flags;
  const writing = await openWriting(context, { flags, runMs: flags.duration + flags.warmup });
  await runBench<PutLoads>(context, {
    bench: 'put',
    config: { ...paceConfig(flags), ...writeConfig(flags), count, prepared },
    run: (signal) => runPut(context, { flags, writing, signal }),
    show: (result) => showPut(result, context),
    failures: ({ put, prepare }) => (prepare === undefined ? [put] : [prepare, put]),
  });
}

async function runPut(
  context: Context,
  {
    flags,
    writing: { maker, token },
    signal,
  }: { readonly flags: PutFlags; readonly writing: Writing; readonly signal: AbortSignal },
): Promise<PutLoads> {
  const { rate, connections, duration: durationMs, warmup: warmupMs, size, count } = flags;
  const made = await makeStock(context, { maker, count: jobsOf(flags, count), size });
  const { url } = context.globals;
  using sender = new HttpSender({ url, connections, timeoutMs: ANSWER_TIMEOUT_MS });
  const clock = createBenchClock();
  const cycles = new CycleSender({ sender, clock, token });
  const parts = { clock, connections, signal, cycles, maker };
  const pace = { ...parts, warmupMs, durationMs, rate };
  if (flags.prepared !== true) {
    const put = await withBar(context, 'cycles', (onProgress) =>
      runWrites({ ...pace, count, stock: made, onProgress }),
    );
    return { put };
  }
  const { load, ready: stock } = await withBar(context, 'cycles prepared', (onProgress) =>
    prepare({ ...parts, stock: made, onProgress }),
  );
  const put = await withBar(context, 'commits', (onProgress) =>
    runWrites({ ...pace, count: stock.length, stock, steps: ['commit'], onProgress }),
  );
  return { prepare: load, put };
}

function showPut({ loads, ...result }: BenchResult<PutLoads>, { style }: Context): string {
  const { put, prepare } = loads;
  const name = prepare === undefined ? 'put' : 'commit';
  return [
    showHeading(result),
    ...(prepare === undefined ? [] : [showLoad({ name: 'prepare', job: 'cycle' }, prepare, style)]),
    showLoad({ name, job: prepare === undefined ? 'cycle' : 'commit' }, put, style),
    showLatencies(
      prepare === undefined
        ? [['cycle', put.latency_us], ...showSteps(put.steps)]
        : [...showSteps(prepare.steps), [name, put.latency_us]],
    ),
    showHistogram(name, put.latency_us),
  ].join('\n');
}
