/**
 * `GET /metrics` on its own listener, apart from the API, so that only operators reach it. What is
 * measured by asking is asked for before each scrape, and never keeps a page from being served.
 */
import type { RequestListener, ServerResponse } from 'node:http';
import type { Metrics } from '../telemetry/metrics.ts';
import { TIMERS } from './timers.ts';

/** Prometheus gives a scrape 10 s by default; a page with old figures is worth more than none. */
const OBSERVE_TIMEOUT_MS = 1_000;

export interface MetricsListenerOptions {
  readonly timers?: typeof TIMERS;
  readonly timeoutMs?: number;
}

/** `observe` runs before a scrape; one that takes too long, or fails, leaves its metrics as they were. */
export function metricsListener(
  metrics: Pick<Metrics, 'render'>,
  observe: () => Promise<void>,
  { timers = TIMERS, timeoutMs = OBSERVE_TIMEOUT_MS }: MetricsListenerOptions = {},
): RequestListener {
  const observeOnce = shared(observe);
  return (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD', 'cache-control': 'no-store' }).end();
      return;
    }
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'cache-control': 'no-store' }).end();
      return;
    }
    const isBodyWanted = request.method === 'GET';
    within(observeOnce(), timeoutMs, timers)
      .then(() => metrics.render())
      .then(
        (page) => answer(response, page, isBodyWanted),
        () => response.writeHead(500, { 'cache-control': 'no-store' }).end(),
      );
  };
}

function answer(
  response: ServerResponse,
  { contentType, text }: Awaited<ReturnType<Metrics['render']>>,
  isBodyWanted: boolean,
): void {
  const body = Buffer.from(text);
  response
    .writeHead(200, {
      'content-type': contentType,
      'content-length': body.length,
      'cache-control': 'no-store',
    })
    .end(isBodyWanted ? body : undefined);
}

/** Scrapes that find one under way wait for that one: a store that hangs is asked once, not at every scrape. */
function shared(observe: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= Promise.resolve()
      .then(observe)
      .catch(() => undefined)
      .finally(() => {
        running = undefined;
      });
    return running;
  };
}

/** Resolves when `work` does, or after `timeoutMs`; `work` never rejects. */
function within(work: Promise<void>, timeoutMs: number, timers: typeof TIMERS): Promise<void> {
  return new Promise((resolve) => {
    const timer = timers.setTimeout(resolve, timeoutMs);
    work.then(() => {
      timers.clearTimeout(timer);
      resolve();
    });
  });
}
