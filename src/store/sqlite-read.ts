/**
 * The read half of the store's contract over one read-only connection. Each call is a synchronous
 * read on the caller's thread; what spans many rows comes in pages with the event loop between them.
 */
import { stat } from 'node:fs/promises';
import type Database from 'better-sqlite3';
import type { Hash } from '../core/hash.ts';
import type { NodePlace } from '../core/tlog/merkle.ts';
import { IndexCheck } from './index-check.ts';
import { EntryReader } from './sqlite-entries.ts';
import { storageError } from './sqlite-errors.ts';
import { NodeReader } from './sqlite-nodes.ts';
import { RetentionReader } from './sqlite-retention.ts';
import { SpanReader } from './sqlite-spans.ts';
import type {
  DescriptorKey,
  DescriptorSpan,
  HistoryQuery,
  Retention,
  Store,
  StoredDescriptor,
  StoredDifference,
  StoredEntry,
  StoredProposal,
} from './store.ts';

/** A store without its writes. */
export type ReadStore = Omit<
  Store,
  | 'append'
  | 'putProposal'
  | 'putApproval'
  | 'dropProposals'
  | 'putCheckpoint'
  | 'snapshot'
  | 'compact'
  | 'setOldest'
  | 'prune'
>;

/** Rejects `storage_damaged` or `storage_failed` where SQLite cannot answer. */
export class SqliteReader implements ReadStore {
  readonly #db: Database.Database;
  readonly #path: string;
  readonly #entries: EntryReader;
  readonly #nodes: NodeReader;
  readonly #spans: SpanReader;
  readonly #retention: RetentionReader;
  readonly #index: IndexCheck;

  /** Owns the connection from now on. */
  constructor(db: Database.Database, path: string) {
    this.#db = db;
    this.#path = path;
    this.#entries = new EntryReader(db);
    this.#nodes = new NodeReader(db);
    this.#spans = new SpanReader(db);
    this.#retention = new RetentionReader(db);
    this.#index = new IndexCheck(db, { path });
  }

  async head(): Promise<StoredEntry | undefined> {
    return this.#read(() => this.#entries.head());
  }

  async entry(version: number): Promise<StoredEntry | undefined> {
    return this.#read(() => this.#entries.entry(version));
  }

  async entries(range: {
    readonly from: number;
    readonly limit: number;
  }): Promise<readonly StoredEntry[]> {
    return this.#read(() => this.#entries.entries(range));
  }

  async leaves(range: {
    readonly from: number;
    readonly limit: number;
  }): Promise<readonly Uint8Array[]> {
    return this.#read(() => this.#entries.leaves(range));
  }

  async governanceEntries(): Promise<readonly StoredEntry[]> {
    return this.#read(() => this.#entries.governanceEntries());
  }

  async committedVersion(payloadB3: Hash): Promise<number | undefined> {
    return this.#read(() => this.#entries.committedVersion(payloadB3));
  }

  async nodes(places: readonly NodePlace[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#read(() => this.#nodes.at(places));
  }

  async nodeRun(range: NodePlace & { readonly count: number }): Promise<readonly Uint8Array[]> {
    return this.#read(() => this.#nodes.run(range));
  }

  async checkpoint(): Promise<string | undefined> {
    return this.#read(() => this.#nodes.checkpoint());
  }

  async descriptor(
    key: DescriptorKey & { readonly version: number },
  ): Promise<StoredDescriptor | undefined> {
    await this.#index.passed();
    return this.#read(() => this.#spans.at(key));
  }

  set(version: number): AsyncIterable<readonly StoredDescriptor[]> {
    return this.#readPages(this.#spans.set(version));
  }

  async *diff(range: {
    readonly from: number;
    readonly to: number;
  }): AsyncIterable<readonly StoredDifference[]> {
    await this.#index.passed();
    yield* this.#readPages(this.#spans.diff(range));
  }

  async history(query: HistoryQuery): Promise<readonly DescriptorSpan[]> {
    await this.#index.passed();
    return this.#read(() => this.#spans.history(query));
  }

  async retention(): Promise<Retention> {
    return this.#read(() => this.#retention.retention());
  }

  async currentOf(version: number): Promise<readonly DescriptorKey[]> {
    await this.#index.passed();
    return this.#read(() => this.#retention.currentOf(version));
  }

  async proposals(): Promise<readonly StoredProposal[]> {
    return this.#read(() => this.#entries.proposals());
  }

  /** The main file and its write-ahead log. */
  async storageBytes(): Promise<number> {
    const [main, log] = await Promise.all([
      stat(this.#path),
      stat(`${this.#path}-wal`).catch(() => ({ size: 0 })),
    ]);
    return main.size + log.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#index.stop();
    this.#db.close();
  }

  #read<T>(run: () => T): T {
    try {
      return run();
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  async *#readPages<T>(pages: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* pages;
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  #unreadable(cause: unknown): Error {
    return storageError(cause, `a readable database at ${this.#path}`);
  }
}
