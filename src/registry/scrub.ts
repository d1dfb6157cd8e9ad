/**
 * Walks the whole log once after a start: every entry hashes to itself, follows the one before and is
 * found by its payload, and the tree's nodes are those that the leaves give.
 */
import { isEqualBytes } from '../core/bytes.ts';
import type { Hash } from '../core/hash.ts';
import type { Leaf } from '../core/leaf.ts';
import { LogTree } from '../core/tlog/log-tree.ts';
import type { TreeNode } from '../core/tlog/merkle.ts';
import type { Store, StoredEntry } from '../store/store.ts';
import { Retained } from './retained.ts';
import { assertStoredEntry, damaged, isDamage } from './stored.ts';

/** Few enough that requests are answered in between. */
const PAGE = 64;

/** What everything must lead to. Plain data: a thread may be told it. */
export interface LogEnd {
  readonly version: number;
  readonly entryHash: Hash;
  /** Of the tree. */
  readonly root: Uint8Array;
}

export interface Walk {
  readonly end: LogEnd;
  /** Whether writes wait for it. */
  readonly isAwaited: boolean;
  readonly onProgress: (checked: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Throws `storage_damaged` at the first entry that is missing, altered or does not follow. `pause`: after each
 * page; a store may answer without giving others their turn.
 */
export async function scrubLog(
  store: Pick<Store, 'entry' | 'entries' | 'committedVersion' | 'nodes' | 'retention'>,
  {
    end,
    onProgress,
    signal,
    pause,
  }: Omit<Walk, 'isAwaited'> & { readonly pause?: () => Promise<void> },
): Promise<void> {
  let previous: Hash | null = null;
  let tree = LogTree.EMPTY;
  const retained = new Retained();
  await retained.load(store);
  for (let version = 0; version <= end.version; ) {
    const page = await store.entries({
      from: version,
      limit: Math.min(PAGE, end.version + 1 - version),
    });
    if (signal.aborted) return;
    if (page.length === 0) throw damaged(`expected version ${version} in the log, got nothing`);
    const nodes: TreeNode[] = [];
    for (const entry of page) {
      const leaf = await assertKeptEntry(store, { entry, retained });
      if (leaf.version !== version || leaf.prev_hash !== previous)
        throw damaged(
          `expected version ${version} to follow ${previous ?? 'nothing'}, got version ${leaf.version} after ${leaf.prev_hash ?? 'nothing'}`,
        );
      previous = entry.entryHash;
      const grown = tree.with(entry.leaf);
      tree = grown.tree;
      nodes.push(...grown.nodes);
      // By this a payload that was committed is known from now on, and not committed again.
      if ((await store.committedVersion(leaf.payload_b3)) !== version)
        throw damaged(`expected the payload of version ${version} to lead to it, got no version`);
      version++;
    }
    await assertNodes(store, nodes);
    onProgress(version);
    await pause?.();
  }
  if (previous !== end.entryHash)
    throw damaged(`expected the log to lead to ${end.entryHash}, got ${previous}`);
  if (!isEqualBytes(tree.root, end.root))
    throw damaged('expected the entries to give the tree that is published, got another');
}

/** What was let go of since the walk began is no damage. */
async function assertKeptEntry(
  store: Pick<Store, 'entry' | 'retention'>,
  { entry, retained }: { readonly entry: StoredEntry; readonly retained: Retained },
): Promise<Leaf> {
  try {
    return assertStoredEntry(entry, retained);
  } catch (error) {
    if (!isDamage(error)) throw error;
    await retained.load(store);
    return assertStoredEntry(entry, retained);
  }
}

async function assertNodes(store: Pick<Store, 'nodes'>, nodes: readonly TreeNode[]): Promise<void> {
  const found = await store.nodes(nodes);
  nodes.forEach(({ level, index, hash }, i) => {
    if (!isEqualBytes(found[i] ?? new Uint8Array(), hash))
      throw damaged(
        `expected node ${level}/${index} of the tree as the entries give it, got another`,
      );
  });
}
