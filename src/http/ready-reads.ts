/**
 * Answers the hottest reads at once, from what is ready: with the limits, metrics, log line and
 * correlation id that they have by the app, and nothing else of it. What is not plain is the app's.
 */
import { NO_TRACER } from '../telemetry/tracer.ts';
import { matchesEtag } from './conditional.ts';
import { correlationOf } from './correlation.ts';
import type { HttpDeps } from './deps.ts';
import type { Inflight } from './inflight.ts';
import type { ReadyAnswers, ReadyResponse } from './ready-answers.ts';

/** What counts of a GET without content. */
export interface PlainRead {
  /** As it was sent. */
  readonly target: string;
  readonly ifNoneMatch: string | undefined;
  readonly corrId: string | undefined;
}

export interface ReadAnswer {
  readonly response: ReadyResponse;
  readonly corrId: string;
}

export type { ReadyResponse } from './ready-answers.ts';

export type ReadyReads = (read: PlainRead, client: string) => ReadAnswer | undefined;

type ReadDeps = Pick<
  HttpDeps,
  'metrics' | 'log' | 'tracer' | 'monotonicSeconds' | 'newCorrId' | 'consumeRead'
>;

/** Answers `undefined` where the app is to answer, which also makes every refusal. `client`: what rate limits count by. */
export function readyReads(
  deps: ReadDeps,
  { answers, inflight }: { readonly answers: ReadyAnswers; readonly inflight: Inflight },
): ReadyReads {
  const { metrics, log, monotonicSeconds, newCorrId, consumeRead, tracer = NO_TRACER } = deps;
  // A traced request has spans, which the app makes.
  if (tracer !== NO_TRACER) return () => undefined;
  return ({ target, ifNoneMatch, corrId: sent }, client) => {
    const startedAt = monotonicSeconds();
    const ready = answers.find(target);
    if (ready === undefined || inflight.isFull('read')) return undefined;
    if (consumeRead?.(client).ok === false) return undefined;
    const { route, etag } = ready;
    const isKnown = ifNoneMatch === etag || matchesEtag(ifNoneMatch, etag);
    const response = isKnown ? ready.notModified : ready.full;
    const corrId = correlationOf(sent, newCorrId);
    const seconds = monotonicSeconds() - startedAt;
    const { status } = response;
    metrics.httpRequest({ route, method: 'GET', code: status, seconds });
    log.debug('request answered', { route, method: 'GET', corr_id: corrId, seconds, status });
    return { response, corrId };
  };
}
