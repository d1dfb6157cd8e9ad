/** The next governance after one in force, as the acts that people name: add, remove, rotate, set. Pure. */
import { RegistryError } from '../core/error.ts';
import type { Governance, Signer } from '../core/governance.ts';

export interface SuccessionAct {
  readonly add: readonly Signer[];
  /** Signer ids. */
  readonly remove: readonly string[];
  /** Default: as it is. */
  readonly threshold: number | undefined;
  /** Default: as they are; replaces all of them. */
  readonly logKeys: readonly string[] | undefined;
}

/** Throws `invalid_governance` for an act that the governance does not allow. */
export function nextAfter(
  current: Governance,
  { add, remove, threshold, logKeys }: SuccessionAct,
): Governance {
  for (const id of remove)
    if (!current.signers.some((signer) => signer.signer_id === id))
      throw new RegistryError(
        'invalid_governance',
        `expected a signer in force to remove, got ${id}`,
      );
  const kept = current.signers.filter((signer) => !remove.includes(signer.signer_id));
  for (const { signer_id, public_key } of add) {
    const double = kept.find((s) => s.signer_id === signer_id || s.public_key === public_key);
    if (double !== undefined)
      throw new RegistryError(
        'invalid_governance',
        `expected a new signer with a new key, got ${signer_id} beside ${double.signer_id}`,
      );
  }
  const signers = [...kept, ...add].sort((a, b) => (a.signer_id < b.signer_id ? -1 : 1));
  const next = threshold ?? current.threshold;
  if (next > signers.length)
    throw new RegistryError(
      'invalid_governance',
      `expected a threshold of at most ${signers.length}, got ${next}: --threshold sets another`,
    );
  return {
    version: current.version + 1,
    threshold: next,
    signers,
    log_keys: logKeys ?? current.log_keys,
  };
}
