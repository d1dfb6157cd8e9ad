/**
 * A node:http listener over a handler of web requests. What translates between the two brings all of fetch along,
 * 45 ms and 12 MiB, so it is loaded by the first request that needs it: plain reads are answered without.
 */
import type { RequestListener } from 'node:http';
import type { getRequestListener } from '@hono/node-server';

type Handler = Parameters<typeof getRequestListener>[0];
type Failure = NonNullable<Parameters<typeof getRequestListener>[1]>['errorHandler'];

/** `onMalformed` answers what no URL can be made of. */
export function fetchListener(
  handler: Handler,
  onMalformed: NonNullable<Failure>,
): RequestListener {
  let listener: RequestListener | undefined;
  const load = async (): Promise<RequestListener> => {
    const adapter = await import('@hono/node-server');
    listener ??= adapter.getRequestListener(handler, {
      // The process belongs to whoever imports this package, and so do its globals.
      overrideGlobalObjects: false,
      // An http/1.0 probe has no host; nothing here depends on it.
      hostname: 'localhost',
      errorHandler: onMalformed,
    });
    return listener;
  };
  return (request, response) => {
    if (listener !== undefined) return listener(request, response);
    load().then(
      (loaded) => {
        // Who has gone in the meantime is told nothing, and asks for nothing.
        if (!response.destroyed) loaded(request, response);
      },
      (error: Error) => response.destroy(error),
    );
  };
}

/** What a handler returns that has sent its answer by itself. The package has one too, made when it is loaded. */
export function alreadySent(): Response {
  return new Response(null, { headers: { 'x-hono-already-sent': 'true' } });
}
