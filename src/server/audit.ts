/** A database opened to be audited: what it holds at one version, judged by nobody on the way out. */
import { statSync } from 'node:fs';
import { cleanedUp, RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { type NodePlace, proveInclusion } from '../core/tlog/merkle.ts';
import { assertBounded } from '../store/sqlite-bounds.ts';
import { type ErasedRow, type MomentReader, openMomentReader } from '../store/sqlite-moment.ts';
import type { ReadStore } from '../store/sqlite-read.ts';
import type {
  DescriptorKey,
  DescriptorSpan,
  StoredDescriptor,
  StoredEntry,
} from '../store/store.ts';
import { databasePath } from './open-store.ts';

/** An entry, and what the index beside the log says of it. */
export interface AuditedEntry extends StoredEntry {
  /** Whether it is found among those that set the governance. */
  readonly isGovernance: boolean;
}

export interface AuditedDatabase extends AsyncDisposable {
  /** The version of the newest entry when it was opened, or advanced: what came later is not looked at. */
  readonly version: number;
  /** The signed checkpoint that was kept last when it was opened. */
  readonly note: string | undefined;
  /** All that `work` reads is of one moment. To be short: the log of a server is not folded meanwhile. */
  atOneMoment<T>(work: () => Promise<T>): Promise<T>;
  /** Whether something of it was pruned or erased since it was opened, or is about to be. */
  hasLetGo(): Promise<boolean>;
  /** What it says was erased, by version. */
  erased(): Promise<readonly ErasedRow[]>;
  /** Up to the newest entry there is; answers how many have come. */
  advance(): Promise<number>;
  /** The next entries, ascending, up to `version` at most. Throws `storage_damaged` where one is missing. */
  page(from: number): Promise<readonly AuditedEntry[]>;
  /** The version found by the hash of its payload; `undefined` when none is. */
  committedVersion(payloadB3: Hash): Promise<number | undefined>;
  /** Hashes of the stored tree, in the order asked for. */
  nodes(places: readonly NodePlace[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Whether the stored tree ends where the one of `size` leaves does; also when the log has grown since. */
  hasNoNodesAfter(size: number): Promise<boolean>;
  /** Throws `not_found`. */
  entry(version: number): Promise<StoredEntry>;
  /** The signed one that was kept last. */
  checkpoint(): Promise<string | undefined>;
  /** From the stored tree. Throws `storage_damaged` where it has no node. */
  inclusionProof(place: {
    readonly version: number;
    readonly size: number;
  }): Promise<readonly Uint8Array[]>;
  /** The rows of the set at a version (default: `version`), sorted by kind, then id. */
  descriptors(at?: number): AsyncIterable<StoredDescriptor>;
  /** Every value a descriptor had up to `version`, newest first. */
  spans(key: DescriptorKey): Promise<readonly DescriptorSpan[]>;
}

const PAGE = 256;

/**
 * `path`: a database file, or the data directory of a server, which may be running. `isForeign`: it may come from
 * elsewhere, and is looked at whole before anything is read. Throws `not_initialised` for one without entries,
 * `storage_damaged` for a foreign one that would fill the memory, and what `openMomentReader` throws.
 */
export async function openAudit(
  path: string,
  { isForeign = false }: { readonly isForeign?: boolean } = {},
): Promise<AuditedDatabase> {
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const file = isDirectory ? databasePath(path) : path;
  const store = openMomentReader({ path: file });
  try {
    if (isForeign) assertBounded(file);
    const [head, note] = await store.atOneMoment(() =>
      Promise.all([store.head(), store.checkpoint()]),
    );
    if (head === undefined)
      throw new RegistryError(
        'not_initialised',
        `expected a registry in ${path}, got a database without entries`,
      );
    return auditOf(store, { version: head.version, note });
  } catch (error) {
    throw await cleanedUp(error, async () => store[Symbol.asyncDispose]());
  }
}

function auditOf(
  store: MomentReader,
  opened: Pick<AuditedDatabase, 'version' | 'note'>,
): AuditedDatabase {
  let { version } = opened;
  let governance: Promise<ReadonlySet<number>> | undefined;
  return {
    get version() {
      return version;
    },
    note: opened.note,
    atOneMoment: (work) => store.atOneMoment(work),
    hasLetGo: () => store.hasLetGo(),
    erased: () => store.erased(),
    advance: async () => {
      const before = version;
      version = (await store.head())?.version ?? before;
      governance = undefined;
      return version - before;
    },
    page: async (from) => {
      governance ??= governanceVersions(store);
      const governing = await governance;
      const page = await pageOf(store, { from, version });
      return page.map((entry) => ({ ...entry, isGovernance: governing.has(entry.version) }));
    },
    committedVersion: (payloadB3) => store.committedVersion(payloadB3),
    nodes: (places) => nodesOf(store, places),
    hasNoNodesAfter: (size) => hasNoNodesAfter(store, size),
    entry: async (at) => {
      const entry = await store.entry(at);
      if (entry !== undefined) return entry;
      throw new RegistryError('not_found', `expected a version up to ${version}, got ${at}`);
    },
    checkpoint: () => store.checkpoint(),
    inclusionProof: ({ version: index, size }) =>
      proveInclusion({ index, size }, async (places) => {
        const nodes = await store.nodes(places);
        return nodes.map((hash, i) => hash ?? missingNode(places[i]));
      }),
    async *descriptors(at = version) {
      for await (const page of store.set(at)) yield* page;
    },
    spans: async (key) => {
      const spans = await spansUntil(store, key, version);
      return spans.map((span) =>
        (span.endVersion ?? 0) > version ? { ...span, endVersion: null } : span,
      );
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** A database that is written to may have had more by now. */
async function spansUntil(
  store: Pick<ReadStore, 'history'>,
  key: DescriptorKey,
  version: number,
): Promise<readonly DescriptorSpan[]> {
  const spans: DescriptorSpan[] = [];
  for (;;) {
    const before = spans.at(-1)?.setVersion ?? version + 1;
    // A span for each version at most.
    const page = await store.history({ ...key, before, limit: Number.MAX_SAFE_INTEGER });
    if (page.length === 0) return spans;
    spans.push(...page);
  }
}

function missingNode(place: NodePlace | undefined): never {
  throw new RegistryError(
    'storage_damaged',
    `expected the node ${place?.level}/${place?.index} of the stored tree, got nothing`,
  );
}

/** Level by level, in runs: of the places of many leaves most are neighbours. */
async function nodesOf(
  store: ReadStore,
  places: readonly NodePlace[],
): Promise<readonly (Uint8Array | undefined)[]> {
  const found: (Uint8Array | undefined)[] = new Array(places.length);
  const levels = Map.groupBy(places.keys(), (at) => places[at]?.level ?? 0);
  for (const [level, ats] of levels) {
    const indexes = ats.map((at) => places[at]?.index ?? 0);
    const [index = 0] = indexes;
    const isRun = indexes.every((one, i) => one === index + i);
    const hashes = isRun
      ? await store.nodeRun({ level, index, count: ats.length })
      : await store.nodes(ats.map((_, i) => ({ level, index: indexes[i] ?? 0 })));
    for (const [i, at] of ats.entries()) found[at] = hashes[i];
  }
  return found;
}

async function hasNoNodesAfter(store: ReadStore, size: number): Promise<boolean> {
  const next: NodePlace[] = [{ level: 0, index: size }];
  for (let level = 1; level <= 53; level++)
    next.push({ level, index: Math.floor(size / 2 ** level) });
  const found = await store.nodes(next);
  const head = await store.head();
  return (head !== undefined && head.version >= size) || found.every((hash) => hash === undefined);
}

async function governanceVersions(store: ReadStore): Promise<ReadonlySet<number>> {
  return new Set((await store.governanceEntries()).map((entry) => entry.version));
}

async function pageOf(
  store: ReadStore,
  { from, version }: { readonly from: number; readonly version: number },
): Promise<readonly StoredEntry[]> {
  const page = await store.entries({ from, limit: Math.min(PAGE, version + 1 - from) });
  if (page.length > 0) return page;
  throw new RegistryError('storage_damaged', `expected version ${from} in the log, got nothing`);
}
