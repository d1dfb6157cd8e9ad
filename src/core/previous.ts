/**
 * What a genesis says of the log that it goes on from: where an epoch ended, and whose quorum carries
 * the next one. Reads the form only; that the old signers approved is `quorum`'s rule.
 */
import type { Json } from './canonical.ts';
import { Check, ORIGIN } from './check.ts';
import { RegistryError } from './error.ts';
import { type Governance, readGovernance } from './governance.ts';
import type { Hash } from './hash.ts';
import { readSignedCheckpoint } from './tlog/note-signatures.ts';

export interface Previous {
  /** The last good one of the old log: a whole C2SP note, with its signatures. */
  readonly checkpoint: string;
  /** In force at that checkpoint. */
  readonly governance: Governance;
  readonly origin: string;
  readonly registry: Hash;
}

/** Reads the `previous` member of a genesis for the new `origin`; throws `invalid_payload`. */
export function readPrevious(value: Json | undefined, pointer: string, origin: string): Previous {
  const check = new Check('invalid_payload');
  const object = check.members(value, pointer, ['checkpoint', 'governance', 'origin', 'registry']);
  const old = check.text(object.origin, `${pointer}/origin`, ORIGIN);
  if (old === origin) check.fail(`${pointer}/origin`, 'another origin than the new one', old);
  const { checkpoint } = object;
  const signed = originUnder(checkpoint);
  if (typeof checkpoint !== 'string' || signed === undefined)
    return check.fail(`${pointer}/checkpoint`, 'a c2sp checkpoint', checkpoint);
  if (signed !== old) check.fail(`${pointer}/checkpoint`, `a checkpoint of ${old}`, signed);
  return {
    checkpoint,
    governance: readGovernance(object.governance, `${pointer}/governance`, old),
    origin: old,
    registry: check.hash(object.registry, `${pointer}/registry`),
  };
}

/** Of a checkpoint over at least one leaf: a log without a genesis has nobody who could carry it on. */
function originUnder(checkpoint: Json | undefined): string | undefined {
  if (typeof checkpoint !== 'string') return undefined;
  try {
    const { origin, size } = readSignedCheckpoint(checkpoint);
    return size > 0 ? origin : undefined;
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}
