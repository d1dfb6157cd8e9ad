/** What a payload must satisfy before it may wait for approvals: those of its head may still change. */
import { assertLogKeysAdmitted, type Chain } from '../core/chain.ts';
import { RegistryError } from '../core/error.ts';
import { type DecodedPayload, registryOf } from '../core/payload.ts';
import { assertBelongs, assertUnexpired } from '../core/rules.ts';
import { formatTime, SKEW_MS } from '../core/time.ts';
import type { RegistryOptions } from './options.ts';
import { assertPinned } from './pins.ts';

/** Throws `wrong_registry`, `expired` or `invalid_payload`. */
export function assertAcceptable(
  proposal: DecodedPayload,
  {
    chain,
    pins,
    verifier,
    now,
  }: Pick<RegistryOptions, 'pins' | 'verifier' | 'now'> & { readonly chain: Chain | null },
): void {
  assertBelongs(chain, proposal);
  const found = { origin: proposal.payload.origin, registry: registryOf(proposal) };
  assertPinned(found, { pins, code: 'wrong_registry' });
  assertUnexpired(proposal, formatTime(now()));
  assertLogKeysAdmitted(proposal.payload, verifier);
  const latest = formatTime(now() + SKEW_MS);
  if (proposal.payload.created_at > latest)
    throw new RegistryError(
      'invalid_payload',
      `expected created_at not after ${latest}, got ${proposal.payload.created_at}`,
      { details: { pointer: '/created_at' } },
    );
}
