/** `quorate bench get`: reads of one path or of several in turn. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Context } from '../context.ts';
import { createBenchClock } from './clock.ts';
import { ANSWER_TIMEOUT_MS, HttpSender } from './http-sender.ts';
import { addPaceOptions, type PaceFlags, paceConfig } from './options.ts';
import { type ReadResult, runReads } from './read-load.ts';
import { runBench, withBar } from './run.ts';
import { showHeading, showHistogram, showLatencies, showLoad } from './show.ts';

export interface ReadFlags {
  readonly path?: readonly string[];
  readonly conditional?: boolean;
}

export function addReadOptions(command: Command): Command {
  return command
    .option('--path <path...>', 'what to read, in turn; default: /registry/head', parsePaths)
    .option('--conditional', 'send the etag that came last: an unchanged page is then a 304');
}

/** Of a list: called once for each, with those before. */
function parsePaths(text: string, before: readonly string[] = []): readonly string[] {
  if (!/^\/[\x21-\x7e]*$/.test(text))
    throw new InvalidArgumentError('Expected a path that begins with / and has no spaces.');
  return [...before, text];
}

export function readConfig({ path = ['/registry/head'], conditional = false }: ReadFlags) {
  return { paths: path, is_conditional: conditional };
}

export function defineGet(command: Command, context: Context): void {
  const get = command.command('get').description('Read, and measure how long each answer takes.');
  addReadOptions(addPaceOptions(get, 'requests')).action((flags: PaceFlags & ReadFlags) =>
    benchGet(context, flags),
  );
}

async function benchGet(context: Context, flags: PaceFlags & ReadFlags): Promise<void> {
  const { rate, connections, duration: durationMs, warmup: warmupMs } = flags;
  const { paths, is_conditional: isConditional } = readConfig(flags);
  const { url } = context.globals;
  await runBench<{ readonly get: ReadResult }>(context, {
    bench: 'get',
    config: { ...paceConfig(flags), ...readConfig(flags) },
    run: async (signal) => {
      using sender = new HttpSender({ url, connections, timeoutMs: ANSWER_TIMEOUT_MS });
      const pace = { clock: createBenchClock(), warmupMs, durationMs, rate, connections, signal };
      const get = await withBar(context, 'requests', (onProgress) =>
        runReads({ ...pace, sender, paths, isConditional, onProgress }),
      );
      return { get };
    },
    show: ({ loads: { get }, ...result }) =>
      [
        showHeading(result),
        showLoad({ name: 'get', job: 'request' }, get, context.style),
        showLatencies([['get', get.latency_us]]),
        showHistogram('get', get.latency_us),
      ].join('\n'),
    failures: ({ get }) => [get],
  });
}
