/** The keys that a benchmark approves with: read, and held against the governance before anything is written. */
import { encodeBase64 } from '../../core/bytes.ts';
import { RegistryError } from '../../core/error.ts';
import type { Governance } from '../../core/governance.ts';
import type { Context } from '../context.ts';
import { isOpenToOthers, type KeyPair, readKeyFile } from '../key-file.ts';
import { knownPassphrase } from '../passphrase.ts';
import { signerOf } from '../signing.ts';

export interface KeyFlags {
  readonly key?: readonly string[];
  readonly passphraseFile?: string;
}

export interface BenchSigner {
  readonly signerId: string;
  readonly key: KeyPair;
}

/** Throws `unknown_signer`, or `quorum_not_reached` when they are fewer than must approve. */
export async function readSigners(
  context: Context,
  { key: paths = [], passphraseFile: file }: KeyFlags,
  governance: Governance,
): Promise<readonly BenchSigner[]> {
  const eligible = new Map(governance.signers.map((s) => [s.signer_id, s.public_key]));
  const signers = new Map<string, BenchSigner>();
  for (const path of paths) {
    const key = await readKeyFile(path, () => knownPassphrase(context.io, { keyPath: path, file }));
    if (await isOpenToOthers(path))
      await context.say(`warning: ${path} is open to others; chmod 600 closes it`);
    const signerId = signerOf(key.publicKey, eligible);
    if (signerId === undefined)
      throw new RegistryError(
        'unknown_signer',
        `expected the key of a signer in ${path}, got ${encodeBase64(key.publicKey)}, which nobody in the governance has`,
      );
    signers.set(signerId, { signerId, key });
  }
  if (signers.size < governance.threshold)
    throw new RegistryError(
      'quorum_not_reached',
      `expected the keys of ${governance.threshold} signers, got those of ${signers.size}: give --key for each`,
    );
  return [...signers.values()];
}
