/** A copy verified in two threads at once: the log, the current set and SQLite's own check, and, which takes as long, the values beside it. */
import { extname } from 'node:path';
import {
  runBoth,
  runThread,
  type ThreadOptions,
  type ThreadProgress,
} from '../reporting-thread.ts';
import type { SnapshotFacts } from './header.ts';

export interface VerifyData {
  /** Of a database. */
  readonly path: string;
  readonly part: 'bounds' | 'log' | 'rows';
  readonly foreign: VerifyThreads['foreign'];
}

export interface VerifyThreads {
  /** It came from elsewhere: what no log key vouches for is verified too. `now`: in milliseconds. */
  readonly foreign: { readonly now: number } | undefined;
  /** Entries. */
  readonly onProgress: (progress: ThreadProgress) => void;
  readonly signal: AbortSignal;
}

/** Settles when both threads are gone. Throws what `verifyCopy` throws, or `unavailable` when it was given up. */
export async function verifyInThreads(
  path: string,
  { foreign, onProgress, signal }: VerifyThreads,
): Promise<SnapshotFacts> {
  const done = { log: 0, rows: 0 };
  const verify = <O>(part: keyof typeof done, some: AbortSignal): Promise<O> =>
    runPart<O>({
      data: { path, part, foreign },
      signal: some,
      onProgress: (progress) => {
        done[part] = progress.done;
        onProgress({ done: Math.floor((done.log + done.rows) / 2), total: progress.total });
      },
    });
  const [facts] = await runBoth(
    signal,
    (some) => verify<SnapshotFacts>('log', some),
    (some) => verify<null>('rows', some),
  );
  return facts;
}

/** `assertBounded`, of a file that came from elsewhere: who waits for it can be told to stop meanwhile. Throws like it. */
export async function assertBoundedInThread(path: string, signal: AbortSignal): Promise<void> {
  const data = { path, part: 'bounds', foreign: undefined } as const;
  await runPart<null>({ data, signal, onProgress: () => undefined });
}

function runPart<O>(
  options: { readonly data: VerifyData } & Pick<ThreadOptions, 'signal' | 'onProgress'>,
): Promise<O> {
  return runThread<O>({
    // In src this file ends in .ts, in dist in .js, and so does the thread's.
    program: new URL(`./verify-worker${extname(import.meta.url)}`, import.meta.url),
    name: 'the verification of a snapshot',
    ...options,
  });
}
