/**
 * The checkpoint that was kept before a restart: believed only with a log key's signature, and only if
 * the stored tree still has its root. It spares a start the walk over the log.
 */
import { isEqualBytes } from '../core/bytes.ts';
import type { Chain } from '../core/chain.ts';
import type { Hash } from '../core/hash.ts';
import type { LogTree } from '../core/tlog/log-tree.ts';
import {
  type NoteVerifier,
  readSignedCheckpoint,
  type SignedCheckpoint,
  signersOf,
} from '../core/tlog/note-signatures.ts';
import { parseLogKeys } from '../core/vkey.ts';
import type { Store } from '../store/store.ts';
import type { GovernanceSpan } from './load.ts';
import { loadTree } from './log-nodes.ts';
import { assertStoredEntry, damaged, type LetGo } from './stored.ts';

/** A kept checkpoint lags by about a second of commits; a longer way waits for the walk over the log. */
const MAX_BRIDGED = 4_096;

export interface Kept {
  /** `undefined`: none was kept. */
  readonly checkpoint: SignedCheckpoint | undefined;
  /** Of its size, with its root; the empty one where none was kept. */
  readonly tree: LogTree;
  /** Whether all leaves after it were seen to lead to the chain's tree: then that may be signed. */
  readonly isBridged: boolean;
}

/** Throws `storage_damaged`. `chain`: with its tree as it is stored. */
export async function loadKept(
  store: Pick<Store, 'checkpoint' | 'entries' | 'nodes'>,
  {
    chain,
    governances,
    verifier,
    retained,
  }: {
    readonly chain: Pick<Chain, 'origin' | 'tree'>;
    readonly governances: readonly GovernanceSpan[];
    readonly verifier: NoteVerifier;
    /** What may be missing. Default: nothing. */
    readonly retained?: LetGo;
  },
): Promise<Kept> {
  const note = await store.checkpoint();
  const checkpoint = note === undefined ? undefined : await readKept(note, governances, verifier);
  const size = checkpoint?.size ?? 0;
  if (size > chain.tree.size || (checkpoint !== undefined && checkpoint.origin !== chain.origin))
    throw damaged(
      `expected a kept checkpoint of at most ${chain.tree.size} entries, got one of ${size}: entries were lost`,
    );
  const signed = await loadTree(store, size);
  if (checkpoint !== undefined && !isEqualBytes(signed.root, checkpoint.root))
    throw damaged(`expected the tree of ${size} entries that was signed, got another`);
  if (chain.tree.size - size > MAX_BRIDGED) return { checkpoint, tree: signed, isBridged: false };
  let tree = signed;
  let previous: Hash | undefined;
  while (tree.size < chain.tree.size) {
    const limit = chain.tree.size - tree.size;
    const page = await store.entries({ from: tree.size, limit });
    if (page.length === 0) throw damaged(`expected version ${tree.size} in the log, got nothing`);
    for (const entry of page) {
      const { version, prev_hash } = assertStoredEntry(entry, retained);
      if (version !== tree.size || (previous !== undefined && prev_hash !== previous))
        throw damaged(`expected version ${tree.size} to follow the one before, got another entry`);
      previous = entry.entryHash;
      tree = tree.with(entry.leaf).tree;
    }
  }
  if (!isEqualBytes(tree.root, chain.tree.root))
    throw damaged('expected the tree that the entries give, got another');
  return { checkpoint, tree: signed, isBridged: true };
}

async function readKept(
  note: string,
  governances: readonly GovernanceSpan[],
  verifier: NoteVerifier,
): Promise<SignedCheckpoint> {
  try {
    const checkpoint = readSignedCheckpoint(note);
    const governance = governances.findLast(({ from }) => from < checkpoint.size)?.governance;
    const keys = parseLogKeys(governance?.log_keys ?? []);
    if ((await signersOf(checkpoint, keys, verifier)).size > 0) return checkpoint;
  } catch (cause) {
    throw damaged('expected a kept checkpoint as it was signed, got another text', cause);
  }
  throw damaged('expected a kept checkpoint by a log key in force, got one by others');
}
