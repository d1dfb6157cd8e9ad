/** A registry that a benchmark writes to: a real server with its metrics, its signers' keys in files, and `quorate bench` against it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Latency } from '../../src/cli/bench/histogram.ts';
import type { Client } from '../../src/client/client.ts';
import { type CliRun, type CliWorld, runCli } from './cli-io.ts';
import { makeDirectory, writeKey } from './cli-stage.ts';
import { beginOver, clientOf, startTestServer } from './server-start.ts';

export interface BenchStage {
  readonly url: string;
  readonly client: Client;
  readonly directory: string;
  /** Key files of two signers, as many as must approve. */
  readonly keys: readonly string[];
  /** `quorate --json ... bench` with these arguments. */
  bench(...argv: readonly string[]): Promise<CliRun>;
  benchIn(world: CliWorld, ...argv: readonly string[]): Promise<CliRun>;
  /** The sum of the samples of a metric whose labels hold these. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

/** Of any load. */
export interface ToldLoad {
  readonly requests: number;
  readonly failed: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly rate: number;
  readonly latency_us: Latency | null;
  readonly steps: Readonly<Record<string, Latency | null>>;
  readonly arrival_us?: Latency | null;
  readonly last_us?: Latency | null;
  readonly spread_us?: Latency | null;
  readonly entry_us?: Latency | null;
  readonly signature_us?: Latency | null;
  readonly [member: string]: unknown;
}

/** Asserts that the run printed one document, and answers its loads. */
export function loadsOf(run: CliRun): Readonly<Record<string, ToldLoad>> {
  const [document, ...rest] = run.json();
  assert.deepEqual(rest, [], run.stdout);
  assert.ok(document !== undefined, run.stderr);
  return document.loads as Record<string, ToldLoad>;
}

export async function openBenchStage(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
): Promise<BenchStage> {
  const server = await startTestServer(t, {
    metrics_listen: '127.0.0.1:0',
    max_writes_per_minute: '1000000',
    max_streams_per_address: '100',
    ...settings,
  });
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  const directory = makeDirectory();
  const benchIn = (world: CliWorld, ...argv: readonly string[]) =>
    runCli(
      [
        '--url',
        server.url,
        '--registry',
        registry,
        '--state',
        join(directory, 'state'),
        '--json',
        'bench',
        ...argv,
      ],
      world,
    );
  return {
    url: server.url,
    client,
    directory,
    keys: ['signer-000', 'signer-001'].map((name) => writeKey(directory, name)),
    bench: (...argv) => benchIn({}, ...argv),
    benchIn,
    metric: (name, labels = {}) => sumOf(server.metricsUrl ?? '', { name, labels }),
  };
}

async function sumOf(
  url: string,
  { name, labels }: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
): Promise<number> {
  const text = await (await fetch(url)).text();
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
