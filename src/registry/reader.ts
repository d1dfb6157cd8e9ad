/** Reads at a version. Nothing leaves before it was re-hashed: a damaged byte is an error, never an answer. */
import { decodeApprovals } from '../core/approval.ts';
import { isEqualBytes } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import { descriptorPath } from '../core/descriptor.ts';
import type { Governance } from '../core/governance.ts';
import { formatHash } from '../core/hash.ts';
import type { EntryBytes, Leaf } from '../core/leaf.ts';
import { encodeSetProof } from '../core/set-proof.ts';
import type { SetTree } from '../core/set-tree.ts';
import type { TileName } from '../core/tlog/tiles.ts';
import type { Store, StoredDescriptor, StoredEntry } from '../store/store.ts';
import type { Checkpoints } from './checkpoints.ts';
import { assertDescriptor, type GovernanceSpan } from './load.ts';
import { LogProofs } from './log-proofs.ts';
import type { CommittedProposal } from './proposal-view.ts';
import { publishEntry } from './published.ts';
import type {
  Asker,
  DescriptorAnswer,
  DescriptorQuery,
  Difference,
  EntryRange,
  HistoryItem,
  HistoryQuery,
  NamedLeaf,
  PublishedHead,
  Reader,
  SetAnswer,
  SetHashes,
} from './registry.ts';
import type { Retained } from './retained.ts';
import { assertStoredEntry, assertStoredLeaves, damaged, storedPayload } from './stored.ts';
import type { Trees } from './trees.ts';

const MAX_ENTRIES = 1_000;

export interface LogReaderOptions {
  readonly store: Store;
  readonly trees: Trees;
  /** Resolves when the set at the head is known: until then its rows may be damaged. */
  readonly known: () => Promise<void>;
  readonly head: () => PublishedHead | undefined;
  readonly chain: () => Chain | null;
  /** Ascending. */
  readonly governances: () => readonly GovernanceSpan[];
  readonly checkpoints: Pick<Checkpoints, 'published' | 'tree'>;
  readonly retained: Retained;
}

export class LogReader implements Reader {
  readonly #options: LogReaderOptions;
  readonly #store: Store;
  readonly #proofs: LogProofs;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#proofs = new LogProofs(options.store, () => options.checkpoints.tree);
  }

  async entry(
    version: number,
  ): Promise<(EntryBytes & { entryHash: StoredEntry['entryHash'] }) | undefined> {
    const stored = await this.#stored(version);
    if (stored !== undefined) this.#options.retained.assertPayload(stored.entry, stored.leaf.type);
    return stored?.entry;
  }

  async leaf(version: number): Promise<Leaf | undefined> {
    return (await this.#stored(version))?.leaf;
  }

  async keptLeaf(version: number): Promise<Leaf | undefined> {
    if (!this.#isVisible(version)) return undefined;
    this.#options.retained.assertKept(version);
    return this.leaf(version);
  }

  async entries({ from, limit }: EntryRange): Promise<readonly EntryBytes[]> {
    const head = this.#options.head();
    if (head === undefined || from > head.version) return [];
    const { retained } = this.#options;
    retained.assertKept(from);
    const visible = Math.min(limit, MAX_ENTRIES, head.version + 1 - from);
    const entries = await this.#store.entries({ from, limit: visible });
    // Those that were pruned meanwhile came without approvals.
    retained.assertKept(from);
    for (const entry of entries) assertStoredEntry(entry, retained);
    return entries;
  }

  async governance(
    version: number,
  ): Promise<{ version: number; governance: Governance } | undefined> {
    if (!this.#isVisible(version)) return undefined;
    return { version, governance: this.#governanceAfter(version) };
  }

  isWholeSet(version: number): boolean {
    return this.#options.retained.isWholeSet(version);
  }

  async set(version: number, asker: Asker = {}): Promise<SetAnswer | undefined> {
    const leaf = await this.keptLeaf(version);
    if (leaf === undefined) return undefined;
    this.#options.retained.assertWholeSet(version);
    const tree = await this.#options.trees.at(leaf, asker);
    return {
      version,
      setRoot: leaf.set_root,
      size: leaf.set_size,
      pages: this.#pages(version, tree),
    };
  }

  async setHashes(version: number, asker: Asker = {}): Promise<SetHashes | undefined> {
    const leaf = await this.keptLeaf(version);
    if (leaf === undefined) return undefined;
    const tree = await this.#options.trees.at(leaf, asker);
    return { version, setRoot: leaf.set_root, leaves: tree.leaves() };
  }

  async descriptor(
    query: DescriptorQuery,
    asker: Asker = {},
  ): Promise<DescriptorAnswer | undefined> {
    const leaf = await this.keptLeaf(query.version);
    if (leaf === undefined) return undefined;
    return await this.#options.retained.whileKept(query.version, () =>
      this.#descriptor(leaf, query, asker),
    );
  }

  async #descriptor(leaf: Leaf, query: DescriptorQuery, asker: Asker): Promise<DescriptorAnswer> {
    const row = await this.#store.descriptor(query);
    if (row !== undefined) this.#assertValue(row, query.version);
    const tree = await this.#options.trees.at(leaf, asker);
    const path = descriptorPath(query);
    assertInTree(tree, { ...query, path, row });
    return {
      version: query.version,
      leaf,
      setRoot: leaf.set_root,
      bytes: row?.bytes ?? null,
      valueHash: row === undefined ? null : formatHash(row.valueHash),
      setVersion: row?.setVersion ?? null,
      proof: query.isProofWanted ? encodeSetProof(tree.branch(path)) : null,
    };
  }

  async diff(
    range: { from: number; to: number },
    asker: Asker = {},
  ): Promise<readonly Difference[] | undefined> {
    const [from, to] = [await this.keptLeaf(range.from), await this.keptLeaf(range.to)];
    if (from === undefined || to === undefined) return undefined;
    return await this.#options.retained.whileKept(Math.min(range.from, range.to), () =>
      this.#diff(from, to, asker),
    );
  }

  async #diff(older: Leaf, newer: Leaf, asker: Asker): Promise<readonly Difference[]> {
    const [from, to] = [older.version, newer.version];
    const start = await this.#options.trees.at(older, asker);
    let tree = start;
    const differences: Difference[] = [];
    for await (const page of this.#store.diff({ from, to })) {
      const changes = page.map((row) => ({ ...row, path: descriptorPath(row) }));
      for (const { kind, id, path, before, after } of changes) {
        if (before !== null) this.#assertValue(before, from);
        if (after !== null) this.#assertValue(after, to);
        assertInTree(start, { kind, id, path, row: before ?? undefined });
        differences.push({ kind, id, before: before?.bytes ?? null, after: after?.bytes ?? null });
      }
      tree = tree.with(
        changes.map(({ path, after }) => ({ path, valueHash: after?.valueHash ?? null })),
      );
    }
    if (tree.root !== newer.set_root)
      throw damaged(`expected changes that lead from version ${from} to ${to}, got others`);
    return differences;
  }

  async history(query: HistoryQuery): Promise<readonly HistoryItem[]> {
    await this.#options.known();
    const head = this.#options.head()?.version ?? -1;
    // Those on their way to be visible would fill a page that is then empty.
    const before = Math.min(query.before ?? head + 1, head + 1);
    const spans = await this.#store.history({ ...query, before });
    // As it was after the read: what is on its way to be dropped is told by nobody either.
    const { oldest } = this.#options.retained.state;
    return spans
      .filter((span) => (span.endVersion ?? head + 1) > oldest)
      .map((span) => {
        const { setVersion, endVersion, bytes, valueHash } = span;
        const isLost = bytes.length === 0 && this.#options.retained.isErased(setVersion);
        if (!isLost) assertDescriptor(span);
        const isEnded = endVersion !== null && endVersion <= head;
        return {
          setVersion,
          endVersion: isEnded ? endVersion : null,
          bytes: isLost ? null : bytes,
          valueHash: formatHash(valueHash),
        };
      });
  }

  tile(name: TileName): Promise<Uint8Array | undefined> {
    return this.#proofs.tile(name);
  }

  inclusionProof(place: {
    version: number;
    size: number;
  }): Promise<readonly Uint8Array[] | undefined> {
    return this.#proofs.inclusion(place);
  }

  consistencyProof(sizes: {
    from: number;
    size: number;
  }): Promise<readonly Uint8Array[] | undefined> {
    return this.#proofs.consistency(sizes);
  }

  async leaves({ from, limit }: EntryRange): Promise<readonly NamedLeaf[]> {
    const head = this.#options.head();
    if (head === undefined || from > head.version) return [];
    // One more, which names the last.
    const present = head.version + 1 - from;
    const bytes = await this.#store.leaves({ from, limit: Math.min(limit + 1, present) });
    return assertStoredLeaves(bytes, { from, head: head.object }).slice(0, limit);
  }

  /** Entries as events, ascending from `from`. */
  async published(range: EntryRange): Promise<readonly PublishedHead[]> {
    const registry = this.#options.chain()?.registry;
    if (registry === undefined) return [];
    // Leaves alone: payloads would cost a stream more than all it sends.
    const leaves = await this.leaves(range);
    const note = this.#options.checkpoints.published?.note;
    return leaves.map((named) => publishEntry({ ...named, registry, note }));
  }

  async committed(version: number): Promise<CommittedProposal | undefined> {
    const stored = await this.#stored(version);
    const registry = this.#options.chain()?.registry;
    if (stored === undefined || registry === undefined) return undefined;
    this.#options.retained.assertPayload(stored.entry, stored.leaf.type);
    return {
      proposal: storedPayload(stored.entry),
      approvals: decodeApprovals(stored.entry.approvals),
      chain: version === 0 ? null : { governance: this.#governanceAfter(version - 1) },
      head: publishEntry({
        leaf: stored.leaf,
        entryHash: stored.entry.entryHash,
        registry,
        note: this.#options.checkpoints.published?.note,
      }),
    };
  }

  /** Throws `erased` where a value's bytes were let go of, `storage_damaged` where they are not what they were. */
  #assertValue(row: StoredDescriptor, version: number): void {
    if (row.bytes.length === 0) throw this.#options.retained.lostValue(row.setVersion, version);
    assertDescriptor(row);
  }

  async #stored(version: number): Promise<{ entry: StoredEntry; leaf: Leaf } | undefined> {
    if (!this.#isVisible(version)) return undefined;
    const entry = await this.#store.entry(version);
    if (entry === undefined) throw damaged(`expected version ${version} in the log, got nothing`);
    return { entry, leaf: assertStoredEntry(entry, this.#options.retained) };
  }

  #isVisible(version: number): boolean {
    const head = this.#options.head();
    return head !== undefined && version >= 0 && version <= head.version;
  }

  /** In force for the entry after `version`. */
  #governanceAfter(version: number): Governance {
    const span = this.#options.governances().findLast(({ from }) => from <= version);
    if (span === undefined) throw damaged(`expected a governance at version ${version}, got none`);
    return span.governance;
  }

  async *#pages(version: number, tree: SetTree): AsyncGenerator<readonly Uint8Array[]> {
    let size = 0;
    for await (const page of this.#store.set(version)) {
      for (const row of page) {
        this.#assertValue(row, version);
        assertInTree(tree, { ...row, path: descriptorPath(row), row });
      }
      size += page.length;
      yield page.map((row) => row.bytes);
    }
    // Rows that a pruning took meanwhile are no damage.
    if (size !== tree.size) this.#options.retained.assertKept(version);
    if (size !== tree.size)
      throw damaged(`expected ${tree.size} descriptors at version ${version}, got ${size}`);
  }
}

function assertInTree(
  tree: SetTree,
  {
    kind,
    id,
    path,
    row,
  }: { kind: string; id: string; path: Uint8Array; row: StoredDescriptor | undefined },
): void {
  const committed = tree.get(path);
  const isSame =
    committed === undefined || row === undefined
      ? committed === row
      : isEqualBytes(committed, row.valueHash);
  if (!isSame)
    throw damaged(
      `expected ${kind}/${id} as the set root commits to it, got another value or none`,
    );
}
