/** The walk over a log after a start, in a thread of its own: for a long log it is minutes of a processor. */
import { extname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { RegistryOptions } from '../registry/options.ts';
import type { LogEnd } from '../registry/scrub.ts';
import { runThread } from './reporting-thread.ts';

export interface WalkData {
  /** Of the database. */
  readonly path: string;
  readonly end: LogEnd;
  readonly isAwaited: boolean;
}

/** Where nobody waits for the walk: until then a start has the machine for itself. */
const BEGIN_AFTER_MS = 1_000;

/** As `scrubLog`; resolves also when it was given up. */
export function walkInThread(path: string): NonNullable<RegistryOptions['walk']> {
  return async ({ end, isAwaited, onProgress, signal }) => {
    const data: WalkData = { path, end, isAwaited };
    try {
      if (!isAwaited) await setTimeout(BEGIN_AFTER_MS, undefined, { signal, ref: false });
      await runThread<null>({
        // In src this file ends in .ts, in dist in .js, and so does the thread's.
        program: new URL(`./log-walk-worker${extname(import.meta.url)}`, import.meta.url),
        name: 'the walk over the log',
        data,
        signal,
        onProgress: ({ done }) => onProgress(done),
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };
}
