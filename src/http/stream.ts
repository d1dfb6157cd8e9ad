/** `GET /registry/stream`: new versions as server-sent events, resumed by version. */
import { HEADERS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { answerBytes, type BodyOptions } from './answer.ts';
import type { HttpDeps, HttpLimits } from './deps.ts';
import { EventStream } from './event-stream.ts';
import type { Handler } from './exchange.ts';
import type { StreamSlots } from './stream-slots.ts';

const ANSWER: BodyOptions = {
  mediaType: 'text/event-stream',
  caching: 'none',
  // nginx would hold events back until a buffer is full.
  headers: { 'X-Accel-Buffering': 'no' },
};

/** Of the answer that a stream is the body of. */
export const STREAM_HEAD = answerBytes(null, ANSWER);

type StreamDeps = Pick<HttpDeps, 'registry' | 'metrics' | 'log' | 'timers' | 'random'>;

export interface StreamRequest {
  /** The version seen last. */
  readonly after: number | undefined;
  readonly mode: 'all' | 'latest';
  /** What caps count by. */
  readonly client: string;
  readonly corrId: string;
}

/** Throws `too_many_streams`. */
export type OpenStream = (request: StreamRequest) => EventStream;

export function streamOpener(
  { registry, metrics, log, timers, random }: StreamDeps,
  {
    limits,
    slots,
  }: { readonly limits: Pick<HttpLimits, 'slowAfterMs'>; readonly slots: StreamSlots },
): OpenStream {
  return ({ after, mode, client, corrId }) => {
    const release = slots.take(client);
    const cursor = after === undefined ? {} : { after };
    return new EventStream({
      subscription: registry.feed.subscribe({ ...cursor, mode, consumer: 'latest' }),
      timers,
      slowAfterMs: limits.slowAfterMs,
      retryMs: Math.round(1_000 + 2_000 * random()),
      onEnd: release,
      // Nothing can be said to a reader that does not read; it resumes by id.
      onSlow: () => {
        metrics.lagged('slow', 1);
        log.info('stream closed: its reader does not drain', { client, corr_id: corrId });
      },
      onFailure: (cause) => log.error('stream failed', { corr_id: corrId, cause }),
    });
  };
}

export function streamRoutes(
  { clientAddress }: Pick<HttpDeps, 'clientAddress'>,
  open: OpenStream,
): { readonly followStream: Handler } {
  return {
    followStream: (c, corrId) => {
      const { after, mode } = readQuery(QUERIES.stream, c.req.url);
      const cursor = lastEventId(c.req.header('Last-Event-ID')) ?? after;
      if (c.req.method === 'HEAD') return STREAM_HEAD;
      const client = clientAddress(c);
      return answerBytes(open({ after: cursor, mode, client, corrId }), ANSWER);
    },
  };
}

/** Wins over `after`: it is what an EventSource saw last, `after` where it once began. Throws `invalid_request`. */
export function lastEventId(sent: string | undefined): number | undefined {
  const values = sent === undefined || sent === '' ? {} : { 'last-event-id': sent };
  return readParameters(HEADERS.stream, values, 'header')['last-event-id'];
}
