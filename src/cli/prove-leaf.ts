/** One leaf with what leads to a checkpoint whose signer was verified. */
import { orGone } from '../client/set-before.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { isIncluded, recordHash } from '../core/tlog/merkle.ts';
import { assembleBundle } from './assemble-bundle.ts';
import type { LogSource } from './log-source.ts';

export interface ProvenLeaf {
  /** A verified checkpoint. */
  readonly note: string;
  readonly size: number;
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * With its entry where that is to be had; else by its leaf alone, which is what the proof is about. Throws
 * what `assembleBundle` throws, save `erased` and `pruned`.
 */
export async function proveLeaf(
  source: LogSource,
  place: { readonly version: number; readonly registry: Hash | undefined },
): Promise<ProvenLeaf> {
  const { version } = place;
  const assembled = await orGone(assembleBundle(source, place));
  if (typeof assembled === 'string') return proveGone(source, place);
  const { file, verified: bundle } = assembled;
  const entry = file.entries[bundle.entries.findIndex(({ leaf }) => leaf.version === version)];
  if (entry === undefined)
    throw new RegistryError('internal', `expected version ${version} in its bundle, got none`);
  const { leaf, proof } = entry;
  return { note: file.checkpoint, size: bundle.checkpoint.size, leaf, proof };
}

/** Genesis and governance say which key signed the checkpoint. */
async function proveGone(
  source: LogSource,
  { version, registry }: { readonly version: number; readonly registry: Hash | undefined },
): Promise<ProvenLeaf> {
  const { file, verified: bundle } = await assembleBundle(source, { version: 0, registry });
  const { size, root } = bundle.checkpoint;
  const leaf = await source.leaf({ version, size });
  const proof = await source.inclusionProof({ version, size });
  if (isIncluded({ record: recordHash(leaf), index: version, size, proof, root }))
    return { note: file.checkpoint, size, leaf, proof };
  throw new RegistryError(
    'invalid_proof',
    `expected a proof that version ${version} is in the checkpoint of ${size} entries, got one that fails`,
    { details: { version, size } },
  );
}
