/** A thread that does one long thing, says how far it is, and ends with what came of it. */
import { constants, setPriority } from 'node:os';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { type ErrorCode, errorCode, firstError, RegistryError } from '../core/error.ts';

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

/** Of whoever gives up what a thread does: it is asked to stop, and not ended in the middle of a call. */
interface Asked<D> {
  readonly data: D;
  readonly stop: Int32Array;
}

/**
 * Settles when the thread is gone. Throws what it failed with, or `unavailable` when it was given up: it stops
 * where it says next how far it is. Ended from outside, in the middle of a call of SQLite, it would take the
 * whole process with it.
 */
export async function runThread<O>({
  program,
  name,
  data,
  signal,
  onProgress,
}: ThreadOptions): Promise<O> {
  if (signal.aborted) throw givenUp(name);
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const worker = new Worker(program, { name, workerData: { data, stop } satisfies Asked<unknown> });
  const ask = () => void Atomics.store(stop, 0, 1);
  signal.addEventListener('abort', ask, { once: true });
  try {
    return await ended<O>(worker, name, onProgress);
  } catch (error) {
    throw signal.aborted ? givenUp(name) : error;
  } finally {
    signal.removeEventListener('abort', ask);
  }
}

function ended<O>(
  worker: Worker,
  name: string,
  onProgress: ThreadOptions['onProgress'],
): Promise<O> {
  return new Promise((resolve, reject) => {
    let end: { readonly outcome: O } | { readonly error: unknown } = { error: givenUp(name) };
    worker.on('message', (report: Report<O>) => {
      if (report.type === 'progress') onProgress(report.progress);
      else if (report.type === 'done') end = { outcome: report.outcome };
      else end = { error: new RegistryError(report.code, report.message) };
    });
    worker.once('error', (error) => {
      end = { error };
    });
    worker.once('exit', () => {
      if ('outcome' in end) resolve(end.outcome);
      else reject(end.error);
    });
  });
}

function givenUp(name: string): RegistryError {
  return new RegistryError(
    'unavailable',
    `expected the end of ${name}, got the end of its thread: it was given up`,
  );
}

/** Two that belong together: when one fails the other is ended, and neither runs any more when it settles. */
export async function runBoth<A, B>(
  signal: AbortSignal,
  first: (signal: AbortSignal) => Promise<A>,
  second: (signal: AbortSignal) => Promise<B>,
): Promise<readonly [A, B]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let failure: { readonly error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    failed.abort();
  };
  const running = [first(either), second(either)] as const;
  await Promise.all(running.map((one) => one.catch(fail)));
  if (failure !== undefined) throw failure.error;
  return Promise.all(running);
}

/**
 * The other side: what `run` answers or throws is the thread's outcome. `onProgress` throws when it is to stop.
 * `givenAway`: memory of the outcome that is handed over instead of copied.
 */
export function reportOutcome<D, O>(
  run: (data: D, onProgress: (progress: ThreadProgress) => void) => Promise<O>,
  givenAway: (outcome: O) => readonly ArrayBuffer[] = () => [],
): void {
  if (parentPort === null) return;
  const port = parentPort;
  const { data, stop } = workerData as Asked<D>;
  const report = (message: Report<O>, memory: readonly ArrayBuffer[] = []): void =>
    port.postMessage(message, memory);
  const onProgress = (progress: ThreadProgress): void => {
    if (Atomics.load(stop, 0) !== 0)
      throw new RegistryError('unavailable', 'expected to go on, got a request to stop');
    report({ type: 'progress', progress });
  };
  run(data, onProgress).then(
    (outcome) => report({ type: 'done', outcome }, givenAway(outcome)),
    (error: unknown) => {
      const first = firstError(error);
      const message = first instanceof Error ? first.message : `${first}`;
      report({ type: 'failed', code: errorCode(first), message });
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
