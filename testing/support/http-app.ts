/** The HTTP app over a real registry, asked without sockets; every answer is held to the contract. */
import assert from 'node:assert/strict';
import type { Hono } from 'hono';
import { ERROR_CODES, type ErrorCode } from '../../src/core/error.ts';
import { createHttp } from '../../src/http/app.ts';
import type { HttpDeps } from '../../src/http/deps.ts';
import type { ReadyReads } from '../../src/http/ready-reads.ts';
import { COMPRESS } from '../../src/server/compress.ts';
import { createMetrics } from '../../src/telemetry/create-metrics.ts';
import type { LogFields } from '../../src/telemetry/log.ts';
import { assertContract } from './http-contract.ts';
import { openTestRegistry, type TestRegistry, type TestRegistryOptions } from './registry.ts';

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

export interface TestApp extends TestRegistry {
  readonly app: Hono;
  /** What stands before the app. */
  readonly readyReads: ReadyReads;
  readonly lines: Line[];
  /** Connections the app asked to destroy. */
  readonly hungUp: () => number;
  /** Any request; `path` from the root on. */
  send(path: string, init?: RequestInit): Promise<Response>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  head(path: string, headers?: Record<string, string>): Promise<Response>;
  /** A JSON body unless `headers` say otherwise. */
  post(path: string, body?: BodyInit, headers?: Record<string, string>): Promise<Response>;
  /** The value of one series, e.g. `rejected_total{reason="expired"}`; 0 when it is not there. */
  metric(series: string): Promise<number>;
}

export interface TestAppOptions {
  readonly registry?: TestRegistryOptions;
  readonly deps?: Partial<HttpDeps>;
}

export async function openTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const lines: Line[] = [];
  const write =
    (level: Line['level']) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields });
    };
  const log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
  const metrics = createMetrics({
    build: { version: 'test', node: 'test' },
    reasons: ERROR_CODES,
    now: () => 0,
    isProcessObserved: false,
  });
  const real = await openTestRegistry({ metrics, log, ...options.registry });
  let hungUp = 0;
  let corrIds = 0;
  const { app, readyReads } = createHttp({
    registry: real.registry,
    metrics,
    log,
    build: { version: '0.1.0', revision: null },
    compress: COMPRESS,
    timers: real.timers,
    monotonicSeconds: () => real.timers.now() / 1000,
    random: () => 0.5,
    newCorrId: () => `corr-${++corrIds}`,
    isWriteAllowed: () => true,
    clientAddress: () => '127.0.0.1',
    hangUp: () => hungUp++,
    ...options.deps,
  });
  const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const request = new Request(`http://127.0.0.1:7070${path}`, init);
    const response = await app.fetch(request);
    await assertContract(request, response);
    return response;
  };
  return {
    ...real,
    app,
    readyReads,
    lines,
    hungUp: () => hungUp,
    send,
    get: (path, headers = {}) => send(path, { headers }),
    head: (path, headers = {}) => send(path, { method: 'HEAD', headers }),
    post: (path, body, headers = { 'content-type': 'application/json' }) =>
      send(path, {
        method: 'POST',
        headers,
        ...(body !== undefined && { body, duplex: 'half' }),
      }),
    metric: async (series) => {
      const { text } = await metrics.render();
      const line = text.split('\n').find((l) => l.startsWith(`${series} `));
      return Number(line?.slice(series.length + 1) ?? 0);
    },
  };
}

/** The code of a problem, which must be one. */
export async function codeOf(response: Response): Promise<ErrorCode> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  return (await response.json()).code;
}
