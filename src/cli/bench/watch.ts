/** `quorate bench watch`: how soon a commit reaches many subscribers, and whether each gets each version once. */
import type { Command } from 'commander';
import { parseCount } from '../arguments.ts';
import type { Context } from '../context.ts';
import { type BenchClock, createBenchClock } from './clock.ts';
import { CycleSender } from './cycle.ts';
import { ANSWER_TIMEOUT_MS, HttpSender } from './http-sender.ts';
import { addPutRateOption, parseDurationOption } from './options.ts';
import type { BenchResult } from './result.ts';
import { runBench, withBar } from './run.ts';
import { showHeading, showHistogram, showLatencies, showSteps, showWatch } from './show.ts';
import { runWatch, type WatchLoads } from './watch-load.ts';
import { runWrites, type WriteResult } from './write-load.ts';
import {
  addWriteOptions,
  makeStock,
  openWriting,
  type WriteFlags,
  type Writing,
  writeConfig,
} from './writing.ts';

interface WatchFlags extends WriteFlags {
  readonly subscribers: number;
  readonly events?: number;
  /** Milliseconds. */
  readonly duration?: number;
  readonly putRate: number;
}

/** Cycles under way at once. */
const CONNECTIONS = 16;
const DURATION_MS = 10_000;

export function defineWatch(command: Command, context: Context): void {
  const watch = command
    .command('watch')
    .description('Open many streams, and measure how long a commit takes to reach them.')
    .requiredOption('--subscribers <count>', 'streams', parseCount)
    .option('--events <count>', 'end when so many versions have reached all of them', parseCount)
    .option(
      '--duration <time>',
      'end after this; default: 10s, or with --events never',
      parseDurationOption,
    );
  addWriteOptions(addPutRateOption(watch)).action((flags: WatchFlags) =>
    benchWatch(context, flags),
  );
}

/** `undefined`: not bounded. */
function durationOf({ duration, events }: WatchFlags): number | undefined {
  return duration ?? (events === undefined ? DURATION_MS : undefined);
}

/** With keys it commits itself, without it watches what others commit. */
async function benchWatch(context: Context, flags: WatchFlags): Promise<void> {
  const { subscribers, events = null, putRate, key } = flags;
  const duration = durationOf(flags);
  const isWriting = key !== undefined;
  const runMs = duration ?? ((events ?? 0) * 1000) / putRate;
  const writing = isWriting ? await openWriting(context, { flags, runMs }) : undefined;
  const written = isWriting ? { put_rate: putRate, ...writeConfig(flags) } : {};
  await runBench<WatchLoads>(context, {
    bench: 'watch',
    config: { subscribers, events, duration_ms: duration ?? null, ...written },
    run: (signal) => run(context, { flags, writing, signal }),
    show: (result) => show(result, context),
    failures: ({ watch, put }) => (put === undefined ? [watch] : [watch, put]),
  });
}

async function run(
  context: Context,
  {
    flags,
    writing,
    signal,
  }: {
    readonly flags: WatchFlags;
    readonly writing: Writing | undefined;
    readonly signal: AbortSignal;
  },
): Promise<WatchLoads> {
  const { subscribers, events } = flags;
  const { url } = context.globals;
  const durationMs = durationOf(flags) ?? Number.POSITIVE_INFINITY;
  const clock = createBenchClock();
  using sender = new HttpSender({ url, connections: CONNECTIONS, timeoutMs: ANSWER_TIMEOUT_MS });
  const write =
    writing &&
    (await writerOf(context, { flags, writing, sender, pace: { clock, durationMs, signal } }));
  return withBar(context, 'subscribers', (onOpened) =>
    runWatch({ url, clock, subscribers, events, durationMs, signal, write, onOpened }),
  );
}

/** Commits at its pace, as many as there shall be events. */
async function writerOf(
  context: Context,
  {
    flags,
    writing: { maker, token },
    sender,
    pace,
  }: {
    readonly flags: WatchFlags;
    readonly writing: Writing;
    readonly sender: HttpSender;
    readonly pace: {
      readonly clock: BenchClock;
      readonly durationMs: number;
      readonly signal: AbortSignal;
    };
  },
): Promise<() => Promise<WriteResult>> {
  const { putRate: rate, events, size } = flags;
  const count = Math.min(events ?? Number.POSITIVE_INFINITY, (pace.durationMs * rate) / 1000);
  const stock = await makeStock(context, { maker, count: Math.ceil(count), size });
  const cycles = new CycleSender({ sender, clock: pace.clock, token });
  const load = { ...pace, warmupMs: 0, rate, count: stock.length, connections: CONNECTIONS };
  return () => runWrites({ ...load, cycles, stock, maker });
}

function show({ loads, ...result }: BenchResult<WatchLoads>, { style }: Context): string {
  const { watch, put } = loads;
  return [
    showHeading(result),
    showWatch(watch, style),
    showLatencies([
      ['commit to each', watch.arrival_us],
      ['commit to last', watch.last_us],
      ['first to last', watch.spread_us],
      ...(put === undefined ? [] : showSteps(put.steps)),
    ]),
    showHistogram('commit to each', watch.arrival_us),
  ].join('\n');
}
