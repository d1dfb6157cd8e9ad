/** The tracing instrument: what one request did, in spans. Handed in; without a collector it does nothing. */

export const SPAN_NAMES = [
  'propose',
  'approve',
  'verify',
  'commit',
  'store.append',
  'publish',
] as const;
export type SpanName = (typeof SPAN_NAMES)[number];

/** A place in a trace. */
export interface TracePoint {
  readonly traceId: string;
  readonly spanId: string;
  /** Whether this trace is recorded: who began it decides. */
  readonly isSampled: boolean;
}

export interface SpanOptions {
  /** Numbers, hashes and words of ours; nothing of a payload, a token or an address. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /**
   * Whom the work is done for, where that is not the caller: the span is a child of the first recorded
   * one and linked to the others. For nobody, there is no span.
   */
  readonly of?: readonly TracePoint[];
}

export interface TracedRequest {
  /** The path template. */
  readonly route: string;
  readonly method: string;
  readonly corrId: string;
  /** The header as it came: anything. */
  readonly traceparent: string | undefined;
}

/** How a request ended. */
export interface RequestEnd {
  readonly status: number;
  /** Of a refusal. */
  readonly code?: string | undefined;
}

export interface Tracer {
  /**
   * Runs at once, in a child of the span around it (around none: in no span); ends the span when `run`
   * settles, with the code of what it threw.
   */
  span<T>(name: SpanName, run: () => Promise<T>, options?: SpanOptions): Promise<T>;
  /** The root span of a request, under the `traceparent` that came with it. */
  request<T>(
    request: TracedRequest,
    run: () => Promise<T>,
    endOf: (result: T) => RequestEnd,
  ): Promise<T>;
  /** Where the caller is now; `undefined` outside a trace. */
  current(): TracePoint | undefined;
}

/** Its disposal does nothing. */
export const NO_TRACER: Tracer & AsyncDisposable = {
  span: (_name, run) => run(),
  request: (_request, run) => run(),
  current: () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};
