/**
 * An audit of a database file: the log replayed from genesis by the rules every reader goes by, and the
 * rows beside it held against what the entries say they must be. Believes nothing the file says.
 */

import { type SetIdentity, undone } from '../client/known-set.ts';
import { isEqualBytes } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import { descriptorPath, descriptorValueHash } from '../core/descriptor.ts';
import { RegistryError } from '../core/error.ts';
import { changesOf } from '../core/payload.ts';
import type { SetLeaf } from '../core/set-rows.ts';
import { SetTree } from '../core/set-tree.ts';
import { recordHash } from '../core/tlog/merkle.ts';
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
import type { Archive } from './audit-archive.ts';
import { type AskWitnesses, assertCheckpointOf } from './audit-checkpoint.ts';
import type { AuditedBytes, Replayed } from './audit-entry.ts';
import { Replay, type ReplayOptions, type ReplaySource } from './audit-replay.ts';
import { ExpectedIndex } from './expected-index.ts';

export interface AuditOptions extends ReplayOptions {
  readonly verifier: Verifier & NoteVerifier;
  /** Whether leaves alone will do for what was pruned. */
  readonly isPrunedAccepted: boolean;
  /** Where else what was pruned may be found. */
  readonly archive?: Pick<Archive, 'find'> | undefined;
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
  /** Entries that the database has pruned. */
  readonly #pruned = new Set<number>();
  #nodes = 0;
  #note: Promise<SignedCheckpoint | undefined> | undefined;
  #checkpoint: CheckpointSummary | null = null;

  constructor(database: AuditedDatabase, options: AuditOptions) {
    this.#database = database;
    this.#options = options;
    this.#replay = new Replay(options, sourceOf(database));
  }

  async add(page: readonly AuditedEntry[]): Promise<void> {
    const entries: AuditedBytes[] = [];
    for (const entry of page) entries.push(await this.#bytesOf(entry));
    const replayed = await this.#replay.add(entries);
    for (const [i, entry] of page.entries()) {
      const made = replayed[i];
      if (made === undefined) continue;
      await this.#compareRow(entry, made);
      // What a pruned entry put is in the rows no more than what nobody knows of.
      const isIndexed = made.kind === 'whole' && !this.#pruned.has(made.leaf.version);
      if (!isIndexed) this.#index.forget(made.leaf.version);
      for (const change of isIndexed ? made.changes : [])
        this.#index.add(change, made.leaf.version);
    }
    await this.#compareNodes(replayed);
    this.#counts = counted(this.#counts, replayed);
    for (const { chain } of replayed) await this.#compareCheckpoint(chain);
  }

  async end(): Promise<AuditSummary> {
    const erasures = await this.#replay.end();
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
    return summaryOf(chain, this.#counts, { checkpoint, erasures, rows, nodes, tiles: null });
  }

  /** A payload that was erased is empty, and so are the approvals of an entry that was pruned. */
  async #bytesOf({ version, leaf, payload, approvals }: AuditedEntry): Promise<AuditedBytes> {
    if (payload.length > 0) return { leaf, payload, approvals };
    if (approvals.length > 0) return { leaf, payload: null, approvals };
    this.#pruned.add(version);
    const found = await this.#options.archive?.find({ version, leaf });
    if (found !== undefined) return found;
    if (this.#options.isPrunedAccepted) return { leaf, payload: null, approvals: null };
    throw new RegistryError(
      'pruned',
      `expected every entry with its payload, got version ${version}, which was pruned: give quorate verify a snapshot that holds it (--snapshot), or accept it by its leaf alone`,
      { details: { version } },
    );
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

/** Leaves are compared with the stored tree by and by, and sets with the roots that the leaves name. */
function sourceOf(database: AuditedDatabase): ReplaySource {
  return {
    setBefore: async ({ version, set: before }, { proposal, leaf }) => {
      const set = await setOfRows(database, version, before);
      if (set !== undefined) return set;
      const after = { root: leaf.set_root, size: leaf.set_size };
      const later = await setOfRows(database, leaf.version, after);
      if (later !== undefined) return undone(later, changesOf(proposal.payload), before);
      throw damaged(`the rows of the set at version ${version} to give its root`);
    },
    leafAt: async (version) => {
      const { leaf } = await database.entry(version);
      const [node] = await database.nodes([{ level: 0, index: version }]);
      if (node !== undefined && isEqualBytes(node, recordHash(leaf))) return leaf;
      throw damaged(`leaf ${version} as the tree has it`);
    },
  };
}

/** `undefined`: they are another set's, as of a version that was pruned. */
async function setOfRows(
  database: AuditedDatabase,
  version: number,
  expected: SetIdentity,
): Promise<SetTree | undefined> {
  const leaves: SetLeaf[] = [];
  for await (const row of database.descriptors(version))
    leaves.push({ path: descriptorPath(row), valueHash: row.valueHash });
  const set = SetTree.EMPTY.with(leaves);
  return set.root === expected.root && set.size === expected.size ? set : undefined;
}

/** Each descriptor's history, value by value. */
async function compareSpans(database: AuditedDatabase, index: ExpectedIndex): Promise<number> {
  let rows = 0;
  for (const { kind, id, spans } of index.descriptors) {
    const stored = (await database.spans({ kind, id })).toReversed();
    // What an entry without its payload put is in the set roots, and nowhere else.
    const found = stored.filter(({ setVersion }) => !index.isForgotten(setVersion));
    const isSame =
      found.length === spans.length &&
      spans.every((span, i) => found[i] !== undefined && index.isRowOf(span, found[i]));
    if (!isSame) throw damaged(`the rows of ${kind}/${id} as the entries give them`);
    rows += spans.length;
  }
  return rows;
}

/** The set at the head, every value of it: some may have been put by entries that are gone. */
async function compareSet(database: AuditedDatabase, { version, set }: Chain): Promise<void> {
  let rows = 0;
  for await (const { kind, id, bytes, valueHash } of database.descriptors()) {
    if (!isEqualBytes(descriptorValueHash(bytes), valueHash))
      throw damaged(`the bytes of ${kind}/${id} as its row names them`);
    rows++;
  }
  if (rows !== set.size) throw damaged(`${set.size} rows in the set at the head`, String(rows));
  if ((await setOfRows(database, version, set)) === undefined)
    throw damaged(`the rows of the set at the head to give ${set.root}`);
}

function damaged(expected: string, got = 'others'): RegistryError {
  return new RegistryError('storage_damaged', `expected ${expected}, got ${got}`);
}
