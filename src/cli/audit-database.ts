/**
 * An audit of a database file: the log replayed from genesis by the rules every reader goes by, and the
 * descriptor index held against what the entries say it must be. Believes nothing the file says.
 */
import { decodeApprovals } from '../core/approval.ts';
import { isEqualBytes } from '../core/bytes.ts';
import { type AppliedChange, type Chain, verifyEntry } from '../core/chain.ts';
import { descriptorValueHash } from '../core/descriptor.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { Verifier } from '../core/verifier.ts';
import type { AuditedDatabase } from '../server/audit.ts';
import { AuditCount, type AuditSummary } from './audit.ts';
import { keyOf } from './plan.ts';

export interface AuditOptions {
  readonly verifier: Verifier;
  /** The pinned registry. */
  readonly registry: Hash | undefined;
  readonly onProgress: (version: number, head: number) => void;
}

/** One value as the entries say it was: from `setVersion` up to, not including, `endVersion`. */
interface Expected {
  readonly setVersion: number;
  readonly endVersion: number | null;
  readonly bytes: Uint8Array;
}

type Values = Map<
  string,
  { readonly kind: string; readonly id: string; spans: readonly Expected[] }
>;

/** Throws what `verifyEntry` throws, `wrong_registry` or `storage_damaged`. */
export async function auditDatabase(
  database: AuditedDatabase,
  options: AuditOptions,
): Promise<AuditSummary> {
  const count = new AuditCount();
  const values: Values = new Map();
  const chain = await replay(database, { ...options, count, values });
  const rows = (await compareSpans(database, values)) + (await compareSet(database, chain));
  const { set, ...head } = chain;
  return count.summary({ ...head, setRoot: set.root, setSize: set.size }, rows);
}

async function replay(
  database: AuditedDatabase,
  {
    verifier,
    registry,
    onProgress,
    count,
    values,
  }: AuditOptions & { count: AuditCount; values: Values },
): Promise<Chain> {
  const committed = new Set<Hash>();
  let chain: Chain | null = null;
  for await (const entry of database.entries()) {
    const isCommitted = (payloadB3: Hash) => committed.has(payloadB3);
    const appended = await verifyEntry(chain, entry, { verifier, isCommitted });
    chain = appended.chain;
    if (registry !== undefined && chain.registry !== registry)
      throw new RegistryError(
        'wrong_registry',
        `expected registry ${registry}, got ${chain.registry}`,
      );
    committed.add(appended.leaf.payload_b3);
    count.add({ leaf: appended.leaf, approvals: decodeApprovals(entry.approvals) });
    for (const change of appended.changes) apply(values, change, chain.version);
    onProgress(chain.version + 1, database.version + 1);
  }
  if (chain === null)
    throw new RegistryError('storage_damaged', 'expected a genesis at version 0, got nothing');
  return chain;
}

function apply(values: Values, { kind, id, bytes }: AppliedChange, version: number): void {
  const key = keyOf({ kind, id });
  const spans = (values.get(key)?.spans ?? []).map((span) =>
    span.endVersion === null ? { ...span, endVersion: version } : span,
  );
  if (bytes !== null) spans.push({ setVersion: version, endVersion: null, bytes });
  values.set(key, { kind, id, spans });
}

/** Each descriptor's history, value by value. The database may have grown since it was opened. */
async function compareSpans(database: AuditedDatabase, values: Values): Promise<number> {
  let rows = 0;
  for (const { kind, id, spans } of values.values()) {
    const found = (await database.spans({ kind, id })).filter(
      (row) => row.setVersion <= database.version,
    );
    const isSame =
      spans.length === found.length &&
      spans.toReversed().every((span, i) => {
        const row = found[i];
        const end = row?.endVersion ?? null;
        return (
          row?.setVersion === span.setVersion &&
          (end !== null && end <= database.version ? end : null) === span.endVersion &&
          isEqualBytes(row.bytes, span.bytes) &&
          isEqualBytes(row.valueHash, descriptorValueHash(span.bytes))
        );
      });
    if (!isSame)
      throw new RegistryError(
        'storage_damaged',
        `expected the rows of ${kind}/${id} that the entries give, got others`,
      );
    rows += spans.length;
  }
  return rows;
}

/** The rows that make the set at the head: those of the entries, and no more. */
async function compareSet(database: AuditedDatabase, { set }: Chain): Promise<number> {
  let rows = 0;
  for await (const _ of database.descriptors()) rows++;
  if (rows !== set.size)
    throw new RegistryError(
      'storage_damaged',
      `expected ${set.size} rows of the set at version ${database.version}, got ${rows}`,
    );
  return 0;
}
