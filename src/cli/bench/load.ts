/** One kind of work under load: paced, its outcomes counted, its latencies recorded. */
import { isErrorCode } from '../../core/error.ts';
import { runClosedLoop } from './closed-loop.ts';
import { type Latency, LatencyRecorder } from './histogram.ts';
import type { Outcome } from './http-sender.ts';
import { runOpenLoop } from './open-loop.ts';
import type { Job, Paced, PaceOptions } from './pace.ts';

/** A job or a part of one: `undefined` when all was well, else what was wrong. */
export type Fault = string | undefined;

/** What one load came to, as JSON shows it. */
export interface LoadResult {
  /** Answered and failed ones. */
  readonly requests: number;
  readonly failed: number;
  /** By kind: a status with its problem code, or what became of the connection. */
  readonly errors: Readonly<Record<string, number>>;
  readonly elapsed_ms: number;
  /** Answered as expected, each second. */
  readonly rate: number;
  /** Of those answered as expected, and what the unsent ones had waited. */
  readonly latency_us: Latency | null;
  readonly unsent: number;
  readonly unfinished: number;
  readonly late: number;
  readonly busy_share: number;
  readonly is_generator_limited: boolean;
}

export interface LoadOptions extends Omit<PaceOptions, 'begin' | 'onUnsent'> {
  /**
   * Begins a job and calls `done` once, in a later turn. `beganAt`: from here its latency counts, where
   * something had to be made for it first; default: from when it was due.
   */
  readonly begin: (job: Job, done: (fault: Fault, beganAt?: number) => void) => void;
  /** Jobs that are done, the warm-up included, and how many there will be as far as is known. */
  readonly onProgress?: (done: number, total: number) => void;
}

export async function runLoad({ begin, onProgress, ...pace }: LoadOptions): Promise<LoadResult> {
  const { clock } = pace;
  const recorder = new LatencyRecorder();
  const errors = new ErrorCounts();
  const startedAt = clock.now();
  const totalMs = pace.warmupMs + pace.durationMs;
  let answered = 0;
  let done = 0;
  const paced = await runPaced({
    ...pace,
    begin: (job, end) =>
      begin(job, (fault, beganAt = job.dueAt) => {
        done++;
        if (job.isCounted) {
          errors.add(fault);
          if (fault === undefined) {
            answered++;
            recorder.record(clock.now() - beganAt);
          }
        }
        onProgress?.(done, totalOf(pace, { done, share: (clock.now() - startedAt) / totalMs }));
        end();
      }),
    onUnsent: (_job, waitedMs) => recorder.record(waitedMs),
  });
  return resultOf(paced, { answered, errors, recorder });
}

function runPaced(options: PaceOptions): Promise<Paced> {
  return options.rate === undefined ? runClosedLoop(options) : runOpenLoop(options, options.rate);
}

/** Before this share of its time nothing can be guessed from a run. */
const LEAST_SHARE = 0.001;

/** In the closed loop guessed from the pace so far. */
function totalOf(
  {
    rate,
    count,
    warmupMs,
    durationMs,
  }: Pick<PaceOptions, 'rate' | 'count' | 'warmupMs' | 'durationMs'>,
  { done, share }: { readonly done: number; readonly share: number },
): number {
  const byTime =
    rate === undefined
      ? Math.round(done / Math.max(LEAST_SHARE, Math.min(1, share)))
      : Math.ceil(((warmupMs + durationMs) * rate) / 1000);
  return Math.min(byTime, count ?? byTime);
}

function resultOf(
  paced: Paced,
  {
    answered,
    errors,
    recorder,
  }: {
    readonly answered: number;
    readonly errors: ErrorCounts;
    readonly recorder: LatencyRecorder;
  },
): LoadResult {
  const { elapsedMs } = paced;
  return {
    requests: answered + errors.total,
    failed: errors.total,
    errors: errors.byKind,
    elapsed_ms: Math.round(elapsedMs),
    rate: elapsedMs === 0 ? 0 : rounded((answered * 1000) / elapsedMs),
    latency_us: recorder.latency,
    unsent: paced.unsent,
    unfinished: paced.unfinished,
    late: paced.late,
    busy_share: rounded(paced.busyShare),
    is_generator_limited: paced.isGeneratorLimited,
  };
}

/** Two digits after the point. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

export class ErrorCounts {
  readonly #counts = new Map<string, number>();
  total = 0;

  add(fault: Fault): void {
    if (fault === undefined) return;
    this.total++;
    this.#counts.set(fault, (this.#counts.get(fault) ?? 0) + 1);
  }

  get byKind(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/** `undefined` when it was answered, whole, with one of these statuses. */
export function faultOf(outcome: Outcome, expected: readonly number[]): Fault {
  if ('cause' in outcome) return outcome.cause;
  if (!expected.includes(outcome.status))
    return [outcome.status, codeIn(outcome.text)].join(' ').trim();
  return outcome.isWhole ? undefined : `${outcome.status} cut off`;
}

/** Of a problem document; nothing else of a stranger's text becomes a kind of error. */
function codeIn(text: string): string {
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    return isErrorCode(code) ? code : '';
  } catch {
    return '';
  }
}
