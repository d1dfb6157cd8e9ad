/** What happens around every handler: correlation, refusals, conditional answers, metrics, one log line. */
import type { Context } from 'hono';
import { type ErrorCode, RegistryError } from '../core/error.ts';
import type { LogFields } from '../telemetry/log.ts';
import { NO_TRACER, type RequestEnd, type TracedRequest } from '../telemetry/tracer.ts';
import type { Answer } from './answer.ts';
import { matchesEtag, notModified } from './conditional.ts';
import { CORR_ID_HEADER, correlationOf } from './correlation.ts';
import { isRead, NO_SNIFFING, readHeaders } from './cors.ts';
import type { HttpDeps } from './deps.ts';
import { EventStream, pulledBody } from './event-stream.ts';
import { problemOf } from './problem.ts';

/** `corrId` names the request in everything that comes of it. */
export type Handler = (c: Context, corrId: string) => Answer | Promise<Answer>;

interface Outcome {
  readonly answer: Answer;
  /** Of a refusal, and what was thrown. */
  readonly code?: ErrorCode;
  readonly cause?: unknown;
}

/** `labelOf` gives the path template, the only form of a path that metrics and logs see. */
export function exchange(
  deps: HttpDeps,
  labelOf: (c: Context) => string,
  handler: Handler,
): (c: Context) => Promise<Response> {
  const tracer = deps.tracer === NO_TRACER ? undefined : deps.tracer;
  const answered = async (c: Context, corrId: string): Promise<Outcome> => {
    const startedAt = deps.monotonicSeconds();
    deps.metrics.inflight(1);
    const outcome = await run(c, handler, corrId);
    deps.metrics.inflight(-1);
    const traceId = tracer?.current()?.traceId;
    const line = {
      route: labelOf(c),
      method: c.req.method,
      corr_id: corrId,
      ...(traceId !== undefined && { trace_id: traceId }),
      seconds: deps.monotonicSeconds() - startedAt,
    };
    record(deps, c, { ...outcome, line });
    return outcome;
  };
  return async (c) => {
    const corrId = correlationOf(c.req.header(CORR_ID_HEADER), deps.newCorrId);
    const { answer } =
      tracer === undefined
        ? await answered(c, corrId)
        : await tracer.request(
            traced(c, { corrId, route: labelOf(c) }),
            () => answered(c, corrId),
            endOf,
          );
    return respond(deps, c, { answer, corrId });
  };
}

function traced(c: Context, named: { corrId: string; route: string }): TracedRequest {
  return { ...named, method: c.req.method, traceparent: c.req.header('traceparent') };
}

function endOf({ answer, code }: Outcome): RequestEnd {
  return { status: answer.status, code };
}

/** For what is thrown around a handler, by a part that was handed in. */
export function answerFailure(deps: HttpDeps, c: Context, cause: unknown): Response {
  const { metrics, newCorrId } = deps;
  const corrId = newCorrId();
  const { code, answer } = problemOf(cause, corrId);
  metrics.rejected(code);
  const fields = { code, corr_id: corrId, status: answer.status };
  logRefusal(deps, fields, cause);
  return respond(deps, c, { answer, corrId });
}

async function run(c: Context, handler: Handler, corrId: string): Promise<Outcome> {
  try {
    // A write is refused for them as for every id that is none: by its handler, and on record.
    if (c.req.method !== 'POST' && c.req.method !== 'PUT') assertDecodable(c.req.url);
    const answer = await handler(c, corrId);
    const etag = answer.headers.ETag;
    const isKnown = etag !== undefined && matchesEtag(c.req.header('If-None-Match'), etag);
    if (!isKnown || !isRead(c.req.method)) return { answer };
    if (answer.body instanceof ReadableStream) answer.body.cancel().catch(() => undefined);
    return { answer: notModified(answer) };
  } catch (cause) {
    return { ...problemOf(cause, corrId), cause };
  }
}

/** Bad escapes would reach a handler as they are, and mean one thing to it and another to a proxy. */
function assertDecodable(url: string): void {
  if (!url.includes('%')) return;
  const [path = ''] = url.split('?');
  try {
    decodeURIComponent(path);
  } catch (cause) {
    throw new RegistryError(
      'invalid_request',
      'expected percent-encoded utf-8 in the path, got other bytes',
      { cause },
    );
  }
}

interface Recorded extends Outcome {
  readonly line: {
    readonly route: string;
    readonly method: string;
    readonly corr_id: string;
    readonly trace_id?: string;
    readonly seconds: number;
  };
}

function record(deps: HttpDeps, c: Context, { answer, code, cause, line }: Recorded): void {
  const { metrics, log } = deps;
  const { route, method, seconds } = line;
  metrics.httpRequest({ route, method, code: answer.status, seconds });
  const fields = { ...line, status: answer.status };
  if (code === undefined) {
    log.debug('request answered', fields);
    return;
  }
  metrics.rejected(code);
  logRefusal(deps, { ...fields, code, client: deps.clientAddress(c) }, cause);
}

/** No message of a refusal: it quotes the request. A failure of ours is logged whole; other 503s are a state. */
function logRefusal(
  { log, onRefused = (_, line) => log.info('request refused', line) }: HttpDeps,
  fields: LogFields & { readonly status: number; readonly code: ErrorCode; client?: string },
  cause: unknown,
): void {
  const isFailure = fields.status === 500 || fields.code === 'outcome_unknown';
  if (isFailure) log.error('request failed', { ...fields, cause });
  else onRefused(fields.client ?? '', fields);
}

function respond(
  deps: Pick<HttpDeps, 'sendEvents' | 'sendPieces' | 'holdBody' | 'hangUp'>,
  c: Context,
  { answer, corrId }: { readonly answer: Answer; readonly corrId: string },
): Response {
  const { status, body, isGivenAway } = answer;
  const headers = {
    ...(isRead(c.req.method) ? readHeaders(answer.headers) : { ...answer.headers, ...NO_SNIFFING }),
    [CORR_ID_HEADER]: corrId,
  };
  if (body instanceof EventStream) {
    if (deps.sendEvents !== undefined) return deps.sendEvents(c, body, new Headers(headers));
    const { signal } = c.req.raw;
    return new Response(pulledBody(body, { signal, hangUp: () => deps.hangUp(c) }), { headers });
  }
  const isSentHere = c.req.method !== 'HEAD' && body instanceof ReadableStream && isGivenAway;
  if (isSentHere === true && deps.sendPieces !== undefined)
    return deps.sendPieces(c, body, { status, headers: new Headers(headers) });
  if (c.req.method !== 'HEAD' && body instanceof Uint8Array) deps.holdBody?.(c, body);
  // The cast drops SharedArrayBuffer from the type: no bytes here are shared memory.
  if (c.req.method !== 'HEAD') return new Response(body as BodyInit | null, { status, headers });
  if (body instanceof ReadableStream) body.cancel().catch(() => undefined);
  return new Response(null, { status, headers });
}
