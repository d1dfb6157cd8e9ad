/** How a restored log stands to a checkpoint that somebody has seen: whether it goes as far, over the same history. */
import { encodeBase64, isEqualBytes } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import { proveConsistency } from '../../core/tlog/merkle.ts';
import {
  type NoteVerifier,
  type SignedCheckpoint,
  signersOf,
} from '../../core/tlog/note-signatures.ts';
import { parseLogKeys } from '../../core/vkey.ts';
import { loadGovernance } from '../../registry/load.ts';
import { loadTree, nodeReader } from '../../registry/log-nodes.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import type { ReadStore } from '../../store/sqlite-read.ts';
import { readFacts } from './facts.ts';

export interface Seen {
  readonly checkpoint: SignedCheckpoint;
  /** Whose it is, for messages. */
  readonly seenBy: string;
  readonly verifier: NoteVerifier;
}

/**
 * How many entries it lacks; 0: it goes on from the checkpoint, which a log key has signed. That of a longer log is
 * believed without: its key may be one that is not known here. Expects a database that was verified. Throws
 * `wrong_registry` (another log's), `fork` (another history) or `invalid_signature`.
 */
export async function missingEntries(path: string, seen: Seen): Promise<number> {
  const { origin, size, root } = seen.checkpoint;
  await using store = openSqliteReader({ path });
  const { version, origin: ours } = await readFacts(store);
  const here = version + 1;
  if (origin !== ours)
    throw new RegistryError(
      'wrong_registry',
      `expected a checkpoint of ${ours} from ${seen.seenBy}, got one of ${origin}`,
    );
  if (size > here) return size - here;
  const tree = await loadTree(store, size);
  if (!isEqualBytes(tree.root, root))
    throw new RegistryError(
      'fork',
      `expected the ${size} entries that ${seen.seenBy} has seen, with root ${encodeBase64(root)}, got others: ${encodeBase64(tree.root)}`,
      { details: { size } },
    );
  await assertSigned(store, seen);
  return 0;
}

/** Anybody can write down how a log began: without a signature nothing was compared. */
async function assertSigned(
  store: ReadStore,
  { checkpoint, seenBy, verifier }: Seen,
): Promise<void> {
  const { governances } = await loadGovernance(store);
  const inForce = governances.findLast(({ from }) => from < checkpoint.size)?.governance;
  const keys = parseLogKeys(inForce?.log_keys ?? []);
  if ((await signersOf(checkpoint, keys, verifier)).size > 0) return;
  throw new RegistryError(
    'invalid_signature',
    `expected the checkpoint of ${checkpoint.size} entries from ${seenBy} to be signed by a log key of its time, got no such signature: it does not say how far the log went`,
    { details: { size: checkpoint.size } },
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
