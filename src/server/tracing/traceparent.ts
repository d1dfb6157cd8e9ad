/** W3C Trace Context, level 1: the header `traceparent` as a place in a trace. `tracestate` is dropped. */
import type { TracePoint } from '../../telemetry/tracer.ts';

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const SAMPLED = 1;

/** `undefined` for everything that is none: the request then begins a trace of its own. */
export function parseTraceparent(header: string | undefined): TracePoint | undefined {
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(header ?? '') ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined) return undefined;
  // Later versions may say more behind it; this one says nothing.
  if (version === '00' && rest !== undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags ?? '', 16) & SAMPLED) === SAMPLED };
}
