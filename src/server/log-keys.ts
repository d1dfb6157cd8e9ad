/**
 * The keys with which a server signs checkpoints, from its configuration. Which of them sign is
 * governance's word; that none does is told by the registry.
 */
import { join } from 'node:path';
import { isEqualBytes } from '../core/bytes.ts';
import { RegistryError } from '../core/error.ts';
import type { CheckpointSigner } from '../registry/options.ts';
import type { Config } from './config.ts';
import { openKeyFileIfAny, openSigningKey } from './signing-key.ts';

/** Throws `invalid_request`, naming the source that cannot be used and the remedy. */
export async function loadLogKeys({
  logKeys,
  profile,
  dataDir,
}: Pick<Config, 'logKeys' | 'profile' | 'dataDir'>): Promise<readonly CheckpointSigner[]> {
  if (logKeys.length === 0) {
    const path = join(dataDir, 'log.pem');
    const usual = profile === 'macronode' ? await openKeyFileIfAny(path) : undefined;
    return usual === undefined ? [] : [usual];
  }
  const signers = await Promise.all(logKeys.map(openSigningKey));
  const isTwice = signers.some(
    ({ publicKey }, i) =>
      signers.findIndex((other) => isEqualBytes(other.publicKey, publicKey)) !== i,
  );
  if (isTwice)
    throw new RegistryError(
      'invalid_request',
      'expected each log key once in log_key, got one from two sources: leave one out',
    );
  return signers;
}
