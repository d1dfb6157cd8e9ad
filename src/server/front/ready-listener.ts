/** Answers plain reads that are ready on node:http, for connections that the front does not hold: TLS, proxies, mixed ones. */
import type { IncomingMessage, RequestListener } from 'node:http';
import type { ReadyReads } from '../../http/ready-reads.ts';
import { isPlainHost } from './plain-get.ts';

export interface ReadyListenerOptions {
  readonly readyReads: ReadyReads;
  readonly clientAddress: (request: IncomingMessage) => string;
  /** Answers everything else. */
  readonly next: RequestListener;
}

export function readyListener({
  readyReads,
  clientAddress,
  next,
}: ReadyListenerOptions): RequestListener {
  return (request, response) => {
    const { method, url = '', headers } = request;
    const isPlain = method === 'GET' && isPlainHost(headers.host);
    const answer = isPlain
      ? readyReads.read(
          {
            target: url,
            ifNoneMatch: headers['if-none-match'],
            corrId: oneValue(headers['x-corr-id']),
            lastEventId: undefined,
          },
          clientAddress(request),
        )
      : undefined;
    if (answer === undefined) {
      next(request, response);
      return;
    }
    const { status, headers: ready, body } = answer.response;
    response.writeHead(status, [...ready, 'x-corr-id', answer.corrId]);
    response.end(body);
  };
}

function oneValue(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
