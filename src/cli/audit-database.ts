/**
 * An audit of a database file: the log replayed from genesis by the rules every reader goes by, and the
 * rows beside it held against what the entries say they must be. Believes nothing the file says.
 */
import { isEqualBytes } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import type { NoteVerifier } from '../core/tlog/note-signatures.ts';
import { readSignedCheckpoint, type SignedCheckpoint } from '../core/tlog/note-signatures.ts';
import type { Verifier } from '../core/verifier.ts';
import type { AuditedDatabase, AuditedEntry } from '../server/audit.ts';
import {
  type AuditSummary,
  type CheckpointSummary,
  counted,
  NOTHING_COUNTED,
  summaryOf,
} from './audit.ts';
import { type AskWitnesses, assertCheckpointOf } from './audit-checkpoint.ts';
import { Replay, type Replayed, type ReplayOptions } from './audit-replay.ts';
import { ExpectedIndex, isRowOf } from './expected-index.ts';

export interface AuditOptions extends ReplayOptions {
  readonly verifier: Verifier & NoteVerifier;
  readonly witnesses: AskWitnesses;
  readonly onProgress: (done: number, total: number) => void;
}

/** Throws what `verifyEntry` throws, `wrong_registry`, `fork`, `storage_damaged` and what witnesses lack. */
export async function auditDatabase(
  database: AuditedDatabase,
  options: AuditOptions,
): Promise<AuditSummary> {
  const walk = new DatabaseWalk(database, options);
  for await (const page of database.pages()) {
    await walk.add(page);
    options.onProgress((page.at(-1)?.version ?? 0) + 1, database.version + 1);
  }
  return walk.end();
}

class DatabaseWalk {
  readonly #database: AuditedDatabase;
  readonly #options: AuditOptions;
  readonly #replay: Replay;
  readonly #index = new ExpectedIndex();
  #counts = NOTHING_COUNTED;
  #nodes = 0;
  #note: Promise<SignedCheckpoint | undefined> | undefined;
  #checkpoint: CheckpointSummary | null = null;

  constructor(database: AuditedDatabase, options: AuditOptions) {
    this.#database = database;
    this.#options = options;
    this.#replay = new Replay(options);
  }

  async add(page: readonly AuditedEntry[]): Promise<void> {
    const replayed = await this.#replay.add(page);
    for (const [i, entry] of page.entries()) {
      const made = replayed[i];
      if (made === undefined) continue;
      await this.#compareRow(entry, made);
      for (const change of made.changes) this.#index.add(change, made.leaf.version);
    }
    await this.#compareNodes(replayed);
    this.#counts = counted(this.#counts, replayed);
    for (const { chain } of replayed) await this.#compareCheckpoint(chain);
  }

  async end(): Promise<AuditSummary> {
    await this.#replay.settled();
    const { chain } = this.#replay;
    if (chain === null) throw damaged('a genesis at version 0', 'nothing');
    const newest = await this.#newest();
    if (newest !== undefined && newest.size > chain.tree.size)
      throw damaged(
        `at most ${chain.tree.size} entries in the checkpoint`,
        `${newest.size}: entries were lost`,
      );
    if (!(await this.#database.hasNoNodesAfter(chain.tree.size)))
      throw damaged(`no node of the tree past ${chain.tree.size} entries`, 'one');
    const rows = await compareSpans(this.#database, this.#index);
    await compareSet(this.#database, chain);
    const { checkpoint, nodes } = { checkpoint: this.#checkpoint, nodes: this.#nodes };
    return summaryOf(chain, this.#counts, { checkpoint, rows, nodes, tiles: null });
  }

  async #compareRow(entry: AuditedEntry, { chain, leaf }: Replayed): Promise<void> {
    const isIndexed =
      entry.entryHash === chain.entryHash &&
      (await this.#database.committedVersion(leaf.payload_b3)) === leaf.version &&
      entry.isGovernance === (leaf.type === 'genesis' || leaf.type === 'governance');
    if (!isIndexed) throw damaged(`the row of version ${leaf.version} as its entry gives it`);
  }

  async #compareNodes(replayed: readonly Replayed[]): Promise<void> {
    const nodes = replayed.flatMap((entry) => entry.nodes);
    const stored = await this.#database.nodes(nodes);
    for (const [i, { level, index, hash }] of nodes.entries()) {
      const other = stored[i];
      if (other === undefined || !isEqualBytes(hash, other))
        throw damaged(
          `node ${level}/${index} of the tree as the leaves give it`,
          other === undefined ? 'nothing' : 'another',
        );
    }
    this.#nodes += nodes.length;
  }

  async #compareCheckpoint(chain: Chain): Promise<void> {
    const checkpoint = await this.#newest();
    if (checkpoint?.size !== chain.tree.size) return;
    try {
      this.#checkpoint = await assertCheckpointOf(chain, checkpoint, this.#options);
    } catch (error) {
      // An entry before it may have a signature that fails: the first is told.
      await this.#replay.settled();
      throw error;
    }
  }

  /** As it was kept when the walk began: a service may be running. */
  #newest(): Promise<SignedCheckpoint | undefined> {
    this.#note ??= this.#database
      .checkpoint()
      .then((note) => (note === undefined ? undefined : readSignedCheckpoint(note)));
    return this.#note;
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
