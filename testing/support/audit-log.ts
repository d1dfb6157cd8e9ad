/** Audit logs in directories that end with the process, on a clock that the test moves. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Hash } from '../../src/core/hash.ts';
import { type OpenAuditLog, openAuditLog } from '../../src/server/audit-log/open.ts';
import {
  AuditReading,
  type AuditSource,
  type AuditSummary,
} from '../../src/server/audit-log/read.ts';
import type { AuditRecord } from '../../src/server/audit-log/record.ts';
import { openAuditSource } from '../../src/server/audit-log/source.ts';
import type { AuditEvent } from '../../src/telemetry/audit.ts';
import type { Log } from '../../src/telemetry/log.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { makeDirectory } from './store-sqlite.ts';
import { TestTimers } from './timers.ts';

export const START = Date.UTC(2026, 10, 21, 9, 30);
export const MIB = 1024 * 1024;

export interface Instruments {
  readonly timers: TestTimers;
  readonly log: Log;
  /** What was logged, `level message`, in order. */
  readonly logged: string[];
  readonly metrics: Pick<Metrics, 'audited' | 'auditFailed'>;
  readonly counts: { accepted: number; refused: number; failed: number };
}

export function makeInstruments(): Instruments {
  const counts = { accepted: 0, refused: 0, failed: 0 };
  const logged: string[] = [];
  const note = (level: string) => (message: string) => void logged.push(`${level} ${message}`);
  return {
    timers: new TestTimers(START),
    logged,
    log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
    metrics: {
      audited: (decision) => {
        counts[decision]++;
      },
      auditFailed: () => {
        counts.failed++;
      },
    },
    counts,
  };
}

export interface TestAudit extends Instruments {
  readonly audit: OpenAuditLog;
  readonly dataDir: string;
  readonly directory: string;
}

/** Of a macronode; closed when the test ends. */
export async function openTestAudit(
  t: TestContext,
  { dataDir = makeDirectory(), maxBytes = MIB }: { dataDir?: string; maxBytes?: number } = {},
): Promise<TestAudit> {
  const made = makeInstruments();
  const audit = await openAuditLog(
    { profile: 'macronode', dataDir, auditMaxBytes: maxBytes },
    { ...made, now: () => made.timers.now() },
  );
  t.after(() => audit[Symbol.asyncDispose]());
  return { ...made, audit, dataDir, directory: join(dataDir, 'audit') };
}

const COMMIT: AuditEvent = {
  act: 'commit',
  decision: 'accepted',
  code: null,
  reason: null,
  client: '192.0.2.7',
  token: 'a1'.repeat(32),
  signer: null,
  proposal: `b3:${'5'.repeat(64)}`,
  version: 1,
  corrId: 'test-1',
};

export function event(change: Partial<AuditEvent> = {}): AuditEvent {
  return { ...COMMIT, ...change };
}

/** A refusal that no token vouches for. */
export function strangers(client: string, change: Partial<AuditEvent> = {}): AuditEvent {
  const refused = { decision: 'refused', code: 'unauthenticated', version: null } as const;
  return event({ ...refused, token: null, proposal: null, client, ...change });
}

/** Names, in their order. */
export function segmentsIn(directory: string): string[] {
  return readdirSync(directory).sort();
}

/** A log with `events` after its start, closed; answers its data directory. */
export async function writeLog(
  t: TestContext,
  events: readonly AuditEvent[],
  maxBytes = MIB,
): Promise<string> {
  const { audit, dataDir } = await openTestAudit(t, { maxBytes });
  for (const one of events) await audit.record(one);
  await audit[Symbol.asyncDispose]();
  return dataDir;
}

export interface ReadLog {
  readonly records: readonly AuditRecord[];
  readonly summary: AuditSummary;
}

export async function readLog(path: string, expectLast?: Hash): Promise<ReadLog> {
  return readSource(await openAuditSource(path), expectLast);
}

export function readBytes(bytes: Uint8Array, expectLast?: Hash): Promise<ReadLog> {
  const chunks = async function* () {
    yield bytes;
  };
  return readSource(
    { files: [{ name: 'bytes', segment: undefined, chunks }], isWhole: false },
    expectLast,
  );
}

async function readSource(source: AuditSource, expectLast: Hash | undefined): Promise<ReadLog> {
  const reading = new AuditReading(source, { expectLast });
  const records: AuditRecord[] = [];
  for await (const { record } of reading.records()) records.push(record);
  return { records, summary: reading.summary() };
}

/** A copy of one segment, changed, as a file of its own. */
export function changedCopy(path: string, change: (bytes: Buffer) => Uint8Array): string {
  const copy = join(makeDirectory(), 'copy.ndjson');
  writeFileSync(copy, change(readFileSync(path)));
  return copy;
}
