/**
 * How many approvals a payload needs and which are there. Counts distinct keys, never signatures or
 * ids; expects approvals whose signatures and keys were already accepted.
 */
import { RegistryError } from './error.ts';
import type { Governance } from './governance.ts';
import type { Payload } from './payload.ts';

/** One condition: at least `threshold` keys of `signers` (signer ids). */
export interface QuorumRule {
  /** `previous`: of the log that a genesis goes on from. */
  readonly rule: 'all' | 'previous' | 'current' | 'next' | 'entering';
  readonly threshold: number;
  readonly signers: readonly string[];
  /** Those of `signers` whose key approved, under whichever id. */
  readonly approved: readonly string[];
}

export interface Quorum {
  readonly reached: boolean;
  readonly rules: readonly QuorumRule[];
  /** Signer ids that approved, sorted. */
  readonly approvals: readonly string[];
  /** The first rule's threshold. */
  readonly threshold: number;
  /** Signer ids whose approval would still count, sorted; empty when reached. */
  readonly missing: readonly string[];
}

/** `signer_id` to base64 key for everyone whose approval of `payload` can count. */
export function eligibleSigners(
  payload: Payload,
  governance: Governance | null,
): ReadonlyMap<string, string> {
  const next = 'governance' in payload ? payload.governance.signers : [];
  const before = payload.type === 'genesis' ? payload.previous?.governance : governance;
  const current = before?.signers ?? [];
  return new Map([...next, ...current].map((s) => [s.signer_id, s.public_key]));
}

/** `signer_id` to base64 key. */
export function keysOf({ signers }: Governance): ReadonlyMap<string, string> {
  return new Map(signers.map((s) => [s.signer_id, s.public_key]));
}

/** `approved`: ids whose approvals verified. `governance`: in force before the payload, `null` before genesis. */
export function countQuorum(
  payload: Payload,
  governance: Governance | null,
  approved: Iterable<string>,
): Quorum {
  return count(rulesFor(payload, governance), eligibleSigners(payload, governance), approved);
}

/** The same for an entry whose payload is gone, of a type that the governance in force alone decides about. */
export function countErasedQuorum(governance: Governance, approved: Iterable<string>): Quorum {
  return count([ruleOf('current', governance)], keysOf(governance), approved);
}

function count(
  needed: readonly Omit<QuorumRule, 'approved'>[],
  keys: ReadonlyMap<string, string>,
  approved: Iterable<string>,
): Quorum {
  const present = new Set([...approved].filter((id) => keys.has(id)));
  const presentKeys = new Set([...present].map((id) => keys.get(id)));
  const rules = needed.map((rule) => ({
    ...rule,
    approved: rule.signers.filter((id) => presentKeys.has(keys.get(id))),
  }));
  const unmet = rules.filter((rule) => distinctKeys(rule.approved, keys) < rule.threshold);
  const missing = new Set(
    unmet.flatMap((rule) => rule.signers.filter((id) => !rule.approved.includes(id))),
  );
  return {
    reached: rules.length > 0 && unmet.length === 0,
    rules,
    approvals: [...present].sort(),
    threshold: rules[0]?.threshold ?? 0,
    missing: [...missing].sort(),
  };
}

/** Throws `quorum_not_reached`, with the quorum in its details. */
export function assertQuorum(quorum: Quorum): void {
  if (quorum.reached) return;
  const { approvals, threshold, missing, rules } = quorum;
  const counts = rules.map((r) => `${r.approved.length} of ${r.threshold} ${r.rule}`).join(', ');
  throw new RegistryError(
    'quorum_not_reached',
    `expected a quorum of approvals by distinct signers, got ${counts}; still possible: ${missing.join(', ') || 'none'}`,
    { details: { approvals, threshold, missing } },
  );
}

function rulesFor(payload: Payload, governance: Governance | null): Omit<QuorumRule, 'approved'>[] {
  if (payload.type === 'genesis') {
    const signers = idsOf(payload.governance);
    return [
      { rule: 'all', threshold: signers.length, signers },
      ...(payload.previous === undefined ? [] : [ruleOf('previous', payload.previous.governance)]),
    ];
  }
  if (governance === null) return [];
  const current = ruleOf('current', governance);
  if (payload.type !== 'governance') return [current];
  const known = new Set(governance.signers.map((s) => s.public_key));
  const entering = payload.governance.signers
    .filter((s) => !known.has(s.public_key))
    .map((s) => s.signer_id);
  return [
    current,
    ruleOf('next', payload.governance),
    { rule: 'entering', threshold: entering.length, signers: entering },
  ];
}

function ruleOf(rule: QuorumRule['rule'], governance: Governance): Omit<QuorumRule, 'approved'> {
  return { rule, threshold: governance.threshold, signers: idsOf(governance) };
}

function idsOf(governance: Governance): string[] {
  return governance.signers.map((s) => s.signer_id);
}

function distinctKeys(ids: readonly string[], keys: ReadonlyMap<string, string>): number {
  return new Set(ids.map((id) => keys.get(id))).size;
}
