/** A registry in a data directory with its operator's socket: everything real but the clock. */
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openFreeze } from '../../src/server/operator/freeze.ts';
import { type OperatorParts, operatorListener } from '../../src/server/operator/listener.ts';
import { snapshotCoverage } from '../../src/server/retention/coverage.ts';
import { RetentionRun } from '../../src/server/retention/retention.ts';
import { Snapshots, snapshotDirectory } from '../../src/server/snapshot/snapshots.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import type { Store } from '../../src/store/store.ts';
import type { AuditEvent } from '../../src/telemetry/audit.ts';
import type { LogFields } from '../../src/telemetry/log.ts';
import {
  openTestRegistry,
  SILENT_LOG,
  type TestRegistry,
  type TestRegistryOptions,
} from './registry.ts';
import { makeDirectory, openStore } from './store-sqlite.ts';

export interface Asked {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface TestOperator extends TestRegistry {
  readonly dataDir: string;
  readonly databasePath: string;
  readonly socketPath: string;
  readonly freeze: OperatorParts['freeze'];
  readonly events: readonly AuditEvent[];
  readonly warnings: readonly { readonly message: string; readonly fields: LogFields }[];
  get(path: string): Promise<Asked>;
  /** `signal` breaks the connection. */
  post(path: string, body?: unknown, signal?: AbortSignal): Promise<Asked>;
}

export interface OperatorOptions {
  readonly registry?: TestRegistryOptions;
  readonly parts?: Partial<OperatorParts>;
  /** `true`: in memory. */
  readonly isMicronode?: boolean;
  readonly dataDir?: string;
  /** Between the database and everybody else. */
  readonly wrap?: (store: Store) => Store;
}

/** Closed when the test ends. */
export async function openOperator(
  t: TestContext,
  { registry, parts, isMicronode = false, dataDir = makeDirectory(), wrap }: OperatorOptions = {},
): Promise<TestOperator> {
  const databasePath = join(dataDir, 'registry.db');
  const opened = isMicronode ? createMemoryStore() : await openStore(t, databasePath);
  const store = wrap === undefined ? opened : wrap(opened);
  const warnings: TestOperator['warnings'][number][] = [];
  const log = {
    ...SILENT_LOG,
    warn: (message: string, fields: LogFields = {}) => void warnings.push({ message, fields }),
  };
  const freezePath = isMicronode ? null : join(dataDir, 'freeze.json');
  const freeze = await openFreeze(freezePath, { now: Date.now, log });
  const real = await openTestRegistry({ store, ...registry, gates: [freeze] });
  t.after(() => real.registry[Symbol.asyncDispose]());
  const events: AuditEvent[] = [];
  const snapshots = new Snapshots({
    store,
    dataDir: isMicronode ? null : dataDir,
    log,
    now: () => real.timers.now(),
    monotonicMs: () => performance.now(),
  });
  const retention = isMicronode
    ? undefined
    : new RetentionRun({
        registry: real.registry,
        store,
        policy: () => ({ ageMs: 0, entries: 0, bytes: 0 }),
        coverage: snapshotCoverage({
          directory: snapshotDirectory(dataDir),
          snapshots,
          registry: () => real.registry.head()?.object.registry,
          store,
          log,
        }),
        audit: { record: async (event) => void events.push(event) },
        newCorrId: () => 'retention',
        timers: real.timers,
        now: () => real.timers.now(),
        monotonicMs: () => real.timers.now(),
        log,
      });
  t.after(() => retention?.[Symbol.asyncDispose]());
  const listener = operatorListener({
    registry: real.registry,
    store,
    freeze,
    audit: { record: async (event) => void events.push(event) },
    reload: async () => [],
    snapshots,
    retention,
    now: () => real.timers.now(),
    log,
    build: { version: '1.2.3', revision: null },
    ...parts,
  });
  // Not in the data directory, where one that was never closed may be.
  const socketPath = join(makeDirectory(), 'operator.sock');
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    ...real,
    dataDir,
    databasePath,
    socketPath,
    freeze,
    events,
    warnings,
    get: (path) => ask(socketPath, { method: 'GET', path }),
    post: (path, body = {}, signal) =>
      ask(socketPath, { method: 'POST', path, body, ...(signal && { signal }) }),
  };
}

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export function ask(socketPath: string, { body, ...question }: Question): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', 'content-type': 'application/json' };
    const asked = request({ socketPath, headers, ...question }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: JSON.parse(text),
      });
    });
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Turns of the event loop until something holds; throws when it does not come about in ten seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startMs > 10_000) throw new Error(`expected ${holds}, it never came`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
