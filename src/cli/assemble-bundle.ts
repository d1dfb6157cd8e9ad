/**
 * Makes an offline bundle from a log's parts. The parts are believed only because the finished bundle
 * is verified as any reader will verify it.
 */
import { type BundleFile, type VerifiedBundle, verifyBundle } from '../core/bundle.ts';
import { RegistryError } from '../core/error.ts';
import { type Hash, hashOf } from '../core/hash.ts';
import { decodeLeaf, type Leaf } from '../core/leaf.ts';
import { readSignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { createFullVerifier } from './full-verifier.ts';
import type { LogSource } from './log-source.ts';

export interface AssembleInput {
  /** Default: the newest in the checkpoint. */
  readonly version?: number;
  /** The pin; `undefined`: whichever registry the log begins. */
  readonly registry: Hash | undefined;
}

export interface Assembled {
  readonly file: BundleFile;
  readonly verified: VerifiedBundle;
  readonly registry: Hash;
  readonly version: number;
}

/** From genesis on. Throws `not_found` for a version past the checkpoint, and what `verifyBundle` throws. */
export async function assembleBundle(
  source: LogSource,
  { version: wanted, registry: pinned }: AssembleInput,
): Promise<Assembled> {
  const note = await source.note();
  const { size } = readSignedCheckpoint(note);
  const version = wanted ?? size - 1;
  if (version >= size || size === 0)
    throw new RegistryError(
      'not_found',
      `expected a version in the checkpoint of ${size} entries, got ${version}`,
    );
  const governing = await governingVersions(source, size);
  const versions = [...new Set([...governing, version])].sort((a, b) => a - b);
  const entries = [];
  for (const at of versions) {
    const { leaf, payload, approvals } = await source.entry(at);
    const proof = await source.inclusionProof({ version: at, size });
    entries.push({ leaf, payload, approvals, proof });
  }
  const registry = pinned ?? hashOf((await source.entry(0)).payload);
  const file = { checkpoint: note, entries };
  const verified = await verifyBundle(file, { pin: registry, verifier: createFullVerifier() });
  return { file, verified, registry, version };
}

/** Genesis and every entry below `size` that set the governance: each leaf says under which one it stands. */
async function governingVersions(source: LogSource, size: number): Promise<readonly number[]> {
  const leafAt = async (version: number): Promise<Leaf> =>
    decodeLeaf(await source.leaf({ version, size }));
  const newest = await leafAt(size - 1);
  const found = [0];
  for (let number = 2; number <= newest.governance_version; number++) {
    let [below, above] = [found.at(-1) ?? 0, size - 1];
    while (above - below > 1) {
      const middle = Math.floor((below + above) / 2);
      if ((await leafAt(middle)).governance_version >= number) above = middle;
      else below = middle;
    }
    found.push(below);
  }
  if (newest.type === 'governance') found.push(size - 1);
  return found;
}

/** The same bundle for readers who pin the entry hash of the entry `since`, and that hash. */
export function cutBundle(
  { file, verified }: Pick<Assembled, 'file' | 'verified'>,
  since: number,
): { readonly file: BundleFile; readonly pin: Hash } {
  const at = verified.entries.findIndex(({ leaf }) => leaf.version === since);
  const first = verified.entries[at];
  if (first === undefined || !('governance' in first.proposal.payload)) {
    const governing = verified.entries.filter(({ proposal }) => 'governance' in proposal.payload);
    const list = governing.map(({ leaf }) => leaf.version).join(', ');
    throw new RegistryError(
      'invalid_request',
      `expected --since with a version that set the governance (${list}), got ${since}`,
    );
  }
  const pin = since === 0 ? verified.lineage.registry : first.entryHash;
  return { file: { ...file, entries: file.entries.slice(at) }, pin };
}
