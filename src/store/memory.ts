/**
 * The store that forgets: everything in memory, nothing on disk, for micronode and for tests. Bytes
 * are kept as handed in, not copied.
 */
import type { Approval } from '../core/approval.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { PayloadType } from '../core/payload.ts';
import type { NodePlace, TreeNode } from '../core/tlog/merkle.ts';
import { MemorySpans } from './memory-spans.ts';
import { PAGE_BYTES } from './paging.ts';
import type {
  AppendEntry,
  AppendOutcome,
  Compaction,
  DescriptorKey,
  DescriptorSpan,
  HistoryQuery,
  PruneProgress,
  Retention,
  Store,
  StoredDescriptor,
  StoredDifference,
  StoredEntry,
  StoredProposal,
} from './store.ts';

export function createMemoryStore(): Store {
  return new MemoryStore();
}

class MemoryStore implements Store {
  /** By version. */
  readonly #entries: StoredEntry[] = [];
  readonly #governanceEntries: StoredEntry[] = [];
  readonly #committed = new Map<Hash, number>();
  /** By level, then index. */
  readonly #nodes: Uint8Array[][] = [];
  #checkpoint: string | undefined;
  readonly #spans = new MemorySpans();
  readonly #proposals = new Map<Hash, StoredProposal>();
  #logBytes = 0;
  readonly #keptWhole = new Set<number>();
  #oldest = 0;
  /** Versions below it are pruned. */
  #reached = 0;
  /** The erasing version of each that is erased. */
  readonly #erasures = new Map<number, number>();
  /** Why writes are refused. */
  #failure: RegistryError | undefined;

  async head(): Promise<StoredEntry | undefined> {
    return this.#entries.at(-1);
  }

  async entry(version: number): Promise<StoredEntry | undefined> {
    return this.#entries[version];
  }

  async entries({ from, limit }: { from: number; limit: number }): Promise<readonly StoredEntry[]> {
    const page: StoredEntry[] = [];
    let bytes = 0;
    for (const entry of this.#entries.slice(from, from + limit)) {
      page.push(entry);
      bytes += sizeOf(entry);
      if (bytes >= PAGE_BYTES) break;
    }
    return page;
  }

  async leaves({ from, limit }: { from: number; limit: number }): Promise<readonly Uint8Array[]> {
    return this.#entries.slice(from, from + limit).map(({ leaf }) => leaf);
  }

  async governanceEntries(): Promise<readonly StoredEntry[]> {
    return [...this.#governanceEntries];
  }

  async committedVersion(payloadB3: Hash): Promise<number | undefined> {
    return this.#committed.get(payloadB3);
  }

  async nodes(places: readonly NodePlace[]): Promise<readonly (Uint8Array | undefined)[]> {
    return places.map(({ level, index }) => this.#nodes[level]?.[index]);
  }

  async nodeRun({
    level,
    index,
    count,
  }: NodePlace & { readonly count: number }): Promise<readonly Uint8Array[]> {
    return this.#nodes[level]?.slice(index, index + count) ?? [];
  }

  async checkpoint(): Promise<string | undefined> {
    return this.#checkpoint;
  }

  async append(batch: {
    readonly expected: number;
    readonly entries: readonly AppendEntry[];
  }): Promise<AppendOutcome> {
    this.#assertWritable();
    const head = this.#entries.length - 1;
    if (head !== batch.expected) return { outcome: 'conflict', head };
    this.#assertFollows(batch.entries);
    for (const entry of batch.entries) this.#appendEntry(entry);
    return { outcome: 'appended', head: this.#entries.length - 1 };
  }

  async descriptor(
    key: DescriptorKey & { readonly version: number },
  ): Promise<StoredDescriptor | undefined> {
    return this.#spans.at(key, key.version);
  }

  async *set(version: number): AsyncIterable<readonly StoredDescriptor[]> {
    yield* this.#spans.set(version);
  }

  async *diff(range: { from: number; to: number }): AsyncIterable<readonly StoredDifference[]> {
    yield* this.#spans.diff(range);
  }

  async history(query: HistoryQuery): Promise<readonly DescriptorSpan[]> {
    return this.#spans.history(query);
  }

  async putProposal(proposal: StoredProposal): Promise<'added' | 'known'> {
    this.#assertWritable();
    const { payloadB3 } = proposal;
    if (this.#proposals.has(payloadB3) || this.#committed.has(payloadB3)) return 'known';
    this.#proposals.set(payloadB3, proposal);
    return 'added';
  }

  async putApproval(
    payloadB3: Hash,
    approval: Approval,
    { isReplacing } = { isReplacing: false },
  ): Promise<'added' | 'known' | 'no_proposal'> {
    this.#assertWritable();
    const proposal = this.#proposals.get(payloadB3);
    if (proposal === undefined) return 'no_proposal';
    const at = proposal.approvals.findIndex((known) => known.signer_id === approval.signer_id);
    if (at >= 0 && !isReplacing) return 'known';
    const approvals =
      at < 0 ? [...proposal.approvals, approval] : proposal.approvals.with(at, approval);
    this.#proposals.set(payloadB3, { ...proposal, approvals });
    return 'added';
  }

  async dropProposals(payloadB3s: readonly Hash[]): Promise<void> {
    this.#assertWritable();
    for (const payloadB3 of payloadB3s) this.#proposals.delete(payloadB3);
  }

  async proposals(): Promise<readonly StoredProposal[]> {
    return [...this.#proposals.values()];
  }

  async putCheckpoint(note: string): Promise<void> {
    this.#assertWritable();
    this.#checkpoint = note;
  }

  async retention(): Promise<Retention> {
    const erasures = [...this.#erasures].map(([version, erasedBy]) => {
      const until = this.#spans.endOf(version);
      return { version, erasedBy, until };
    });
    return {
      oldest: this.#oldest,
      reached: this.#reached,
      erasures: erasures.sort((a, b) => a.version - b.version),
    };
  }

  async currentOf(version: number): Promise<readonly DescriptorKey[]> {
    return this.#spans.currentOf(version);
  }

  async setOldest(oldest: number): Promise<void> {
    this.#assertWritable();
    this.#oldest = Math.max(this.#oldest, oldest);
  }

  async prune({
    onProgress,
  }: {
    readonly onProgress?: (progress: PruneProgress) => void;
  } = {}): Promise<void> {
    this.#assertWritable();
    for (const entry of this.#entries.slice(this.#reached, this.#oldest)) {
      if (this.#keptWhole.has(entry.version)) continue;
      this.#logBytes -= entry.payload.length + entry.approvals.length;
      this.#entries[entry.version] = { ...entry, payload: NO_BYTES, approvals: NO_BYTES };
    }
    this.#logBytes -= this.#spans.prune(this.#oldest);
    this.#reached = this.#oldest;
    onProgress?.({ reached: this.#reached, oldest: this.#oldest });
  }

  async snapshot(): Promise<void> {
    throw new RegistryError(
      'invalid_request',
      'expected a registry on disk, got one in memory: there is no file to copy',
    );
  }

  async compact({ expiredBefore }: { readonly expiredBefore: string }): Promise<Compaction> {
    this.#assertWritable();
    const before = { mainBytes: await this.storageBytes(), logBytes: 0 };
    const expired = [...this.#proposals.values()].filter((one) => one.expiresAt < expiredBefore);
    for (const { payloadB3 } of expired) this.#proposals.delete(payloadB3);
    const after = { mainBytes: await this.storageBytes(), logBytes: 0 };
    const droppedProposals = expired.length;
    return { droppedProposals, before, after, freeBytes: 0, isLogFolded: true };
  }

  async storageBytes(): Promise<number> {
    let bytes = this.#logBytes;
    for (const { payload } of this.#proposals.values()) bytes += payload.length;
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new RegistryError(
      'storage_failed',
      'expected an open store, got a closed one',
    );
  }

  #assertWritable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The log's own rules, which SQLite holds by constraints: whoever breaks them must stop writing. */
  #assertFollows(entries: readonly AppendEntry[]): void {
    const payloads = new Set<Hash>();
    for (const [i, { version, payloadB3 }] of entries.entries()) {
      const next = this.#entries.length + i;
      if (version !== next || this.#committed.has(payloadB3) || payloads.has(payloadB3))
        this.#stop(
          `expected version ${next} and a payload never committed, got version ${version} of ${payloadB3}`,
        );
      payloads.add(payloadB3);
    }
    this.#assertNodesFollow(entries.flatMap((entry) => entry.nodes));
  }

  #assertNodesFollow(nodes: readonly TreeNode[]): void {
    const next = new Map<number, number>();
    for (const { level, index } of nodes) {
      const expected = next.get(level) ?? this.#nodes[level]?.length ?? 0;
      if (index !== expected)
        this.#stop(`expected node ${expected} of level ${level} next, got node ${index}`);
      next.set(level, expected + 1);
    }
  }

  #stop(message: string): never {
    this.#failure = new RegistryError('outcome_unknown', message);
    throw this.#failure;
  }

  #addNode({ level, hash }: TreeNode): void {
    const onLevel = this.#nodes[level];
    if (onLevel === undefined) this.#nodes[level] = [hash];
    else onLevel.push(hash);
    this.#logBytes += hash.length;
  }

  #erase(version: number, erasedBy: number): void {
    const entry = this.#entries[version];
    if (entry === undefined || this.#erasures.has(version))
      this.#stop(`expected a version to erase that stands and is not erased, got ${version}`);
    this.#erasures.set(version, erasedBy);
    this.#entries[version] = { ...entry, payload: NO_BYTES };
    this.#logBytes -= entry.payload.length + this.#spans.erase(version);
  }

  #appendEntry({
    payloadB3,
    type,
    expiresAt,
    changes,
    nodes,
    erases,
    ...entry
  }: AppendEntry): void {
    this.#entries.push(entry);
    if (type === 'genesis' || type === 'governance') this.#governanceEntries.push(entry);
    if (KEPT_WHOLE.includes(type)) this.#keptWhole.add(entry.version);
    this.#committed.set(payloadB3, entry.version);
    for (const node of nodes) this.#addNode(node);
    this.#spans.apply(entry.version, changes);
    this.#proposals.delete(payloadB3);
    this.#logBytes += sizeOf(entry);
    for (const { bytes } of changes) this.#logBytes += bytes?.length ?? 0;
    if (erases !== undefined) this.#erase(erases, entry.version);
  }
}

const NO_BYTES = new Uint8Array();
const KEPT_WHOLE: readonly PayloadType[] = ['genesis', 'governance', 'erase'];

function sizeOf({ leaf, payload, approvals }: StoredEntry): number {
  return leaf.length + payload.length + approvals.length;
}
