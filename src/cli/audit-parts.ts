/** What every audit is given: threads for signatures, the pin, and what the user demands of witnesses. */
import { createNativeVerifier } from '../server/native-verifier.ts';
import { SignaturePool } from '../server/signature-pool.ts';
import type { AskWitnesses } from './audit-checkpoint.ts';
import type { ReplayOptions } from './audit-replay.ts';
import type { Context } from './context.ts';
import { type WitnessOptions, witnessedBy } from './witness-options.ts';

export interface AuditParts extends ReplayOptions, AsyncDisposable {
  readonly verifier: ReturnType<typeof createNativeVerifier>;
  readonly witnesses: AskWitnesses;
}

export function createAuditParts(
  { io, globals }: Pick<Context, 'io' | 'globals'>,
  options: WitnessOptions = {},
): AuditParts {
  const verifier = createNativeVerifier();
  const pool = new SignaturePool();
  return {
    verifier,
    verifySignatures: (batch) => pool.verify(batch),
    registry: globals.registry,
    witnesses: (checkpoint) => witnessedBy(io, checkpoint, { options, verifier }),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}
