/** What every audit is given: threads for signatures, the pin, and what the user demands of witnesses. */

import { SignaturePool } from '../server/signature-pool.ts';
import type { AskWitnesses } from './audit-checkpoint.ts';
import type { ReplayOptions } from './audit-replay.ts';
import type { Context } from './context.ts';
import { createFullVerifier, type FullVerifier } from './full-verifier.ts';
import type { Globals } from './globals.ts';
import { type WitnessOptions, witnessedBy } from './witness-options.ts';

export interface AuditParts extends ReplayOptions, AsyncDisposable {
  readonly verifier: FullVerifier;
  readonly witnesses: AskWitnesses;
  /** Whether leaves alone will do for what was pruned. */
  readonly isPrunedAccepted: boolean;
}

/** `--max-stale` bounds the witnesses' word as it does for a head. */
function demandsOf({ witnessPolicy, maxStaleMs }: Globals): WitnessOptions {
  if (witnessPolicy === undefined) return {};
  const age = maxStaleMs === undefined ? {} : { at: Number.NaN, maxAge: maxStaleMs };
  return { policy: witnessPolicy, ...age };
}

export function createAuditParts(context: Pick<Context, 'io' | 'globals'>): AuditParts {
  const { globals } = context;
  const verifier = createFullVerifier();
  const pool = new SignaturePool();
  return {
    verifier,
    verifySignatures: (batch) => pool.verify(batch),
    registry: globals.registry,
    isPrunedAccepted: globals.isPrunedAccepted,
    witnesses: (checkpoint) =>
      witnessedBy(context, checkpoint, { options: demandsOf(globals), verifier }),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}
