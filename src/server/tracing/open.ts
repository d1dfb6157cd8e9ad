/** The tracer of a server: OpenTelemetry where a collector is configured, else nothing at all. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Log } from '../../telemetry/log.ts';
import { NO_TRACER, type Tracer } from '../../telemetry/tracer.ts';
import { loggedExporter } from './exporter.ts';
import { OtelTracer } from './otel-tracer.ts';
import { loadOpenTelemetry, type OpenTelemetry } from './packages.ts';
import { samplerOf } from './sampler.ts';

export interface TracingParts {
  readonly log: Log;
  readonly service: { readonly name: string; readonly version: string };
  /** `OTEL_*` as every program with OpenTelemetry reads them; default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How long what is left may take to be sent at the end. */
  readonly flushMs?: number;
}

/** Spans kept while a collector is slow or away, about 2 KB each; more are dropped. */
const MAX_WAITING_SPANS = 2048;
const SEND_EVERY_MS = 2_000;
const SEND_TIMEOUT_MS = 2_500;
/** Longer than one sending with its retries, so that none goes on after the end. */
const FLUSH_MS = 3_000;

/** `NO_TRACER` without an endpoint. Throws `invalid_request`: the optional packages are not installed, or `OTEL_*` is not valid. */
export async function openTracer(
  endpoint: string | null,
  parts: TracingParts,
): Promise<Tracer & AsyncDisposable> {
  if (endpoint === null) return NO_TRACER;
  const { log, service, env = process.env, flushMs = FLUSH_MS } = parts;
  const { api, contexts, exporter, sdk } = await loadOpenTelemetry();
  const sampler = samplerOf(sdk, env);
  const agent = new URL(endpoint).protocol === 'https:' ? new HttpsAgent() : new HttpAgent();
  const provider = new sdk.TracerProvider({
    sampler,
    resource: resourceOf({ ...service, name: env.OTEL_SERVICE_NAME || service.name }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: loggedExporter(
          new exporter.OTLPTraceExporter({
            url: endpoint,
            timeoutMillis: SEND_TIMEOUT_MS,
            httpAgentOptions: () => agent,
          }),
          { log, endpoint },
        ),
        maxQueueSize: MAX_WAITING_SPANS,
        scheduledDelayMillis: SEND_EVERY_MS,
        exportTimeoutMillis: FLUSH_MS,
      }),
    ],
  });
  return new OtelTracer({
    api,
    contexts: new contexts.AsyncLocalStorageContextManager(),
    tracer: provider.getTracer(service.name, service.version),
    close: async () => {
      await within(flushMs, provider.shutdown());
      // A collector that does not answer must not hold the process.
      agent.destroy();
    },
  });
}

type Resource = NonNullable<
  NonNullable<ConstructorParameters<OpenTelemetry['sdk']['TracerProvider']>[0]>['resource']
>;

/** Two words about this process; a collector adds where it runs. */
function resourceOf({ name, version }: TracingParts['service']): Resource {
  const attributes = { 'service.name': name, 'service.version': version };
  return {
    attributes,
    getRawAttributes: () => Object.entries(attributes),
    merge: (other) => other ?? resourceOf({ name, version }),
  };
}

/** Whatever becomes of it: what could not be sent was told already. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work.catch(() => undefined), promise]);
  clearTimeout(timer);
}
