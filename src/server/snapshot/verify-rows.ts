/**
 * The rows beside a log, held against its payloads from the first to the last: each value that an entry put is
 * there as it put it, each has its end where the next begins or where it was removed, and there are no others.
 */
import type { Verifier } from '../../core/verifier.ts';
import { damaged } from '../../registry/stored.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import { DatabaseScan } from '../../store/sqlite-scan.ts';
import { emptyRegistry } from './facts.ts';
import { PageCheck, type RowsKept } from './verify-page.ts';
import { verifyProposals } from './verify-proposals.ts';
import { verifyCurrent, verifyOldest } from './verify-set.ts';

export interface RowsOptions {
  readonly verifier: Pick<Verifier, 'verify'>;
  /** Entries. */
  readonly onProgress: (done: number, total: number) => void;
}

/** All of what is beside the log. Expects the payloads to be verified by others. Throws `not_initialised` for an empty database, `storage_damaged`. */
export async function verifyRows(path: string, options: RowsOptions): Promise<void> {
  await verifyValues(path, options);
  await verifyOldest(path);
  await verifyCurrent(path);
}

/** Without the sets that they make. Throws likewise. */
export async function verifyValues(
  path: string,
  { verifier, onProgress }: RowsOptions,
): Promise<void> {
  await using store = openSqliteReader({ path });
  const head = await store.head();
  if (head === undefined) throw emptyRegistry();
  const total = head.version + 1;
  const { oldest, erasures } = await store.retention();
  const erased = new Set(erasures.map(({ version }) => version));
  assertRows(path, { oldest, erased }, (done) => onProgress(done, total));
  await verifyProposals(store, verifier);
}

function assertRows(path: string, kept: RowsKept, onProgress: (done: number) => void): void {
  using scan = new DatabaseScan(path);
  let [done, values, ended] = [0, 0, 0];
  for (const page of scan.changePages()) {
    new PageCheck(page, kept).assertRows();
    values += page.values.setVersions.length;
    ended += page.ended.endVersions.length;
    done += page.payloads.versions.length;
    onProgress(done);
  }
  const counts = scan.counts();
  if (counts.slashed > 0) throw damaged('expected kinds without a slash, got one with');
  // No set root covers them, so they could say anything.
  if (counts.gone > 0)
    throw damaged(`expected no value that had ended where all was pruned, got ${counts.gone}`);
  if (counts.values !== values || counts.ended !== ended)
    throw damaged(
      `expected ${values} values that an entry put, of which one ended ${ended}, got ${counts.values} and ${counts.ended}`,
    );
}
