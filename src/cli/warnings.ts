/** What a signer should stop at before approving. Each is a fact of the payload; none is a refusal. Pure. */
import type { Governance } from '../core/governance.ts';
import { changesOf, type DecodedPayload, type Payload } from '../core/payload.ts';
import { parseVerifierKey } from '../core/vkey.ts';
import { countChanges } from './plan.ts';
import { plural, relativeTime } from './text.ts';

const MANY_CHANGES = 100;
const SOON_MS = 3_600_000;

/** What the payload would be applied to, as far as it is known. */
export interface Basis {
  readonly governance: Governance | undefined;
  readonly setSize: number | undefined;
}

export function payloadWarnings(
  proposal: DecodedPayload,
  basis: Basis,
  now: number,
): readonly string[] {
  const { payload } = proposal;
  return [
    ...handoverWarnings(payload),
    ...('governance' in payload ? governanceWarnings(basis.governance, payload.governance) : []),
    ...changeWarnings(proposal, basis),
    ...timeWarnings(proposal, now),
    ...textWarnings(proposal),
  ];
}

/** The old governance stands in the payload as its writer says. */
function handoverWarnings(payload: Payload): string[] {
  if (payload.type !== 'genesis' || payload.previous === undefined) return [];
  const { origin } = payload.previous;
  return [
    `ends ${origin} and goes on without it: \`quorate epoch verify\` compares what it says of it`,
  ];
}

function governanceWarnings(before: Governance | undefined, next: Governance): string[] {
  const { threshold, signers } = next;
  return [
    ...(before === undefined ? [] : successionWarnings(before, next)),
    ...(threshold === 1 ? ['the threshold is 1: any one key decides alone'] : []),
    ...(threshold === signers.length && threshold > 1
      ? [`all of ${threshold} signers must approve: one lost key locks the registry for ever`]
      : []),
  ];
}

function successionWarnings(before: Governance, next: Governance): string[] {
  const known = new Set(before.signers.map((s) => s.public_key));
  const kept = new Set(next.signers.map((s) => s.public_key));
  const gone = before.signers.filter((s) => !kept.has(s.public_key));
  const entering = next.signers.filter((s) => !known.has(s.public_key));
  const lostLogKeys = before.log_keys.filter((key) => !next.log_keys.includes(key));
  return [
    ...(next.threshold < before.threshold
      ? [`lowers the threshold from ${before.threshold} to ${next.threshold}`]
      : []),
    ...gone.map((s) => `removes the signer ${s.signer_id}`),
    ...entering.map((s) => `adds the signer ${s.signer_id}: compare its key with its owner`),
    ...lostLogKeys.map(
      (key) =>
        `replaces the log key ${parseVerifierKey(key)?.keyId ?? ''}: readers who pinned it must be told`,
    ),
  ];
}

function changeWarnings({ payload }: DecodedPayload, { setSize }: Basis): string[] {
  const changes = changesOf(payload);
  const { removed } = countChanges(changes);
  return [
    ...(changes.length >= MANY_CHANGES ? [`touches ${changes.length} descriptors`] : []),
    ...(removed > 0
      ? [`removes ${plural(removed, 'descriptor')}${setSize === undefined ? '' : ` of ${setSize}`}`]
      : []),
  ];
}

function timeWarnings({ payload }: DecodedPayload, now: number): string[] {
  const expires = Date.parse(payload.expires_at);
  if (expires < now)
    return [`expired ${relativeTime(expires, now)}: it can no longer be committed`];
  return expires - now < SOON_MS ? [`expires soon, ${relativeTime(expires, now)}`] : [];
}

function textWarnings({ bytes }: DecodedPayload): string[] {
  const text = new TextDecoder().decode(bytes);
  const odd = [...text].filter((c) => /[^\x20-\x7e]/u.test(c)).length;
  return odd === 0
    ? []
    : [`holds ${plural(odd, 'character')} outside printable ASCII, shown as \\u{...}`];
}
