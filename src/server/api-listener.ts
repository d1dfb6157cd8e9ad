/** The API as a node:http listener: the app of `http`, given what only a server knows of a request. */
import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { createApp } from '../http/app.ts';
import type { HttpDeps } from '../http/deps.ts';
import type { Registry } from '../registry/registry.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { addressKey } from './address-key.ts';
import type { BuildInfo } from './build-info.ts';
import { COMPRESS } from './compress.ts';
import type { Config } from './config.ts';
import { isLoopbackCaller } from './loopback.ts';
import { createRateLimit } from './rate-limit.ts';
import { problemResponse, RAW_PROBLEM_CODE } from './raw-problem.ts';
import { TIMERS } from './timers.ts';

export interface ApiParts {
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly build: BuildInfo;
}

export function apiListener(parts: ApiParts, { limits }: Pick<Config, 'limits'>): RequestListener {
  const app = createApp({
    ...parts,
    limits: () => limits,
    compress: COMPRESS,
    timers: TIMERS,
    random: Math.random,
    monotonicSeconds: () => performance.now() / 1000,
    newCorrId: randomUUID,
    consumeRead: createRateLimit(limits.maxReadsPerMinute),
    consumeWrite: createRateLimit(limits.maxWritesPerMinute),
    isWriteAllowed: (c) => {
      const { socket, headers } = incomingOf(c);
      return isLoopbackCaller({ address: socket.remoteAddress, host: headers.host });
    },
    clientAddress: (c) => addressKey(incomingOf(c).socket.remoteAddress),
    hangUp: (c) => incomingOf(c).socket.destroy(),
  });
  return getRequestListener(app.fetch, {
    // The process belongs to whoever imports this package, and so do its globals.
    overrideGlobalObjects: false,
    // An http/1.0 probe has no host; nothing here depends on it.
    hostname: 'localhost',
    // The app answers its own failures: here come only requests that no URL can be made of.
    errorHandler: (error) => {
      parts.metrics.rejected(RAW_PROBLEM_CODE);
      parts.log.info('request refused', { code: RAW_PROBLEM_CODE, error });
      return problemResponse({ status: 400, detail: 'expected a host and a path that make a url' });
    },
  });
}

type RequestContext = Parameters<HttpDeps['hangUp']>[0];

function incomingOf(c: RequestContext): HttpBindings['incoming'] {
  const { incoming }: HttpBindings = c.env;
  return incoming;
}
