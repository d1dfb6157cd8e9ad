/** `GET /registry/stream`: new versions as server-sent events, resumed by version. */
import type { Context } from 'hono';
import { HEADERS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import type { LogFields } from '../telemetry/log.ts';
import { answerBytes, type BodyOptions } from './answer.ts';
import type { HttpDeps, HttpLimits } from './deps.ts';
import { EventBody } from './event-body.ts';
import type { Handler } from './exchange.ts';
import type { StreamSlots } from './stream-slots.ts';

const ANSWER: BodyOptions = {
  mediaType: 'text/event-stream',
  caching: 'none',
  // nginx would hold events back until a buffer is full.
  headers: { 'X-Accel-Buffering': 'no' },
};

type StreamDeps = Pick<
  HttpDeps,
  'registry' | 'metrics' | 'log' | 'timers' | 'random' | 'clientAddress' | 'hangUp'
>;

export function streamRoutes(
  deps: StreamDeps,
  limits: Pick<HttpLimits, 'slowAfterMs'>,
  slots: StreamSlots,
): { readonly followStream: Handler } {
  return {
    followStream: (c, corrId) => {
      const { after, mode } = readQuery(QUERIES.stream, c.req.url);
      const cursor = readLastEventId(c) ?? after;
      if (c.req.method === 'HEAD') return answerBytes(null, ANSWER);
      const address = deps.clientAddress(c);
      const release = slots.take(address);
      const subscription = deps.registry.feed.subscribe({
        ...(cursor !== undefined && { after: cursor }),
        mode,
        consumer: 'latest',
      });
      const body = new EventBody({
        subscription,
        timers: deps.timers,
        slowAfterMs: limits.slowAfterMs,
        retryMs: Math.round(1_000 + 2_000 * deps.random()),
        signal: c.req.raw.signal,
        onEnd: release,
        onSlow: () => closeSlow(deps, c, { client: address, corr_id: corrId }),
        onFailure: (cause) => deps.log.error('stream failed', { corr_id: corrId, cause }),
      });
      return answerBytes(new ReadableStream(body), ANSWER);
    },
  };
}

/** Wins over `after`: it is what an EventSource saw last, `after` where it once began. */
function readLastEventId(c: Context): number | undefined {
  const sent = c.req.header('Last-Event-ID');
  const values = sent === undefined || sent === '' ? {} : { 'last-event-id': sent };
  return readParameters(HEADERS.stream, values, 'header')['last-event-id'];
}

/** Nothing can be said to a reader that does not read; it resumes by id. */
function closeSlow({ metrics, log, hangUp }: StreamDeps, c: Context, reader: LogFields): void {
  metrics.lagged('slow', 1);
  log.info('stream closed: its reader does not drain', reader);
  hangUp(c);
}
