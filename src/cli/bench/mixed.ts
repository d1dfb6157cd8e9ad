/** `quorate bench mixed`: reads and write cycles side by side, each at its own pace. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { createBenchClock } from './clock.ts';
import { CycleSender } from './cycle.ts';
import { addReadOptions, type ReadFlags, readConfig } from './get.ts';
import { ANSWER_TIMEOUT_MS, HttpSender } from './http-sender.ts';
import { addPaceOptions, addPutRateOption, jobsOf, type PaceFlags, paceConfig } from './options.ts';
import { type ReadResult, runReads } from './read-load.ts';
import type { BenchResult } from './result.ts';
import { runBench, withBar } from './run.ts';
import { showHeading, showHistogram, showLatencies, showLoad, showSteps } from './show.ts';
import { runWrites, type WriteResult } from './write-load.ts';
import {
  addWriteOptions,
  makeStock,
  openWriting,
  type WriteFlags,
  type Writing,
  writeConfig,
} from './writing.ts';

interface MixedFlags extends PaceFlags, ReadFlags, WriteFlags {
  readonly putRate: number;
}

interface MixedLoads {
  readonly get: ReadResult;
  readonly put: WriteResult;
}

export function defineMixed(command: Command, context: Context): void {
  const mixed = command
    .command('mixed')
    .description('Read while cycles of propose, approve and commit go on beside it.');
  addWriteOptions(addReadOptions(addPutRateOption(addPaceOptions(mixed, 'reads')))).action(
    (flags: MixedFlags) => benchMixed(context, flags),
  );
}

async function benchMixed(context: Context, flags: MixedFlags): Promise<void> {
  const writing = await openWriting(context, { flags, runMs: flags.duration + flags.warmup });
  const put = { put_rate: flags.putRate, ...writeConfig(flags) };
  await runBench<MixedLoads>(context, {
    bench: 'mixed',
    config: { ...paceConfig(flags), ...readConfig(flags), ...put },
    run: (signal) => runMixed(context, { flags, writing, signal }),
    show: (result) => showMixed(result, context),
    failures: ({ get, put }) => [get, put],
  });
}

async function runMixed(
  context: Context,
  {
    flags,
    writing: { maker, token },
    signal,
  }: { readonly flags: MixedFlags; readonly writing: Writing; readonly signal: AbortSignal },
): Promise<MixedLoads> {
  const { rate, putRate, connections, duration: durationMs, warmup: warmupMs, size } = flags;
  const count = jobsOf({ ...flags, rate: putRate }, undefined);
  const stock = await makeStock(context, { maker, count, size });
  const { paths, is_conditional: isConditional } = readConfig(flags);
  // Apart, so that a cycle never waits for the connection of a read.
  const to = { url: context.globals.url, connections, timeoutMs: ANSWER_TIMEOUT_MS };
  using sender = new HttpSender(to);
  using writer = new HttpSender(to);
  const clock = createBenchClock();
  const cycles = new CycleSender({ sender: writer, clock, token });
  const pace = { clock, connections, warmupMs, durationMs, signal };
  const [get, put] = await withBar(context, 'requests', (onProgress) =>
    Promise.all([
      runReads({ ...pace, rate, sender, paths, isConditional, onProgress }),
      runWrites({ ...pace, rate: putRate, cycles, stock, maker }),
    ]),
  );
  return { get, put };
}

function showMixed({ loads, ...result }: BenchResult<MixedLoads>, { style }: Context): string {
  const { get, put } = loads;
  return [
    showHeading(result),
    showLoad({ name: 'get', job: 'request' }, get, style),
    showLoad({ name: 'put', job: 'cycle' }, put, style),
    showLatencies([['get', get.latency_us], ['cycle', put.latency_us], ...showSteps(put.steps)]),
    showHistogram('get', get.latency_us),
    showHistogram('cycle', put.latency_us),
  ].join('\n');
}
