/** How a restored log stands to a checkpoint that somebody has seen: whether it goes as far, over the same history. */
import { encodeBase64, isEqualBytes } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import type { Checkpoint } from '../../core/tlog/checkpoint.ts';
import { proveConsistency } from '../../core/tlog/merkle.ts';
import { loadTree, nodeReader } from '../../registry/log-nodes.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import { readFacts } from './facts.ts';

/**
 * How many entries it lacks; 0: it goes on from the checkpoint. Expects a database that was verified. Throws
 * `wrong_registry` (another log's) or `fork` (another history); `seenBy`: whose it is, for these.
 */
export async function missingEntries(
  path: string,
  { origin, size, root }: Checkpoint,
  seenBy: string,
): Promise<number> {
  await using store = openSqliteReader({ path });
  const { version, origin: ours } = await readFacts(store);
  const here = version + 1;
  if (origin !== ours)
    throw new RegistryError(
      'wrong_registry',
      `expected a checkpoint of ${ours} from ${seenBy}, got one of ${origin}`,
    );
  if (size > here) return size - here;
  const tree = await loadTree(store, size);
  if (isEqualBytes(tree.root, root)) return 0;
  throw new RegistryError(
    'fork',
    `expected the ${size} entries that ${seenBy} has seen, with root ${encodeBase64(root)}, got others: ${encodeBase64(tree.root)}`,
    { details: { size } },
  );
}

/** That the tree of `size` begins with that of `from`. */
export async function proveIn(
  path: string,
  sizes: { readonly from: number; readonly size: number },
): Promise<readonly Uint8Array[]> {
  await using store = openSqliteReader({ path });
  return await proveConsistency(sizes, nodeReader(store));
}
