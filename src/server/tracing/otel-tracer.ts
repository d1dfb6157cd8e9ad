/**
 * Spans on OpenTelemetry. Nothing is registered globally: the tracer keeps its own context, so that two
 * servers in one process, or an application around one, do not find each other's spans.
 */
import type { Attributes, Context, Tracer as OtelApi, Span } from '@opentelemetry/api';
import type { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { errorCode } from '../../core/error.ts';
import type {
  RequestEnd,
  SpanName,
  SpanOptions,
  TracedRequest,
  TracePoint,
  Tracer,
} from '../../telemetry/tracer.ts';
import type { OpenTelemetry } from './packages.ts';
import { parseTraceparent } from './traceparent.ts';

export interface OtelTracerParts {
  readonly api: OpenTelemetry['api'];
  readonly contexts: AsyncLocalStorageContextManager;
  readonly tracer: OtelApi;
  /** Sends what is left; bounded in time, does not throw. */
  readonly close: () => Promise<void>;
}

interface Opened {
  readonly name: string;
  readonly parent: Context;
  readonly isServer?: boolean;
  readonly attributes: Attributes;
  readonly links?: readonly TracePoint[];
}

export class OtelTracer implements Tracer, AsyncDisposable {
  readonly #parts: OtelTracerParts;

  constructor(parts: OtelTracerParts) {
    this.#parts = parts;
  }

  span<T>(name: SpanName, run: () => Promise<T>, options: SpanOptions = {}): Promise<T> {
    const { attributes = {}, of } = options;
    const current = this.current();
    const points = of ?? (current === undefined ? [] : [current]);
    const first = points.find(({ isSampled }) => isSampled) ?? points[0];
    if (first === undefined) return run();
    const links = points.filter((point) => point !== first);
    const parent = this.#under(first);
    return this.#run({ name, parent, attributes, links }, () => run());
  }

  request<T>(
    { route, method, corrId, traceparent }: TracedRequest,
    run: () => Promise<T>,
    endOf: (result: T) => RequestEnd,
  ): Promise<T> {
    const opened = {
      name: `${method} ${route}`,
      parent: this.#under(parseTraceparent(traceparent)),
      isServer: true,
      attributes: {
        'http.request.method': method,
        'http.route': route,
        'quorate.corr_id': corrId,
      },
    };
    return this.#run(opened, async (span) => {
      const result = await run();
      this.#end(span, endOf(result));
      return result;
    });
  }

  current(): TracePoint | undefined {
    const { api, contexts } = this.#parts;
    const context = api.trace.getSpanContext(contexts.active());
    return (
      context && {
        traceId: context.traceId,
        spanId: context.spanId,
        isSampled: (context.traceFlags & api.TraceFlags.SAMPLED) !== 0,
      }
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.close();
  }

  async #run<T>(opened: Opened, run: (span: Span) => Promise<T>): Promise<T> {
    const { api, contexts, tracer } = this.#parts;
    const { name, parent, isServer = false, attributes, links = [] } = opened;
    const options = {
      kind: isServer ? api.SpanKind.SERVER : api.SpanKind.INTERNAL,
      attributes,
      links: links.map((point) => ({ context: this.#contextOf(point) })),
    };
    const span = tracer.startSpan(name, options, parent);
    try {
      return await contexts.with(api.trace.setSpan(parent, span), () => run(span));
    } catch (error) {
      span.setAttribute('error.type', codeOf(error));
      span.setStatus({ code: api.SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }

  /** A refusal is the client's mistake: only what failed here is an error of the span. */
  #end(span: Span, { status, code }: RequestEnd): void {
    span.setAttribute('http.response.status_code', status);
    if (code !== undefined) span.setAttribute('error.type', code);
    if (status >= 500) span.setStatus({ code: this.#parts.api.SpanStatusCode.ERROR });
  }

  #under(point: TracePoint | undefined): Context {
    const { ROOT_CONTEXT, trace } = this.#parts.api;
    if (point === undefined) return ROOT_CONTEXT;
    return trace.setSpanContext(ROOT_CONTEXT, this.#contextOf(point));
  }

  #contextOf({ traceId, spanId, isSampled }: TracePoint) {
    const { SAMPLED, NONE } = this.#parts.api.TraceFlags;
    return { traceId, spanId, traceFlags: isSampled ? SAMPLED : NONE };
  }
}

/** Never the message: it quotes the request. */
function codeOf(error: unknown): string {
  return errorCode(error);
}
