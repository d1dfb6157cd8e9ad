/**
 * An audit of a database file: the log replayed from genesis by the rules every reader goes by, and the
 * rows beside it held against what the entries say they must be. Believes nothing the file says.
 */
import { decodeApprovals } from '../core/approval.ts';
import { type Chain, verifyEntry } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { Verifier } from '../core/verifier.ts';
import type { AuditedDatabase, AuditedEntry } from '../server/audit.ts';
import { AuditCount, type AuditSummary } from './audit.ts';
import { ExpectedIndex, isRowOf } from './expected-index.ts';

export interface AuditOptions {
  readonly verifier: Verifier;
  /** The pinned registry. */
  readonly registry: Hash | undefined;
  readonly onProgress: (done: number, total: number) => void;
}

/** Throws what `verifyEntry` throws, `wrong_registry` or `storage_damaged`. */
export async function auditDatabase(
  database: AuditedDatabase,
  options: AuditOptions,
): Promise<AuditSummary> {
  const replay = new Replay(options);
  for await (const entry of database.entries()) {
    await replay.add(entry);
    options.onProgress(entry.version + 1, database.version + 1);
  }
  const { chain, count, index } = replay;
  if (chain === null) throw damaged('a genesis at version 0', 'nothing');
  const rows = await compareSpans(database, index);
  await compareSet(database, chain);
  const { set, ...head } = chain;
  return count.summary({ ...head, setRoot: set.root, setSize: set.size }, rows);
}

class Replay {
  readonly count = new AuditCount();
  readonly index = new ExpectedIndex();
  chain: Chain | null = null;
  readonly #options: AuditOptions;
  readonly #committed = new Set<Hash>();

  constructor(options: AuditOptions) {
    this.#options = options;
  }

  async add(entry: AuditedEntry): Promise<void> {
    const { verifier, registry } = this.#options;
    const isCommitted = (payloadB3: Hash) => this.#committed.has(payloadB3);
    const { chain, leaf, changes } = await verifyEntry(this.chain, entry, {
      verifier,
      isCommitted,
    });
    if (registry !== undefined && chain.registry !== registry)
      throw new RegistryError(
        'wrong_registry',
        `expected registry ${registry}, got ${chain.registry}`,
      );
    const isIndexed =
      entry.entryHash === chain.entryHash &&
      entry.payloadVersion === leaf.version &&
      entry.isGovernance === (leaf.type === 'genesis' || leaf.type === 'governance');
    if (!isIndexed) throw damaged(`the row of version ${leaf.version} as its entry gives it`);
    this.chain = chain;
    this.#committed.add(leaf.payload_b3);
    this.count.add({ leaf, approvals: decodeApprovals(entry.approvals) });
    for (const change of changes) this.index.add(change, chain.version);
  }
}

/** Each descriptor's history, value by value. */
async function compareSpans(database: AuditedDatabase, index: ExpectedIndex): Promise<number> {
  let rows = 0;
  for (const { kind, id, spans } of index.descriptors) {
    const found = (await database.spans({ kind, id })).toReversed();
    const isSame =
      found.length === spans.length &&
      spans.every((span, i) => found[i] !== undefined && isRowOf(span, found[i]));
    if (!isSame) throw damaged(`the rows of ${kind}/${id} as the entries give them`);
    rows += spans.length;
  }
  return rows;
}

/** No more rows in the set at the head than the entries put there. */
async function compareSet(database: AuditedDatabase, { set }: Chain): Promise<void> {
  let rows = 0;
  for await (const _ of database.descriptors()) rows++;
  if (rows !== set.size) throw damaged(`${set.size} rows in the set at the head`, String(rows));
}

function damaged(expected: string, got = 'others'): RegistryError {
  return new RegistryError('storage_damaged', `expected ${expected}, got ${got}`);
}
