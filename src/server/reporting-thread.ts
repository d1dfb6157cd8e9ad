/** A thread that does one long thing, says how far it is, and ends with what came of it. */
import { constants, setPriority } from 'node:os';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { type ErrorCode, RegistryError } from '../core/error.ts';

export interface ThreadProgress {
  readonly done: number;
  readonly total: number;
}

/** Plain data: it is cloned on its way. */
type Report<O> =
  | { readonly type: 'progress'; readonly progress: ThreadProgress }
  | { readonly type: 'done'; readonly outcome: O }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

export interface ThreadOptions {
  readonly program: URL;
  readonly name: string;
  readonly data: unknown;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: ThreadProgress) => void;
}

/** Settles when the thread is gone. Throws what it failed with, or `unavailable` when it ended before: it was given up. */
export function runThread<O>({
  program,
  name,
  data,
  signal,
  onProgress,
}: ThreadOptions): Promise<O> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(program, { name, workerData: data });
    let end: { readonly outcome: O } | { readonly error: unknown } = {
      error: new RegistryError(
        'unavailable',
        `expected the end of ${name}, got the end of its thread: it was given up`,
      ),
    };
    worker.on('message', (report: Report<O>) => {
      if (report.type === 'progress') onProgress(report.progress);
      else if (report.type === 'done') end = { outcome: report.outcome };
      else end = { error: new RegistryError(report.code, report.message) };
    });
    worker.once('error', (error) => {
      end = { error };
    });
    const stop = () => void worker.terminate();
    signal.addEventListener('abort', stop, { once: true });
    worker.once('exit', () => {
      signal.removeEventListener('abort', stop);
      if ('outcome' in end) resolve(end.outcome);
      else reject(end.error);
    });
    if (signal.aborted) stop();
  });
}

/** The other side: what `run` answers or throws is the thread's outcome. */
export function reportOutcome<D, O>(
  run: (data: D, onProgress: (progress: ThreadProgress) => void) => Promise<O>,
): void {
  if (parentPort === null) return;
  const port = parentPort;
  const report = (message: Report<O>): void => port.postMessage(message);
  run(workerData as D, (progress) => report({ type: 'progress', progress })).then(
    (outcome) => report({ type: 'done', outcome }),
    (error: unknown) => {
      const code = error instanceof RegistryError ? error.code : 'internal';
      const message = error instanceof Error ? error.message : `${error}`;
      report({ type: 'failed', code, message });
    },
  );
}

/** For a thread whose outcome nobody waits for. On Linux a priority is a thread's own, elsewhere the whole process's. */
export function yieldToOthers(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, constants.priority.PRIORITY_LOW);
  } catch {
    // A hardened service may not, not even lower itself: then it shares.
  }
}
