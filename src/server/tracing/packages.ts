/** The optional packages of OpenTelemetry, imported only where spans are sent: they cost 250 ms and 15 MB. */
import { RegistryError } from '../../core/error.ts';

/** What an operator installs; `@opentelemetry/api` comes with them. The peer dependencies of the package. */
export const TRACING_PACKAGES: Readonly<Record<string, string>> = {
  '@opentelemetry/context-async-hooks': '^3.1.0',
  '@opentelemetry/exporter-trace-otlp-http': '^0.301.0',
  '@opentelemetry/sdk-trace': '^3.1.0',
};

export interface OpenTelemetry {
  readonly api: typeof import('@opentelemetry/api');
  readonly contexts: typeof import('@opentelemetry/context-async-hooks');
  readonly exporter: typeof import('@opentelemetry/exporter-trace-otlp-http');
  readonly sdk: typeof import('@opentelemetry/sdk-trace');
}

/** Throws `invalid_request`, naming what to install. */
export async function loadOpenTelemetry(): Promise<OpenTelemetry> {
  const [api, contexts, exporter, sdk] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/sdk-trace'),
  ]).catch((cause: unknown) => {
    throw notInstalled('not all of them', cause);
  });
  const parts = [
    contexts.AsyncLocalStorageContextManager,
    exporter.OTLPTraceExporter,
    sdk.TracerProvider,
    sdk.BatchSpanProcessor,
  ];
  if (parts.some((part) => typeof part !== 'function')) throw notInstalled('other versions');
  return { api, contexts, exporter, sdk };
}

function notInstalled(got: string, cause?: unknown): RegistryError {
  const packages = Object.entries(TRACING_PACKAGES).map(([name, range]) => `"${name}@${range}"`);
  return new RegistryError(
    'invalid_request',
    `expected the optional OpenTelemetry packages, which trace_endpoint needs, got ${got}: \`npm install ${packages.join(' ')}\` beside quorate, or leave trace_endpoint empty`,
    { cause },
  );
}
