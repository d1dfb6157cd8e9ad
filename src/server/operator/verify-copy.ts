/**
 * Whether a copy of the database is a whole registry: every entry re-hashed and linked, the tree of the
 * entries the one that a log key signed, the set the one of the newest entry. Signatures of approvals
 * are left to `quorate verify`.
 */
import { encodeBase64 } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import type { NoteVerifier } from '../../core/tlog/note-signatures.ts';
import { loadKept } from '../../registry/kept-checkpoint.ts';
import { loadChain } from '../../registry/load.ts';
import { scrubLog } from '../../registry/scrub.ts';
import { openSqliteReader } from '../../store/sqlite.ts';
import type { VerifiedCopy } from './snapshot-messages.ts';

export interface VerifyOptions {
  readonly verifier: NoteVerifier;
  readonly onProgress: (done: number, total: number) => void;
}

/** Throws `not_initialised` for an empty one, `storage_damaged`, or what opening it throws. */
export async function verifyCopy(path: string, options: VerifyOptions): Promise<VerifiedCopy> {
  await using store = openSqliteReader({ path });
  const loaded = await loadChain(store);
  if (loaded === undefined)
    throw new RegistryError('not_initialised', 'expected a registry to copy, got an empty one');
  const { chain } = loaded;
  const { checkpoint } = await loadKept(store, { ...loaded, verifier: options.verifier });
  await scrubLog(store, {
    head: chain,
    onProgress: (checked) => options.onProgress(checked, chain.version + 1),
    signal: new AbortController().signal,
  });
  return {
    version: chain.version,
    entryHash: chain.entryHash,
    checkpoint:
      checkpoint === undefined
        ? null
        : { size: checkpoint.size, root: encodeBase64(checkpoint.root) },
  };
}
