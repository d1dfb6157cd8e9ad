/** A copy verified in two threads at once: the log, the current set and SQLite's own check, and, which takes as long, the values beside it. */
import { extname } from 'node:path';
import { runBoth, runThread, type ThreadProgress } from '../reporting-thread.ts';
import type { SnapshotFacts } from './header.ts';

export interface VerifyData {
  /** Of a database. */
  readonly path: string;
  readonly part: 'log' | 'rows';
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
  const verify = <O>(part: VerifyData['part'], some: AbortSignal): Promise<O> =>
    runThread<O>({
      program: programOf('verify-worker'),
      name: 'the verification of a snapshot',
      data: { path, part, foreign } satisfies VerifyData,
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
  await runThread<null>({
    program: programOf('bounds-worker'),
    name: 'a look at the sizes in a snapshot',
    data: path,
    signal,
    onProgress: () => undefined,
  });
}

/** In src this file ends in .ts, in dist in .js, and so does the thread's. */
function programOf(name: string): URL {
  return new URL(`./${name}${extname(import.meta.url)}`, import.meta.url);
}
