/**
 * The rows beside a log, held against its payloads from the first to the last: each value that an entry put is
 * there as it put it, each has its end where the next begins or where it was removed, and there are no others.
 */
import { descriptorPath } from '../../core/descriptor.ts';
import { hashOf } from '../../core/hash.ts';
import { decodeLeaf } from '../../core/leaf.ts';
import { decodePayload } from '../../core/payload.ts';
import { damaged } from '../../registry/stored.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import { DatabaseScan } from '../../store/sqlite-scan.ts';
import type { StoredEntry } from '../../store/store.ts';
import { SetRoot } from './set-root.ts';
import { PageCheck, type RowsKept } from './verify-page.ts';

/** Expects the payloads to be verified by others. Throws `storage_damaged`. */
export async function verifyRows(
  path: string,
  { onProgress }: { readonly onProgress: (done: number, total: number) => void },
): Promise<void> {
  await using store = openSqliteReader({ path });
  const head = await store.head();
  const total = (head?.version ?? -1) + 1;
  const { oldest, erasures } = await store.retention();
  const erased = new Set(erasures.map(({ version }) => version));
  const current = new SetRoot();
  assertRows(path, { oldest, erased, current }, (done) => onProgress(done, total));
  assertRoot(head, current);
  if (oldest > 0) await assertSetAt(store, oldest);
  for (const { payload, payloadB3, expiresAt } of await store.proposals())
    if (hashOf(payload) !== payloadB3 || decodePayload(payload).payload.expires_at !== expiresAt)
      throw damaged(`expected proposal ${payloadB3} as it was proposed, got other bytes`);
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
  if (counts.values !== values || counts.ended !== ended)
    throw damaged(
      `expected ${values} values that an entry put, of which one ended ${ended}, got ${counts.values} and ${counts.ended}`,
    );
}

/** The values whose payloads were pruned: what a checkpoint covers, they give. */
async function assertSetAt(store: ReadStore, version: number): Promise<void> {
  const entry = await store.entry(version);
  const rows = new SetRoot();
  for await (const page of store.set(version))
    for (const row of page) rows.add(descriptorPath(row), row.valueHash);
  assertRoot(entry, rows);
}

function assertRoot(entry: StoredEntry | undefined, rows: SetRoot): void {
  const leaf = entry && decodeLeaf(entry.leaf);
  const root = rows.root();
  if (root !== leaf?.set_root)
    throw damaged(
      `expected the descriptors at version ${leaf?.version} to give ${leaf?.set_root}, got ${root}`,
    );
}
