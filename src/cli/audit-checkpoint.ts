/** Whether a checkpoint is of the log that was walked: its root, its log keys, and whoever cosigned it. */
import { encodeBase64, isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { Chain } from '../core/rules.ts';
import {
  type NoteVerifier,
  type SignedCheckpoint,
  signersOf,
} from '../core/tlog/note-signatures.ts';
import type { Witnessed } from '../core/tlog/witnessed.ts';
import { parseLogKeys } from '../core/vkey.ts';
import { type CheckpointSummary, checkpointSummary } from './audit.ts';

/** Asks witnesses of a checkpoint, as the user demands; `undefined` when nothing is demanded. */
export type AskWitnesses = (checkpoint: SignedCheckpoint) => Promise<Witnessed | undefined>;

/**
 * `chain`: after as many entries as the checkpoint has. Throws `wrong_registry`, `fork`,
 * `invalid_signature` and what `witnesses` throws.
 */
export async function assertCheckpointOf(
  chain: Chain,
  checkpoint: SignedCheckpoint,
  { verifier, witnesses }: { readonly verifier: NoteVerifier; readonly witnesses: AskWitnesses },
): Promise<CheckpointSummary> {
  if (checkpoint.origin !== chain.origin)
    throw new RegistryError(
      'wrong_registry',
      `expected a checkpoint of ${chain.origin}, got one of ${checkpoint.origin}`,
    );
  if (!isEqualBytes(checkpoint.root, chain.tree.root))
    throw new RegistryError(
      'fork',
      `expected the checkpoint of ${checkpoint.size} entries to have the root that they give, ${encodeBase64(chain.tree.root)}, got ${encodeBase64(checkpoint.root)}`,
      { details: { size: checkpoint.size } },
    );
  const keys = parseLogKeys(chain.governance.log_keys);
  const logKeys = [...(await signersOf(checkpoint, keys, verifier)).keys()];
  if (logKeys.length === 0)
    throw new RegistryError(
      'invalid_signature',
      `expected the checkpoint of ${checkpoint.size} entries to be signed by a log key of governance ${chain.governance.version}, got no such signature`,
      { details: { size: checkpoint.size } },
    );
  return checkpointSummary(checkpoint, logKeys, await witnesses(checkpoint));
}
