/**
 * A process that keeps an audit log and says what became of each event, one line each: `ack I` when it
 * was kept in time, `failed I` when not, then `shut CODE` and `open`, and `closed`.
 * `node audit-child.ts DATA_DIR FROM COUNT MAX_BYTES SCALE`; its timers run SCALE times as fast.
 */
import { writeSync } from 'node:fs';
import { openAuditLog } from '../../src/server/audit-log/open.ts';
import { TIMERS } from '../../src/server/timers.ts';
import { event } from './audit-log.ts';

const [dataDir = '', from = '0', count = '0', maxBytes = '1048576', scale = '1'] =
  process.argv.slice(2);

function say(line: string): void {
  // Synchronous: what was said is out before anything can kill the process.
  writeSync(1, `${line}\n`);
}

let failed = 0;
const silent = () => undefined;
const audit = await openAuditLog(
  { profile: 'macronode', dataDir, auditMaxBytes: Number(maxBytes) },
  {
    metrics: { audited: silent, auditFailed: () => void failed++ },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    now: Date.now,
    timers: {
      setTimeout: (run, ms) => TIMERS.setTimeout(run, ms / Number(scale)),
      clearTimeout: TIMERS.clearTimeout,
    },
  },
);

async function opened(): Promise<void> {
  const refusal = audit.refusal();
  if (refusal === undefined) return;
  say(`shut ${refusal.code}`);
  while (audit.refusal() !== undefined) await new Promise((resolve) => setTimeout(resolve, 2));
  say('open');
}

await opened();
for (let i = Number(from); i < Number(from) + Number(count); i++) {
  failed = 0;
  await audit.record(event({ corrId: `e-${i}`, reason: 'x'.repeat(900) }));
  say(failed === 0 ? `ack ${i}` : `failed ${i}`);
  await opened();
}
await audit[Symbol.asyncDispose]();
say('closed');
