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

/** A place in a trace. Opaque: only the tracer that made it can read it. */
export interface TracePoint {
  readonly traceId: string;
  readonly spanId: string;
}

export interface SpanOptions {
  /** Numbers, hashes and words of ours; nothing of a payload or a token. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /** Other requests that this work is done for too. */
  readonly links?: readonly TracePoint[];
}

export interface Tracer {
  /** Runs at once, in a child of the span around it; ends the span when `run` settles, with the code of what it threw. */
  span<T>(name: SpanName, run: () => Promise<T>, options?: SpanOptions): Promise<T>;
  /** The root span of a request, under the `traceparent` that came with it. */
  request<T>(
    request: { readonly route: string; readonly method: string; readonly traceparent?: string },
    run: () => Promise<T>,
  ): Promise<T>;
  /** Where the caller is now, for links; `undefined` outside a trace. */
  current(): TracePoint | undefined;
}

export const NO_TRACER: Tracer = {
  span: (_name, run) => run(),
  request: (_request, run) => run(),
  current: () => undefined,
};
