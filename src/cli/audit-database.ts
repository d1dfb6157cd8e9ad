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
import type { ErasureState } from './audit-erasures.ts';
import { Replay, type ReplayOptions, type ReplaySource } from './audit-replay.ts';
import { type ExpectedDescriptor, ExpectedIndex } from './expected-index.ts';

export interface AuditOptions extends ReplayOptions {
  readonly verifier: Verifier & NoteVerifier;
  /** Whether leaves alone will do for what was pruned. */
  readonly isPrunedAccepted: boolean;
  /** Where else what was pruned may be found. */
  readonly archive?: Pick<Archive, 'find' | 'descriptors'> | undefined;
  readonly witnesses: AskWitnesses;
  readonly onProgress: (done: number, total: number) => void;
}

/** Throws what `verifyEntry` throws, `wrong_registry`, `fork`, `storage_damaged` and what witnesses lack. */
export async function auditDatabase(
  database: AuditedDatabase,
  options: AuditOptions,
): Promise<AuditSummary> {
  const walk = new DatabaseWalk(database, options);
  await walk.toVersion();
  // What came later may have let go of what is compared here: then it goes on to the newest entry.
  for (let round = 0; round < MAX_ROUNDS && (await database.hasLetGo()); round++) {
    if ((await database.advance()) <= NEAR) break;
    await walk.toVersion();
  }
  return walk.end();
}

/** A log that grows faster than it is verified is not caught up with. */
const MAX_ROUNDS = 8;
/** Entries that are verified in a moment. */
const NEAR = 256;
/** Descriptors whose rows are compared in a moment. */
const DESCRIPTORS_AT_ONCE = 256;

class DatabaseWalk {
  readonly #database: AuditedDatabase;
  readonly #options: AuditOptions;
  readonly #replay: Replay;
  readonly #index = new ExpectedIndex();
  #counts = NOTHING_COUNTED;
  /** Entries that the database has pruned. */
  readonly #pruned = new Set<number>();
  #next = 0;
  #nodes = 0;
  /** As it was kept when the database was opened: a service may be running. */
  readonly #newest: SignedCheckpoint | undefined;
  #checkpoint: CheckpointSummary | null = null;

  constructor(database: AuditedDatabase, options: AuditOptions) {
    this.#database = database;
    this.#options = options;
    this.#replay = new Replay(options, sourceOf(database, options.archive));
    if (database.note !== undefined) this.#newest = readSignedCheckpoint(database.note);
  }

  /** Every entry up to the database's version, its signatures included, and the rows that they give. */
  async toVersion(): Promise<void> {
    const { onProgress } = this.#options;
    while (this.#next <= this.#database.version) {
      await this.#step();
      onProgress(this.#next, this.#database.version + 1);
    }
    await this.#replay.settled();
    if (!(await this.#database.hasLetGo())) await this.#replay.end();
    const touched = this.#index.takeTouched();
    for (let at = 0; at < touched.length; at += DESCRIPTORS_AT_ONCE)
      await this.#database.atOneMoment(async () => {
        for (const descriptor of touched.slice(at, at + DESCRIPTORS_AT_ONCE))
          await this.#compareSpans(descriptor);
      });
  }

  /** Where the set may be asked for, it must be of the same moment as the entries. */
  async #step(): Promise<void> {
    const page = await this.#database.page(this.#next);
    const isSetKnown = this.#replay.isSetKnown && page.every(({ payload }) => payload.length > 0);
    if (isSetKnown) return this.#add(page);
    await this.#database.atOneMoment(async () => this.#add(await this.#database.page(this.#next)));
  }

  async #add(page: readonly AuditedEntry[]): Promise<void> {
    this.#next += page.length;
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
    const { chain, erasures, leaves } = await this.#database.atOneMoment(() => this.#atTheEnd());
    if (SetTree.EMPTY.with(leaves).root !== chain.set.root)
      throw damaged(`the rows of the set at the head to give ${chain.set.root}`);
    const { checkpoint, nodes } = { checkpoint: this.#checkpoint, nodes: this.#nodes };
    const { rows } = this.#index;
    return summaryOf(chain, this.#counts, { checkpoint, erasures, rows, nodes, tiles: null });
  }

  async #atTheEnd() {
    if (await this.#database.hasLetGo()) await this.#database.advance();
    await this.toVersion();
    const erasures = await this.#replay.end();
    await this.#compareErasures(erasures);
    const { chain } = this.#replay;
    if (chain === null) throw damaged('a genesis at version 0', 'nothing');
    const newest = this.#newest;
    if (newest !== undefined && newest.size > chain.tree.size)
      throw damaged(
        `at most ${chain.tree.size} entries in the checkpoint`,
        `${newest.size}: entries were lost`,
      );
    if (!(await this.#database.hasNoNodesAfter(chain.tree.size)))
      throw damaged(`no node of the tree past ${chain.tree.size} entries`, 'one');
    return { chain, erasures, leaves: await leavesOfSet(this.#database, chain) };
  }

  /** A row for each that an entry says, and no bytes of any. */
  async #compareErasures({ found }: ErasureState): Promise<void> {
    const rows = await this.#database.erased();
    const expected = new Map(found);
    for (const { version, erasedBy, bytesLeft } of rows) {
      if (expected.get(version) !== erasedBy)
        throw damaged(`erasures as the entries say`, `one of version ${version} by ${erasedBy}`);
      if (bytesLeft !== 0)
        throw damaged(`nothing left of version ${version}, which was erased`, 'bytes of it');
    }
    if (rows.length !== expected.size)
      throw damaged(`the ${expected.size} erasures that entries say`, String(rows.length));
  }

  /** Each descriptor's history, value by value. */
  async #compareSpans(descriptor: ExpectedDescriptor): Promise<void> {
    const { kind, id, spans } = descriptor;
    const rows = (await this.#database.spans({ kind, id })).toReversed();
    if (this.#index.areRowsOf(descriptor, rows)) return;
    for (const { setVersion } of spans) await this.#noteGone(setVersion);
    if (!this.#index.areRowsOf(descriptor, rows))
      throw damaged(`the rows of ${kind}/${id} as the entries give them`);
  }

  /** An entry may have lost its payload since it was read, and its rows with it. */
  async #noteGone(version: number): Promise<void> {
    const { payload, approvals, entryHash } = await this.#database.entry(version);
    if (payload.length > 0) return;
    this.#index.forget(version);
    if (approvals.length > 0) this.#replay.expectErased(version, entryHash);
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
    const checkpoint = this.#newest;
    if (checkpoint?.size !== chain.tree.size) return;
    try {
      this.#checkpoint = await assertCheckpointOf(chain, checkpoint, this.#options);
    } catch (error) {
      // An entry before it may have a signature that fails: the first is told.
      await this.#replay.settled();
      throw error;
    }
  }
}

/** Whose rows a set may be made of. */
type RowSource = Pick<AuditedDatabase, 'descriptors'>;

/** Leaves are compared with the stored tree by and by, and sets with the roots that the leaves name. */
function sourceOf(database: AuditedDatabase, archive: RowSource | undefined): ReplaySource {
  return {
    setBefore: async ({ version, set: before }, { proposal, leaf }) => {
      const after = { root: leaf.set_root, size: leaf.set_size };
      for (const rows of archive === undefined ? [database] : [database, archive]) {
        const set = await setOfRows(rows, version, before);
        if (set !== undefined) return set;
        const later = await setOfRows(rows, leaf.version, after);
        if (later !== undefined) return undone(later, changesOf(proposal.payload), before);
      }
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
  source: RowSource,
  version: number,
  expected: SetIdentity,
): Promise<SetTree | undefined> {
  const leaves: SetLeaf[] = [];
  for await (const row of source.descriptors(version))
    leaves.push({ path: descriptorPath(row), valueHash: row.valueHash });
  const set = SetTree.EMPTY.with(leaves);
  return set.root === expected.root && set.size === expected.size ? set : undefined;
}

/** Of the set at the head, every value of it hashed: some may have been put by entries that are gone. */
async function leavesOfSet(database: AuditedDatabase, { set }: Chain): Promise<readonly SetLeaf[]> {
  const leaves: SetLeaf[] = [];
  for await (const row of database.descriptors()) {
    const { kind, id, bytes, valueHash } = row;
    if (!isEqualBytes(descriptorValueHash(bytes), valueHash))
      throw damaged(`the bytes of ${kind}/${id} as its row names them`);
    leaves.push({ path: descriptorPath(row), valueHash });
  }
  if (leaves.length !== set.size)
    throw damaged(`${set.size} rows in the set at the head`, String(leaves.length));
  return leaves;
}

function damaged(expected: string, got = 'others'): RegistryError {
  return new RegistryError('storage_damaged', `expected ${expected}, got ${got}`);
}
