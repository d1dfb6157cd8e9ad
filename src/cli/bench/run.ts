/** What every benchmark does around its load: who answers, when it began, the result, and how it ends. */
import { parseJsonBytes } from '../../client/json.ts';
import { Check } from '../../core/check.ts';
import { RegistryError } from '../../core/error.ts';
import { formatTime } from '../../core/time.ts';
import { readBuildInfo } from '../../server/build-info.ts';
import type { Context } from '../context.ts';
import { createTransport } from '../http-log.ts';
import type { Progress } from '../progress.ts';
import { assertNoneFailed, type BenchResult, type Failures, type RunConfig } from './result.ts';

const MAX_VERSION_BYTES = 64 * 1024;

export interface BenchRun<Loads extends object> {
  readonly bench: BenchResult<Loads>['bench'];
  readonly config: RunConfig;
  /** `false`: none takes part, and none is asked for its version. Default: true. */
  readonly isOfService?: boolean;
  /** Ends early, with what there is, when `signal` aborts. */
  readonly run: (signal: AbortSignal) => Promise<Loads>;
  readonly show: (result: BenchResult<Loads>) => string;
  /** Every part that can fail. */
  readonly failures: (loads: Loads) => readonly Failures[];
}

/** Prints the result, then throws when something failed or somebody interrupted. */
export async function runBench<Loads extends object>(
  context: Context,
  { bench, config, isOfService = true, run, show, failures }: BenchRun<Loads>,
): Promise<void> {
  const { io, globals } = context;
  const server_version = isOfService ? await serverVersion(context) : null;
  const began_at = formatTime(io.now());
  context.endOnInterrupt();
  const loads = await run(io.interrupt);
  const result: BenchResult<Loads> = {
    bench,
    ...(isOfService && { url: globals.url }),
    server_version,
    generator_version: readBuildInfo().version,
    node: process.version,
    began_at,
    config,
    is_interrupted: io.interrupt.aborted,
    loads,
  };
  await (globals.isJson ? context.printJson(result) : context.print(show(result)));
  if (io.interrupt.aborted) throw io.interrupt.reason;
  assertNoneFailed(failures(loads));
}

/** Shows how far a load is while it runs. */
export async function withBar<T>(
  { progress }: Context,
  label: string,
  run: (onProgress: Progress['show']) => Promise<T>,
): Promise<T> {
  const bar = progress(label);
  try {
    return await run(bar.show);
  } finally {
    await bar.end();
  }
}

/** Throws `unavailable` when nobody answers. What else answers may be measured as well: its version is `null`. */
async function serverVersion(context: Context): Promise<string | null> {
  const { io, say } = context;
  const check = new Check('unexpected_answer');
  try {
    const { bytes } = await createTransport(context).get('/version', {
      accept: 'json',
      maxBytes: MAX_VERSION_BYTES,
      maxAttempts: 1,
      signal: io.interrupt,
    });
    const { version } = check.object(parseJsonBytes(bytes), '');
    return check.text(version, '/version', { expected: 'text', test: () => true });
  } catch (error) {
    const isAnswered = error instanceof RegistryError && 'status' in error.details;
    const isOdd = error instanceof RegistryError && error.code === 'unexpected_answer';
    if (!isAnswered && !isOdd) throw error;
    await say('quorate: what answers there does not tell its version as a registry does');
    return null;
  }
}
