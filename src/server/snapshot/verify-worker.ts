/** The thread that verifies one part of a copy, so that the one that serves is never held. */
import { openSqliteReader } from '../../store/sqlite.ts';
import { DatabaseScan } from '../../store/sqlite-scan.ts';
import { createNativeVerifier } from '../native-verifier.ts';
import { reportOutcome, type ThreadProgress } from '../reporting-thread.ts';
import type { SnapshotFacts } from './header.ts';
import { verifyApprovals } from './verify-approvals.ts';
import { verifyLog } from './verify-copy.ts';
import { verifyValues } from './verify-rows.ts';
import { verifyCurrent, verifyOldest } from './verify-set.ts';
import { verifyTail } from './verify-tail.ts';
import type { VerifyData } from './verify-threads.ts';

/** In all: often enough to be told. */
const STEPS = 256;

reportOutcome(async ({ path, part, foreign }: VerifyData, tell): Promise<SnapshotFacts | null> => {
  const onProgress = seldom(tell);
  const verifier = createNativeVerifier();
  if (part === 'rows') {
    await verifyValues(path, { verifier, onProgress });
    await verifyOldest(path);
    if (foreign !== undefined) {
      await using store = openSqliteReader({ path });
      await verifyTail(store, { verifier, ...foreign });
    }
    return null;
  }
  const facts = await verifyLog(path, { verifier, onProgress });
  if (foreign !== undefined) {
    await using store = openSqliteReader({ path });
    await verifyApprovals(store, verifier);
  }
  await verifyCurrent(path);
  assertSound(path);
  return facts;
});

function assertSound(path: string): void {
  using scan = new DatabaseScan(path);
  scan.assertSound();
}

function seldom(tell: (progress: ThreadProgress) => void) {
  let told = 0;
  return (done: number, total: number): void => {
    if (done < total && done - told < total / STEPS) return;
    told = done;
    tell({ done, total });
  };
}
