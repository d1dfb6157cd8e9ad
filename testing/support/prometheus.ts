/** Debian's promtool, and its prometheus as a child on a loopback port that scrapes servers of ours. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

const PATH = `${process.env.PATH}:/usr/bin`;
/** Ends it also when nobody else does. */
const MAX_SECONDS = 120;
const DEADLINE_MS = 30_000;
const LOOK_MS = 50;

/** Skips the test, saying so, where a program is missing; where nothing may be skipped it fails. */
export function isMissing(t: TestContext, program: 'promtool' | 'prometheus'): boolean {
  const isThere = spawnSync(program, ['--version'], { env: { PATH } }).status === 0;
  if (isThere) return false;
  assert.notEqual(process.env.QUORATE_CI, '1', `expected ${program}, got none`);
  t.skip(`SKIPPED, NOT PASSED: ${program} is not there (Debian package prometheus)`);
  return true;
}

/** What it prints, standard error included, and its exit status. */
export function promtool(
  args: readonly string[],
  input = '',
): { readonly status: number | null; readonly output: string } {
  const options = { env: { PATH }, input, encoding: 'utf8', timeout: 30_000 } as const;
  const { status, stdout, stderr } = spawnSync('promtool', [...args], options);
  return { status, output: stdout + stderr };
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  /** Seconds, then the value as text. */
  readonly value: readonly [number, string];
}

/** As Prometheus has read it from a file. */
export interface Rule {
  readonly type: 'alerting' | 'recording';
  readonly name: string;
  readonly query: string;
  /** Of an alert: seconds. */
  readonly duration?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly lastError?: string;
  readonly health: string;
}

export interface Prometheus {
  readonly url: string;
  /** Rejects with what it says is wrong with `expr`. A scalar is one sample without labels. */
  query(expr: string): Promise<readonly Sample[]>;
  rules(): Promise<readonly Rule[]>;
  /** Resolves when `expr` has an answer. */
  until(expr: string): Promise<void>;
}

/** Stopped when the test ends, its data gone. `targets`: host:port under the job `quorate`. */
export async function startPrometheus(
  t: TestContext,
  { rules, targets = [] }: { readonly rules: string; readonly targets?: readonly string[] },
): Promise<Prometheus> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-prometheus-'));
  const config = join(directory, 'prometheus.yml');
  // JSON is YAML.
  writeFileSync(config, JSON.stringify(configFor(rules, targets)));
  const child = spawn(
    'timeout',
    [
      '--kill-after=5',
      `${MAX_SECONDS}`,
      'prometheus',
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      '--log.format=json',
      // Five seconds unless told otherwise, before the first scrape.
      '--scrape.discovery-reload-interval=100ms',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH } },
  );
  t.after(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(directory, { recursive: true, force: true });
  });
  return clientOf(await listening(child));
}

function configFor(rules: string, targets: readonly string[]): object {
  return {
    global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
    rule_files: [rules],
    scrape_configs: [{ job_name: 'quorate', static_configs: [{ targets }] }],
  };
}

/** The URL it listens on, once it is ready. */
async function listening(child: ChildProcess): Promise<string> {
  assert.ok(child.stderr);
  const said: string[] = [];
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    const { msg, address } = parseLine(line);
    if (msg === 'Listening on') url = `http://${address}`;
    if (msg === 'Server is ready to receive web requests.' && url !== undefined) {
      // Nobody reads on, and a full pipe would stop it.
      child.stderr.resume();
      return url;
    }
  }
  throw new Error(`expected a running prometheus, got its end after ${said.join('\n')}`);
}

function parseLine(line: string): { readonly msg?: unknown; readonly address?: unknown } {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

function clientOf(url: string): Prometheus {
  const query = async (expr: string): Promise<readonly Sample[]> => {
    const { resultType, result } = await get(
      url,
      `/api/v1/query?${new URLSearchParams({ query: expr })}`,
    );
    return resultType === 'scalar' ? [{ metric: {}, value: result }] : result;
  };
  return {
    url,
    query,
    rules: async () => {
      const { groups } = await get(url, '/api/v1/rules');
      return groups.flatMap(({ rules }: { rules: readonly Rule[] }) => rules);
    },
    until: async (expr) => {
      const end = performance.now() + DEADLINE_MS;
      while ((await query(expr)).length === 0) {
        assert.ok(performance.now() < end, `expected an answer to ${expr}, got none in time`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    },
  };
}

async function get(url: string, path: string) {
  const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(10_000) });
  const { status, error, data } = JSON.parse(await response.text());
  if (status !== 'success') throw new Error(`${error}: ${path}`);
  return data;
}
