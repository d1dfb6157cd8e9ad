/** Payloads as a proposer writes them: the common members filled in, the bytes canonical and checked. */
import { InvalidArgumentError } from 'commander';
import type { VerifiedHead } from '../client/client.ts';
import { canonicalBytes } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import { type Governance, governanceHash } from '../core/governance.ts';
import type { Hash } from '../core/hash.ts';
import {
  type Change,
  type DecodedPayload,
  decodePayload,
  type ERASE_REASONS,
  MAX_CHANGES,
  SCHEMA_VERSION,
  type SUPERSEDE_REASONS,
} from '../core/payload.ts';
import type { Previous } from '../core/previous.ts';
import { formatTime } from '../core/time.ts';

export interface Envelope {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** At most 30 days. */
  readonly lifetimeMs: number;
  readonly note: string;
}

type Following = Pick<VerifiedHead, 'origin' | 'registry'>;

/** `previous`: the log that this one goes on from. */
export function draftGenesis(
  {
    origin,
    governance,
    previous,
  }: {
    readonly origin: string;
    readonly governance: Governance;
    readonly previous?: Previous;
  },
  envelope: Envelope,
): DecodedPayload {
  const handover = previous === undefined ? {} : { previous };
  return draft({ ...common(origin, envelope), type: 'genesis', governance, ...handover });
}

export function draftDescriptors(
  { origin, registry }: Following,
  changes: readonly Change[],
  envelope: Envelope,
): DecodedPayload {
  if (changes.length > MAX_CHANGES)
    throw new RegistryError(
      'too_large',
      `expected at most ${MAX_CHANGES} changes in one proposal, got ${changes.length}`,
    );
  return draft({ ...common(origin, envelope), type: 'descriptors', registry, changes });
}

/** Its fence is the governance in force. */
export function draftGovernance(
  { origin, registry, governance }: Following & Pick<VerifiedHead, 'governance'>,
  next: Governance,
  envelope: Envelope,
): DecodedPayload {
  const replaces = governanceHash(governance);
  return draft({
    ...common(origin, envelope),
    type: 'governance',
    registry,
    governance: next,
    replaces,
  });
}

/** Its fence is the head. */
export function draftSupersede(
  { origin, registry, entryHash }: Following & Pick<VerifiedHead, 'entryHash'>,
  act: {
    readonly reason: (typeof SUPERSEDE_REASONS)[number];
    readonly changes: readonly Change[];
  },
  envelope: Envelope,
): DecodedPayload {
  return draft({
    ...common(origin, envelope),
    type: 'supersede',
    registry,
    supersedes: entryHash,
    ...act,
  });
}

export function draftErase(
  { origin, registry }: Following,
  act: {
    /** The entry hash of `version`. */
    readonly erases: Hash;
    readonly version: number;
    readonly reason: (typeof ERASE_REASONS)[number];
  },
  envelope: Envelope,
): DecodedPayload {
  return draft({ ...common(origin, envelope), type: 'erase', registry, ...act });
}

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30m`, `12h` or `7d` to milliseconds; an option's parser. */
export function parseLifetime(text: string): number {
  const [, digits = '', unit = ''] = /^([1-9]\d{0,4})([mhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? 0);
  if (ms === 0 || ms > 30 * 86_400_000)
    throw new InvalidArgumentError('Expected a time such as 30m, 12h or 7d, at most 30d.');
  return ms;
}

function common(origin: string, { now, lifetimeMs, note }: Envelope) {
  return {
    schema_version: SCHEMA_VERSION,
    origin,
    created_at: formatTime(now),
    expires_at: formatTime(now + lifetimeMs),
    note,
  };
}

function draft(payload: object): DecodedPayload {
  return decodePayload(canonicalBytes(payload));
}
