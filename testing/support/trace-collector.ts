/** A collector of spans that keeps what it is sent: OTLP over HTTP, as JSON, on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** `undefined`: of a root span that nobody sent. */
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly isServer: boolean;
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

export interface Collector {
  readonly endpoint: string;
  /** Everything that came, in the order in which spans ended. */
  spans(): readonly CollectedSpan[];
  /** The bodies as they came. */
  readonly bodies: readonly string[];
  readonly services: ReadonlySet<string>;
  /** Requests so far, answered or not. */
  requests(): number;
  openConnections(): Promise<number>;
}

const SERVER = 2;
const ERROR = 2;

/** `answer` does with a request what a collector does; default: takes it. */
export async function startCollector(
  t: TestContext,
  answer: (response: ServerResponse) => void = (response) => response.end('{}'),
): Promise<Collector> {
  const bodies: string[] = [];
  let count = 0;
  const server = createServer(async (request, response) => {
    count++;
    bodies.push(await textOf(request));
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}/v1/traces`,
    bodies,
    spans: () => bodies.flatMap(spansOf),
    get services() {
      return new Set(bodies.flatMap(servicesOf));
    },
    requests: () => count,
    openConnections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, open) => (error === null ? resolve(open) : reject(error)));
      }),
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  assert.equal(request.headers['content-type'], 'application/json');
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}

interface Otlp {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly OtlpAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly OtlpAttribute[];
  readonly status: { readonly code: number; readonly message?: string };
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

function spansOf(body: string): CollectedSpan[] {
  const { resourceSpans }: Otlp = JSON.parse(body);
  const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((s) => s.spans));
  return spans.map(({ traceId, spanId, parentSpanId, name, kind, attributes, status, links }) => ({
    traceId,
    spanId,
    parentSpanId,
    name,
    isServer: kind === SERVER,
    isError: status.code === ERROR,
    attributes: valuesOf(attributes),
    links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
  }));
}

function servicesOf(body: string): string[] {
  const { resourceSpans }: Otlp = JSON.parse(body);
  return resourceSpans.map(({ resource }) => {
    const values = valuesOf(resource.attributes);
    return `${values['service.name']} ${values['service.version']}`;
  });
}

function valuesOf(attributes: readonly OtlpAttribute[]): CollectedSpan['attributes'] {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, Object.values(value)[0] ?? 'none']),
  );
}
