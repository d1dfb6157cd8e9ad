/** `quorate bench blob`: how fast a registry takes blobs and gives them back, this machine's hashing included. */
import { type Command, Option } from 'commander';
import { parseCount } from '../arguments.ts';
import type { BlobTarget } from '../blob-transfer.ts';
import { bearerOf } from '../connect.ts';
import type { Context } from '../context.ts';
import { type BlobLoadResult, makeBlobs, runGets, runPuts } from './blob-load.ts';
import { createBenchClock } from './clock.ts';
import { parseSize } from './options.ts';
import type { BenchResult } from './result.ts';
import { runBench, withBar } from './run.ts';
import { showHeading, showLatencies } from './show.ts';

interface BlobFlags {
  readonly size: number;
  readonly count: number;
  readonly connections: number;
}

interface BlobLoads {
  readonly put: BlobLoadResult;
  readonly get: BlobLoadResult;
}

export function defineBlob(command: Command, context: Context): void {
  command
    .command('blob')
    .description(
      'Put blobs and get them back, and measure how many bytes a second that is. They stay until they are collected.',
    )
    .addOption(
      new Option('--size <size>', 'of each')
        .argParser(parseSize)
        .default(64 * 1024 * 1024, '64MiB'),
    )
    .addOption(new Option('--count <count>', 'how many').argParser(parseCount).default(16))
    .addOption(
      new Option('--connections <count>', 'blobs at once, at most')
        .argParser(parseCount)
        .default(2),
    )
    .action((flags: BlobFlags) => benchBlob(context, flags));
}

async function benchBlob(context: Context, flags: BlobFlags): Promise<void> {
  const { size, count, connections } = flags;
  const clock = createBenchClock();
  await runBench<BlobLoads>(context, {
    bench: 'blob',
    config: { size, count, connections },
    run: async (signal) => {
      const { url } = context.globals;
      const target: BlobTarget = { url, token: bearerOf(context), signal };
      const blobs = makeBlobs(flags);
      const load = { target, blobs, size, connections, clock };
      const put = await withBar(context, 'blobs put', (onProgress) =>
        runPuts({ ...load, onProgress }),
      );
      const get = await withBar(context, 'blobs got', (onProgress) =>
        runGets({ ...load, onProgress }),
      );
      return { put, get };
    },
    show,
    failures: ({ put, get }) => [put, get],
  });
}

function show({ loads: { put, get }, ...result }: BenchResult<BlobLoads>): string {
  const line = (name: string, { requests, failed, elapsed_ms, mb_per_second }: BlobLoadResult) =>
    `${name}: ${requests - failed} of ${requests} blobs in ${(elapsed_ms / 1000).toFixed(2)} s, ${mb_per_second} MB a second`;
  return [
    showHeading(result),
    line('put', put),
    line('get', get),
    showLatencies([
      ['put', put.latency_us],
      ['get', get.latency_us],
    ]),
  ].join('\n');
}
