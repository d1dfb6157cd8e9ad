/**
 * How many entries an auditor verifies in a second: a log of small entries with three approvals each, in
 * a database, beside what its signatures alone cost one thread. Leave the machine alone meanwhile.
 */
import { createPublicKey, sign, verify } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { auditDatabase } from '../../src/cli/audit-database.ts';
import { openAudit } from '../../src/server/audit.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { SignaturePool } from '../../src/server/signature-pool.ts';
import { ALICE } from '../support/core-registry.ts';
import { makeLongLog } from './long-log.ts';

/** Three signatures on two cores are 1.5 at least; a busy machine must not fail it. */
const MAX_RATIO = 5;

async function measure(
  path: string,
): Promise<{ readonly entries: number; readonly seconds: number }> {
  await using pool = new SignaturePool();
  await using database = await openAudit(path);
  const began = performance.now();
  const { entries } = await auditDatabase(database, {
    verifySignatures: (batch) => pool.verify(batch),
    verifier: createNativeVerifier(),
    registry: undefined,
    isPrunedAccepted: false,
    witnesses: async () => undefined,
    onProgress: () => {},
  });
  return { entries, seconds: (performance.now() - began) / 1000 };
}

/** Microseconds. */
function signatureCost(): number {
  const message = new Uint8Array(250);
  const key = createPublicKey(ALICE.privateKey);
  const signature = sign(null, message, ALICE.privateKey);
  const turns = 2_000;
  const began = performance.now();
  for (let i = 0; i < turns; i++) verify(null, message, key, signature);
  return ((performance.now() - began) * 1000) / turns;
}

const { values } = parseArgs({ options: { count: { type: 'string', default: '20000' } } });
const directory = await mkdtemp(join(tmpdir(), 'quorate-audit-'));
try {
  const path = join(directory, 'registry.db');
  await makeLongLog({ path, count: Number(values.count) });
  const signatureUs = signatureCost();
  const { entries, seconds } = await measure(path);
  const entryUs = (seconds * 1e6) / entries;
  console.log(
    `${entries} entries in ${seconds.toFixed(1)} s: ${(entries / seconds).toFixed(0)} entries/s on ${availableParallelism()} cores`,
  );
  const ratio = entryUs / signatureUs;
  process.exitCode = ratio <= MAX_RATIO ? 0 : 1;
  console.log(
    `${entryUs.toFixed(0)} us an entry, ${ratio.toFixed(1)} times a signature (${signatureUs.toFixed(0)} us), of which it has three`,
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
