/**
 * The signed and hashed documents: payloads, approvals, governance, leaves, descriptors. Strict, as
 * core reads them; what only core can say (order, one per key, succession) is named in the descriptions.
 */
import { z } from 'zod';
import { MAX_SIGNERS } from '../core/governance.ts';
import {
  ERASE_REASONS,
  MAX_CHANGES,
  PAYLOAD_TYPES,
  SCHEMA_VERSION,
  SUPERSEDE_REASONS,
} from '../core/payload.ts';
import {
  Hash,
  Id,
  Kind,
  Note,
  Origin,
  PublicKey,
  Signature,
  SignerId,
  Spec,
  Time,
  VerifierKey,
  Version,
} from './scalars.ts';

export const Descriptor = z
  .strictObject({ id: Id, kind: Kind, spec: Spec })
  .meta({ id: 'Descriptor', description: 'What is registered. One for each kind and id.' });

const Signer = z
  .strictObject({ signer_id: SignerId, algo: z.literal('ed25519'), public_key: PublicKey })
  .meta({ id: 'Signer' });

export const Governance = z
  .strictObject({
    version: z.int().min(1),
    threshold: z.int().min(1).max(MAX_SIGNERS),
    signers: z.array(Signer).min(1).max(MAX_SIGNERS),
    log_keys: z.array(VerifierKey).min(1).max(4),
  })
  .meta({
    id: 'Governance',
    description:
      'Who may sign, how many must, and which keys sign checkpoints. `threshold` is at most the number of signers; signers are sorted by `signer_id`; ids and keys are unique; log keys are named after the origin and are no signer keys.',
  });

const PutChange = z
  .strictObject({ op: z.literal('put'), kind: Kind, id: Id, spec: Spec, replaces: Hash.nullable() })
  .meta({
    id: 'PutChange',
    description: '`replaces` is the value hash that must stand there; null: nothing may.',
  });

const RemoveChange = z
  .strictObject({ op: z.literal('remove'), kind: Kind, id: Id, replaces: Hash })
  .meta({ id: 'RemoveChange' });

const Change = z.discriminatedUnion('op', [PutChange, RemoveChange]).meta({ id: 'Change' });

const common = {
  schema_version: z.literal(SCHEMA_VERSION),
  origin: Origin,
  created_at: Time,
  expires_at: Time,
  note: Note,
};

const Previous = z
  .strictObject({
    checkpoint: z.string(),
    governance: Governance,
    origin: Origin,
    registry: Hash,
  })
  .meta({
    id: 'Previous',
    description:
      'The log that a new one goes on from: its last good checkpoint (a whole C2SP note of at least one leaf, of that origin), the governance in force there, its origin, which is not the new one, and its genesis hash.',
  });

const GenesisPayload = z
  .strictObject({
    ...common,
    type: z.literal('genesis'),
    governance: Governance,
    previous: Previous.optional(),
  })
  .meta({
    id: 'GenesisPayload',
    description:
      'Every signer approves it; with `previous`, the threshold of that governance does too.',
  });

const DescriptorsPayload = z
  .strictObject({
    ...common,
    type: z.literal('descriptors'),
    registry: Hash,
    changes: z.array(Change).min(1).max(MAX_CHANGES),
  })
  .meta({ id: 'DescriptorsPayload' });

const GovernancePayload = z
  .strictObject({
    ...common,
    type: z.literal('governance'),
    registry: Hash,
    governance: Governance,
    replaces: Hash,
  })
  .meta({
    id: 'GovernancePayload',
    description: '`replaces` is the hash of the canonical bytes of the governance in force.',
  });

export const SupersedePayload = z
  .strictObject({
    ...common,
    type: z.literal('supersede'),
    registry: Hash,
    supersedes: Hash,
    reason: z.enum(SUPERSEDE_REASONS),
    changes: z.array(Change).max(MAX_CHANGES),
  })
  .meta({ id: 'SupersedePayload', description: '`supersedes` is the entry hash of the head.' });

const ErasePayload = z
  .strictObject({
    ...common,
    type: z.literal('erase'),
    registry: Hash,
    erases: Hash,
    version: z.int().min(1),
    reason: z.enum(ERASE_REASONS),
  })
  .meta({
    id: 'ErasePayload',
    description:
      '`erases` is the entry hash of an earlier entry, of type descriptors or supersede, and `version` its version.',
  });

export const Payload = z
  .discriminatedUnion('type', [
    GenesisPayload,
    DescriptorsPayload,
    GovernancePayload,
    SupersedePayload,
    ErasePayload,
  ])
  .meta({
    id: 'Payload',
    description:
      'What signers approve, as RFC 8785 canonical JSON of at most 1 MiB. `expires_at` is after `created_at` by at most 30 days; changes are sorted by kind, then id, one for each.',
  });

export const Approval = z
  .strictObject({
    signer_id: SignerId,
    algo: z.literal('ed25519'),
    sig: Signature,
    signed_at: Time,
  })
  .meta({ id: 'Approval', description: 'A signature of a signer over a payload.' });

export const Leaf = z
  .strictObject({
    approvals_b3: Hash,
    committed_at: Time,
    governance_version: z.int().min(1),
    origin: Origin,
    payload_b3: Hash,
    payload_bytes: z.int().min(1),
    prev_hash: Hash.nullable(),
    schema_version: z.literal(SCHEMA_VERSION),
    set_root: Hash,
    set_size: z.int().min(0),
    type: z.enum(PAYLOAD_TYPES),
    version: Version,
  })
  .meta({
    id: 'Leaf',
    description: 'The record of an entry that is hashed and chained; its hash is the entry hash.',
  });
