/**
 * Answers the hottest requests at once, from what is ready: with the limits, metrics, log line and
 * correlation id that they have by the app, and nothing else of it. What is not plain is the app's, and so
 * is every refusal.
 */
import { RegistryError } from '../core/error.ts';
import { NO_TRACER } from '../telemetry/tracer.ts';
import { matchesEtag } from './conditional.ts';
import { correlationOf } from './correlation.ts';
import type { HttpDeps } from './deps.ts';
import type { EventStream } from './event-stream.ts';
import type { Inflight } from './inflight.ts';
import { type ReadyAnswers, type ReadyResponse, readyResponse } from './ready-answers.ts';
import { lastEventId, type OpenStream, STREAM_HEAD } from './stream.ts';

export type { ReadyResponse };

/** What counts of a GET without content. */
export interface PlainRead {
  /** As it was sent. */
  readonly target: string;
  readonly ifNoneMatch: string | undefined;
  readonly corrId: string | undefined;
  readonly lastEventId: string | undefined;
}

export interface ReadAnswer {
  readonly response: ReadyResponse;
  readonly corrId: string;
}

export interface StreamAnswer extends ReadAnswer {
  /** What follows the head, in chunks. */
  readonly events: EventStream;
}

/** Both answer `undefined` where the app is to answer. `client`: what limits count by. */
export interface ReadyReads {
  read(read: PlainRead, client: string): ReadAnswer | undefined;
  stream(read: PlainRead, client: string): StreamAnswer | undefined;
}

type ReadDeps = Pick<
  HttpDeps,
  'metrics' | 'log' | 'tracer' | 'monotonicSeconds' | 'newCorrId' | 'consumeRead'
>;

interface ReadParts {
  readonly answers: ReadyAnswers;
  readonly inflight: Inflight;
  readonly openStream: OpenStream;
}

const STREAM_ROUTE = '/registry/stream';
const STREAM_RESPONSE = readyResponse(STREAM_HEAD);

export function readyReads(deps: ReadDeps, parts: ReadParts): ReadyReads {
  const { tracer = NO_TRACER } = deps;
  // A traced request has spans, which the app makes.
  return tracer === NO_TRACER ? new PlainReads(deps, parts) : NO_READS;
}

const NO_READS: ReadyReads = { read: () => undefined, stream: () => undefined };

class PlainReads implements ReadyReads {
  readonly #deps: ReadDeps;
  readonly #parts: ReadParts;

  constructor(deps: ReadDeps, parts: ReadParts) {
    this.#deps = deps;
    this.#parts = parts;
  }

  read({ target, ifNoneMatch, corrId: sent }: PlainRead, client: string): ReadAnswer | undefined {
    const startedAt = this.#deps.monotonicSeconds();
    const ready = this.#parts.answers.find(target);
    if (ready === undefined || !this.#admits(client)) return undefined;
    const { route, etag } = ready;
    const isKnown = ifNoneMatch === etag || matchesEtag(ifNoneMatch, etag);
    const response = isKnown ? ready.notModified : ready.full;
    return this.#answered({ route, response, corrId: this.#corrId(sent) }, startedAt);
  }

  stream({ target, corrId: sent, lastEventId: seen }: PlainRead, client: string) {
    if (target !== STREAM_ROUTE) return undefined;
    const startedAt = this.#deps.monotonicSeconds();
    const corrId = this.#corrId(sent);
    const events = this.#open(seen, { client, corrId });
    if (events === undefined) return undefined;
    // After it is open: one that cannot be is charged by the app, which refuses it.
    if (!this.#admits(client)) {
      events.closed();
      return undefined;
    }
    const answer = { route: STREAM_ROUTE, response: STREAM_RESPONSE, corrId, events };
    return this.#answered(answer, startedAt);
  }

  #open(
    seen: string | undefined,
    request: { readonly client: string; readonly corrId: string },
  ): EventStream | undefined {
    try {
      return this.#parts.openStream({ ...request, after: lastEventId(seen), mode: 'all' });
    } catch (error) {
      if (error instanceof RegistryError) return undefined;
      throw error;
    }
  }

  #admits(client: string): boolean {
    const { consumeRead } = this.#deps;
    return !this.#parts.inflight.isFull('read') && consumeRead?.(client).ok !== false;
  }

  #corrId(sent: string | undefined): string {
    return correlationOf(sent, this.#deps.newCorrId);
  }

  #answered<A extends ReadAnswer & { readonly route: string }>(answer: A, startedAt: number): A {
    const { metrics, log, monotonicSeconds } = this.#deps;
    const { route, response, corrId } = answer;
    const { status } = response;
    const seconds = monotonicSeconds() - startedAt;
    metrics.httpRequest({ route, method: 'GET', code: status, seconds });
    log.debug('request answered', { route, method: 'GET', corr_id: corrId, seconds, status });
    return answer;
  }
}
