/**
 * A server that something is done to: the real program as a process of its own, what it says while it
 * suffers, and one write at a time to see whether it is taken.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../../src/client/client.ts';
import type { Hash } from '../../src/core/hash.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import { type Ended, start } from './cli-process.ts';
import { put } from './registry.ts';
import { clientOf, LOG_KEY, makeDataDir } from './server-start.ts';
import { descriptorsPayload } from './signers.ts';

export interface FaultServer {
  readonly url: string;
  readonly data: string;
  readonly pid: number;
  readonly client: Client;
  readonly ended: Promise<Ended>;
  /** Resolves with its log so far once that matches. */
  remarked(pattern: RegExp): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
}

export interface FaultServerOptions {
  readonly data?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** For Node, such as `--import` and a module that is to be loaded first. */
  readonly nodeOptions?: readonly string[];
}

/** A macronode unless `settings` say otherwise; killed when the test ends. */
export async function serve(
  t: TestContext,
  { data = makeDataDir(), settings = {}, nodeOptions = [] }: FaultServerOptions = {},
): Promise<FaultServer> {
  const flags = {
    // A micronode keeps nothing.
    ...(settings.profile !== 'micronode' && { data }),
    log_key: LOG_KEY,
    listen: '127.0.0.1:0',
    metrics_listen: 'off',
    max_writes_per_minute: '1000000',
    // The machine is shared: that it is busy is to refuse a write only where that is the test.
    shed_loop_after: '10m',
    max_reads_per_minute: '1000000',
    ...settings,
  };
  const argv = Object.entries(flags).flatMap(([key, value]) => [
    `--${key.replaceAll('_', '-')}`,
    value,
  ]);
  mkdirSync(dirname(data), { recursive: true });
  const env = { NODE_OPTIONS: nodeOptions.join(' ') };
  const program = start({ cwd: dirname(data), env }, 'serve', ...argv);
  const { child, ended } = program;
  t.after(() => child.kill('SIGKILL'));
  let client: Client | undefined;
  const [url = ''] = (await program.said(/\n/)).split('\n');
  return {
    url,
    data,
    pid: child.pid ?? assert.fail('no process'),
    // Where it listens on a socket, this client cannot ask.
    get client() {
      client ??= clientOf(url);
      return client;
    },
    ended,
    remarked: program.remarked,
    signal: (name) => void child.kill(name),
    stop: async () => {
      child.kill('SIGTERM');
      return (await ended).code;
    },
  };
}

export interface Readiness {
  readonly status: number;
  readonly ready: boolean;
  readonly write_ready: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean }[];
}

export async function readinessOf({ url }: Pick<FaultServer, 'url'>): Promise<Readiness> {
  const response = await fetch(`${url}/readyz?verbose`);
  return { status: response.status, ...((await response.json()) as Omit<Readiness, 'status'>) };
}

/** The names of the conditions that do not hold; reads must be ready all the same. */
export async function shutChecks(server: Pick<FaultServer, 'url'>): Promise<readonly string[]> {
  const { status, ready, write_ready, checks } = await readinessOf(server);
  const shut = checks.filter(({ ok }) => !ok).map(({ name }) => name);
  assert.deepEqual([status, ready, write_ready], [200, true, shut.length === 0], `${shut}`);
  return shut;
}

export interface WriteAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
  /** Of a refusal. */
  readonly code?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A payload that was not there before. */
export function newPayload(registry: Hash, id: string): DecodedPayload {
  return descriptorsPayload(registry, [put(id, {})], { createdAt: Date.now() });
}

/** Proposes something new. */
export async function tryWrite(
  { url }: Pick<FaultServer, 'url'>,
  { bytes }: Pick<DecodedPayload, 'bytes'>,
): Promise<WriteAnswer> {
  const response = await fetch(`${url}/registry/proposals`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(bytes),
  });
  const body = (await response.json()) as Omit<WriteAnswer, 'status' | 'retryAfter'>;
  const told = { status: response.status, retryAfter: response.headers.get('retry-after') };
  return response.ok ? told : { ...told, code: body.code ?? '', details: body.details ?? {} };
}

/** The value of one series; 0 when it is not there. Needs `metrics_listen` in the settings. */
export async function metricOf(
  { remarked }: Pick<FaultServer, 'remarked'>,
  series: string,
): Promise<number> {
  const told = await remarked(/"metrics":"http[^"]+"/);
  const [, url = ''] = /"metrics":"(http[^"]+)"/.exec(told) ?? [];
  const page = await (await fetch(url)).text();
  const line = page.split('\n').find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length) ?? 0);
}

/** Asks again and again, for at most `ms`, until the answer is the wanted one; answers it. */
export async function until<T>(
  ask: () => Promise<T>,
  isWanted: (answer: T) => boolean,
  ms = 15_000,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    assert.ok(performance.now() < end, `for ${ms} ms: ${JSON.stringify(answer)}`);
    await delay(20);
  }
}
