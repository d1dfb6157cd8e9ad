/** `GET /metrics` on its own listener, apart from the API, so that only operators reach it. */
import type { RequestListener } from 'node:http';
import type { Metrics } from '../telemetry/metrics.ts';

/** `observe` runs before each scrape, for what is measured by asking. */
export function metricsListener(
  metrics: Pick<Metrics, 'render'>,
  observe: () => Promise<void>,
): RequestListener {
  return (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'cache-control': 'no-store' }).end();
      return;
    }
    observe()
      // A store that does not answer must not hide every other metric.
      .catch(() => undefined)
      .then(() => metrics.render())
      .then(
        ({ contentType, text }) =>
          response
            .writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' })
            .end(request.method === 'HEAD' ? undefined : text),
        () => response.writeHead(500).end(),
      );
  };
}
