/** The HTTP face of a registry: a Web-standard app that serves the whole route table. */
import { type Context, Hono } from 'hono';
import type { Route } from '../api/route.ts';
import { type OperationId, operations } from '../api/routes.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { blobReads, blobWrites } from './blobs.ts';
import { BodyCache } from './body-cache.ts';
import { preflight } from './cors.ts';
import { DEFAULT_HTTP_LIMITS, type HttpDeps, type HttpLimits } from './deps.ts';
import { descriptorRoutes } from './descriptors.ts';
import { diffRoutes } from './diff.ts';
import { entryRoutes } from './entries.ts';
import { answerFailure, exchange, type Handler } from './exchange.ts';
import { guardRead, guardWrite } from './guard.ts';
import { headRoutes } from './head.ts';
import { Inflight } from './inflight.ts';
import { logRoutes } from './log.ts';
import { metaRoutes } from './meta.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { proofRoutes } from './proofs.ts';
import { proposalReads, proposalWrites } from './proposals.ts';
import { ReadyAnswers } from './ready-answers.ts';
import { type ReadyReads, readyReads } from './ready-reads.ts';
import { retentionRoutes } from './retention.ts';
import { setRoutes } from './sets.ts';
import { type OpenStream, streamOpener, streamRoutes } from './stream.ts';
import { StreamSlots } from './stream-slots.ts';
import { versionRoutes } from './versions.ts';

/** An operation of the contract without a handler does not compile. */
type Handlers = Readonly<Record<OperationId, Handler>>;

export interface HttpFace {
  readonly app: Hono;
  /** Answers what it can as the app would, at a fraction of the cost. */
  readonly readyReads: ReadyReads;
}

export function createHttp(deps: HttpDeps): HttpFace {
  const limits = () => ({ ...DEFAULT_HTTP_LIMITS, ...deps.limits?.() });
  const inflight = new Inflight(
    () => deps.limits?.().maxInflight ?? DEFAULT_HTTP_LIMITS.maxInflight,
  );
  const ready = new ReadyAnswers(deps.registry, limits().maxReadyBytes);
  const slots = new StreamSlots(limits);
  const openStream = streamOpener(deps, { limits: limits(), slots });
  const handlers = createHandlers(deps, { limits, inflight, ready, slots, openStream });
  return {
    app: createApp(deps, handlers),
    readyReads: readyReads(deps, { answers: ready, inflight, openStream }),
  };
}

function createApp(deps: HttpDeps, handlers: Handlers): Hono {
  const app = new Hono();
  for (const [id, route] of operations())
    app[route.method](honoPath(route.path), exchange(deps, labelsOf(id, route), handlers[id]));
  for (const [path, allow] of readablePaths())
    app.options(
      honoPath(path),
      exchange(deps, () => path, preflight(allow)),
    );
  app.notFound(
    exchange(
      deps,
      () => 'unmatched',
      (c) => refuseUnmatched(app, c),
    ),
  );
  app.onError((cause, c) => answerFailure(deps, c, cause));
  return app;
}

interface Shared {
  readonly limits: () => HttpLimits;
  readonly inflight: Inflight;
  readonly ready: ReadyAnswers;
  readonly slots: StreamSlots;
  readonly openStream: OpenStream;
}

function createHandlers(
  deps: HttpDeps,
  { limits, inflight, ready, slots, openStream }: Shared,
): Handlers {
  const { registry } = deps;
  const fixed = limits();
  const bodies = new BodyCache(fixed.maxCachedBytes);
  const inTurn = oneAtATime(deps);
  const { readDescriptor, readHistory } = descriptorRoutes(deps);
  const { readOpenApi, readSchema, ...probes } = metaRoutes(deps);
  const reads = {
    readOpenApi,
    readSchema,
    ...headRoutes(deps, { slots, ready }),
    ...streamRoutes(deps, openStream),
    ...versionRoutes(registry, ready),
    ...setRoutes(deps, fixed, bodies),
    readDescriptor,
    readHistory: inTurn(readHistory),
    ...diffRoutes(deps, limits),
    readEntries: inTurn(entryRoutes(registry).readEntries),
    ...logRoutes(deps, { bodies, ready }),
    ...proofRoutes(registry),
    ...retentionRoutes(registry),
    ...proposalReads(registry.proposals),
    ...blobReads(deps, limits),
  };
  const writes = proposalWrites(deps);
  return {
    ...mapValues(reads, (handler) => guardRead(deps, inflight, handler)),
    ...mapValues(writes, (handler, operation) =>
      guardWrite(deps, { operation, inflight }, handler),
    ),
    putBlob: guardWrite(deps, { operation: 'blob', inflight }, blobWrites(deps).putBlob),
    // A probe that is refused would restart a service that is only busy.
    ...probes,
  };
}

function mapValues<K extends string, A, B>(
  record: Readonly<Record<K, A>>,
  map: (value: A, key: K) => B,
): Record<K, B> {
  const entries = Object.entries(record) as [K, A][];
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value, key)])) as Record<K, B>;
}

/** A long poll is a wait and no latency: it is counted apart from the head. */
function labelsOf(id: OperationId, { path }: Route): (c: Context) => string {
  if (id !== 'readHead') return () => path;
  return (c) => (c.req.url.includes('?') ? `${path}?after` : path);
}

/**
 * A version in a path is digits, and an id or a tile's index at the end may hold slashes. What matches neither is no
 * route, so that `/registry/supersede` is 405 and not a bad version. The group matters: the router
 * anchors a pattern without one.
 */
function honoPath(template: string): string {
  return template
    .replace(/\{version\}$/, ':version{[0-9]+}')
    .replace('{version}', ':version{(?:head|[0-9]+)}')
    .replace(/(?<=\{kind\}\/)\{id\}$/, ':id{.+}')
    .replace(/\{index\}$/, ':index{.+}')
    .replace(/\{(\w+)\}/g, ':$1');
}

function readablePaths(): ReadonlyMap<string, readonly string[]> {
  const paths = Map.groupBy(operations(), ([, route]) => route.path);
  return new Map(
    [...paths].flatMap(([path, routes]) => {
      const methods = new Set(routes.map(([, route]) => route.method));
      const writes = (['post', 'put'] as const)
        .filter((method) => methods.has(method))
        .map((method) => method.toUpperCase());
      return methods.has('get') ? [[path, ['GET', 'HEAD', 'OPTIONS', ...writes]] as const] : [];
    }),
  );
}

function refuseUnmatched(app: Hono, c: Context): never {
  const { method, path } = c.req;
  const has = (other: string): boolean => app.router.match(other, path)[0].length > 0;
  const allow = [...(has('GET') ? ['GET', 'HEAD', 'OPTIONS'] : []), ...['POST', 'PUT'].filter(has)];
  if (allow.length === 0)
    throw new RegistryError('not_found', `expected a path of the api, got ${excerpt(path)}`);
  throw new RegistryError(
    'method_not_allowed',
    `expected ${allow.join(', ')} here, got ${excerpt(method)}`,
    { details: { allow } },
  );
}
