/**
 * What witnesses say of a checkpoint: whose cosignatures hold, whether they satisfy a policy, and for
 * which time. How old that time may be is the reader's affair.
 */
import { RegistryError } from '../error.ts';
import { type NoteVerifier, type SignedCheckpoint, signersOf } from './note-signatures.ts';
import { quorumTime, type WitnessPolicy } from './policy.ts';

export interface Witnessed {
  /** Names of the policy, sorted. */
  readonly cosigned: readonly string[];
  /** The newest time a quorum of them vouches for, POSIX seconds; `null`: the policy asks for nobody. */
  readonly time: number | null;
}

/** Throws `invalid_signature` (of a known witness) or `unwitnessed`. */
export async function assertWitnessed(
  checkpoint: Omit<SignedCheckpoint, 'note'>,
  policy: WitnessPolicy,
  verifier: NoteVerifier,
): Promise<Witnessed> {
  const keys = policy.witnesses.map(({ key }) => key);
  const signed = await signersOf(checkpoint, keys, verifier);
  const times = new Map(
    policy.witnesses.flatMap(({ name, key }) => {
      const time = signed.get(key) ?? null;
      return time === null ? [] : [[name, time] as const];
    }),
  );
  const cosigned = [...times.keys()].sort();
  const time = quorumTime(policy, times);
  if (time === undefined)
    throw new RegistryError(
      'unwitnessed',
      `expected cosignatures that satisfy the witness policy, got ${cosigned.length === 0 ? 'none' : `only those of ${cosigned.join(', ')}`}`,
      { details: { size: checkpoint.size, cosigned } },
    );
  return { cosigned, time };
}
