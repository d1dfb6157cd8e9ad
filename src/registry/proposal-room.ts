/** How many proposals may be in flight, and which expired ones make room for a new one. */
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import type { RegistryLimits } from './options.ts';
import type { Pending } from './proposal-view.ts';

/** Expired proposals stay visible this long, unless their room is needed. */
const EXPIRED_KEPT_MS = 24 * 3_600_000;

/** The ids to drop before `bytes` more are kept. Throws `too_many_proposals` when that is not enough. */
export function expiredToDrop(
  pending: Iterable<Pending>,
  { bytes, limits, now }: { bytes: number; limits: RegistryLimits; now: number },
): readonly Hash[] {
  const { maxPendingProposals, maxPendingBytes } = limits;
  const proposals = [...pending].map(({ proposal }) => proposal);
  const isFull = (kept: typeof proposals): boolean =>
    kept.length >= maxPendingProposals ||
    kept.reduce((sum, proposal) => sum + proposal.bytes.length, bytes) > maxPendingBytes;
  const keptMs = isFull(proposals) ? 0 : EXPIRED_KEPT_MS;
  const isKept = (expiresAt: string): boolean => now - Date.parse(expiresAt) <= keptMs;
  const kept = proposals.filter(({ payload }) => isKept(payload.expires_at));
  if (isFull(kept))
    throw new RegistryError(
      'too_many_proposals',
      `expected at most ${maxPendingProposals} proposals and ${maxPendingBytes} bytes in flight, got one more`,
    );
  return proposals.filter((p) => !kept.includes(p)).map((p) => p.payloadB3);
}
