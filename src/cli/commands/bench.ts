/** `quorate bench`: what a running registry can do, measured from outside. */
import type { Command } from 'commander';
import { createBenchClock } from '../bench/clock.ts';
import { HttpSender } from '../bench/http-sender.ts';
import { addPaceOptions, type PaceFlags } from '../bench/options.ts';
import { type ReadResult, runReads } from '../bench/read-load.ts';
import { runBench, showHeading } from '../bench/run.ts';
import { showHistogram, showLatencies, showLoad } from '../bench/show.ts';
import type { Context } from '../context.ts';

interface GetFlags extends PaceFlags {
  readonly path?: readonly string[];
  readonly conditional?: boolean;
}

const TIMEOUT_MS = 30_000;

export function defineBench(command: Command, context: Context): void {
  const get = command.command('get').description('Read, and measure how long each answer takes.');
  addPaceOptions(get, 'requests')
    .option('--path <path...>', 'what to read, in turn; default: /registry/head')
    .option('--conditional', 'send the etag that came last; an unchanged page is a 304')
    .action((flags: GetFlags) => benchGet(context, flags));
}

async function benchGet(context: Context, flags: GetFlags): Promise<void> {
  const { path: paths = ['/registry/head'], conditional: isConditional = false } = flags;
  const { rate, connections, duration: durationMs, warmup: warmupMs } = flags;
  await runBench<{ readonly get: ReadResult }>(context, {
    bench: 'get',
    config: {
      duration_ms: durationMs,
      warmup_ms: warmupMs,
      connections,
      rate: rate ?? null,
      paths,
      conditional: isConditional,
    },
    run: async (signal) => {
      using sender = new HttpSender({
        url: context.globals.url,
        connections,
        timeoutMs: TIMEOUT_MS,
      });
      const bar = context.progress('requests');
      const clock = createBenchClock();
      const pace = { clock, warmupMs, durationMs, rate, connections, signal };
      const get = await runReads({ ...pace, sender, paths, isConditional, onProgress: bar.show });
      await bar.end();
      return { get };
    },
    show: (result) =>
      [
        showHeading(result),
        showLoad('get', result.loads.get, context.style),
        showLatencies([['get', result.loads.get.latency_us]]),
        showHistogram('get', result.loads.get.latency_us),
      ].join('\n'),
    failures: ({ get }) => [get],
  });
}
