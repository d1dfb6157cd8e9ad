/**
 * Every JSON answer as a zod schema. Answers are loose: a reader must accept members it does not know,
 * so that a later server can add some. The documents inside them (payload, leaf, ...) stay strict.
 */
import { z } from 'zod';
import { ERROR_CODES } from '../core/error.ts';
import { PAYLOAD_TYPES } from '../core/payload.ts';
import { Approval, Descriptor, Governance, Leaf, Payload } from './documents.ts';
import { EXAMPLES } from './examples.ts';
import { Count, Hash, Id, Kind, Origin, SignerId, Time, Version } from './scalars.ts';

/** C2SP: no tree is higher. */
const MAX_PROOF_HASHES = 63;

const head = {
  origin: Origin,
  registry: Hash,
  version: Version,
  entry_hash: Hash,
  payload_b3: Hash,
  set_root: Hash,
  set_size: Count,
  governance_version: Count,
  type: z.enum(PAYLOAD_TYPES),
  committed_at: Time,
};

export const Head = z
  .looseObject(head)
  .meta({ id: 'Head', description: 'The newest entry. `registry` is the genesis payload hash.' });

export const Entry = z
  .looseObject({ approvals: z.array(Approval), leaf: Leaf, payload: Payload.nullable() })
  .meta({
    id: 'Entry',
    description:
      'A committed payload: the stored canonical bytes of each part. Without its payload where that was erased.',
  });

export const DescriptorSet = z
  .looseObject({ items: z.array(Descriptor), origin: Origin, set_root: Hash, version: Version })
  .meta({ id: 'DescriptorSet', description: 'All descriptors at a version, by kind, then id.' });

export const SetHashes = z
  .looseObject({
    items: z.array(z.looseObject({ path: Hash, value_hash: Hash })),
    origin: Origin,
    set_root: Hash,
    version: Version,
  })
  .meta({
    id: 'SetHashes',
    description: 'The hashes that the set root at a version is made of, by path.',
  });

const SetProof = z
  .looseObject({
    siblings: z.array(Hash).max(256),
    leaf: z.looseObject({ path: Hash, value_hash: Hash }).nullable(),
  })
  .meta({
    id: 'SetProof',
    description:
      'The way from `set_root` down to the place of a descriptor, and the leaf found there: its own, another one, or null.',
  });

const TreeProof = z
  .array(z.string().regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/))
  .max(MAX_PROOF_HASHES)
  .meta({
    id: 'TreeProof',
    description: 'SHA-256 hashes in base64, of an RFC 6962 tree over the leaves, lowest first.',
  });

export const DescriptorAtVersion = z
  .looseObject({
    descriptor: Descriptor.nullable(),
    origin: Origin,
    proof: SetProof.nullable(),
    set_root: Hash,
    set_version: Version.nullable(),
    value_hash: Hash.nullable(),
    version: Version,
    leaf: Leaf.optional(),
    inclusion_proof: TreeProof.optional(),
    checkpoint: z.string().optional(),
  })
  .meta({
    id: 'DescriptorAtVersion',
    description:
      '`set_version` put this value. Null members: absent, or no proof was asked for. Under `head` with a proof, `leaf` is that of `version`, and `inclusion_proof` leads from its canonical bytes to the root in `checkpoint`, a C2SP note: all three, once a checkpoint covers the version.',
  });

export const InclusionProof = z
  .looseObject({ leaf_index: Version, proof: TreeProof, size: Count })
  .meta({
    id: 'InclusionProof',
    description: 'RFC 9162 2.1.3: leaf `leaf_index` is in the tree of `size` leaves.',
  });

export const ConsistencyProof = z.looseObject({ from: Count, proof: TreeProof, size: Count }).meta({
  id: 'ConsistencyProof',
  description: 'RFC 9162 2.1.4: the tree of `size` leaves begins with the tree of `from`.',
});

export const GovernanceAtVersion = z
  .looseObject({ governance: Governance, origin: Origin, version: Version })
  .meta({
    id: 'GovernanceAtVersion',
    description: 'The governance after `version`: in force for the next entry.',
  });

const NetChange = z
  .looseObject({ after: Descriptor.nullable(), before: Descriptor.nullable(), id: Id, kind: Kind })
  .meta({ id: 'NetChange', description: 'Null: absent on that side.' });

export const Difference = z
  .looseObject({ changes: z.array(NetChange), from: Version, origin: Origin, to: Version })
  .meta({ id: 'Difference', description: 'Net changes from one version to another.' });

const DescriptorSpan = z
  .looseObject({
    descriptor: Descriptor.nullable(),
    end_version: Version.nullable(),
    set_version: Version,
    value_hash: Hash,
  })
  .meta({
    id: 'DescriptorSpan',
    description:
      'Current from `set_version` up to, not including, `end_version` (null: now). Without its descriptor where that was erased.',
  });

export const RetentionAnswer = z
  .looseObject({
    archive: z.string().nullable(),
    oldest: Version,
    origin: Origin,
    registry: Hash,
    version: Version,
  })
  .meta({
    id: 'Retention',
    description: 'The lowest version that is kept whole, and the newest one.',
  });

export const History = z
  .looseObject({ id: Id, items: z.array(DescriptorSpan), kind: Kind, origin: Origin })
  .meta({ id: 'History', description: 'Values that a descriptor had, newest first.' });

const QuorumRule = z
  .looseObject({
    rule: z.enum(['all', 'previous', 'current', 'next', 'entering']),
    threshold: Count,
    signers: z.array(SignerId),
    approved: z.array(SignerId),
  })
  .meta({ id: 'QuorumRule' });

export const Quorum = z
  .looseObject({
    reached: z.boolean(),
    approvals: z.array(SignerId),
    threshold: Count,
    missing: z.array(SignerId),
    rules: z.array(QuorumRule),
  })
  .meta({
    id: 'Quorum',
    description: '`missing`: whose approval would still count; empty once reached.',
  });

const BrokenFence = z
  .looseObject({ kind: Kind, id: Id, expected: Hash.nullable(), actual: Hash.nullable() })
  .meta({ id: 'BrokenFence' });

export const Proposal = z
  .looseObject({
    proposal_id: Hash,
    payload_b3: Hash,
    type: z.enum(PAYLOAD_TYPES),
    state: z.enum(['pending', 'ready', 'blocked', 'expired', 'committed']),
    note: z.string(),
    created_at: Time,
    expires_at: Time,
    payload_bytes: Count,
    changes: Count,
    approvals: z.array(Approval),
    quorum: Quorum,
    fences: z.array(BrokenFence),
    blocked_by: z.string().nullable(),
    version: Version.nullable(),
  })
  .meta({
    id: 'Proposal',
    description:
      'A payload in flight or recently committed. `fences` (in a list the first ten) and `blocked_by` say why it is blocked; `version` is there once committed.',
  });

export const ProposalList = z
  .looseObject({ proposals: z.array(Proposal) })
  .meta({ id: 'ProposalList', description: 'In flight first, then committed; newest first.' });

export const Proposed = z
  .looseObject({ proposal_id: Hash, payload_b3: Hash, expires_at: Time, quorum: Quorum })
  .meta({ id: 'Proposed', description: 'The proposal is kept: its id is its payload hash.' });

export const Build = z
  .looseObject({
    name: z.literal('quorate'),
    version: z.string(),
    revision: z.string().nullable(),
    schema_versions: z.array(z.string()),
  })
  .meta({ id: 'Build', description: 'The program and the wire format versions it speaks.' });

export const StoredBlob = z.looseObject({ address: Hash, bytes: Count }).meta({
  id: 'StoredBlob',
  description: 'A blob that is kept: its hash, and how many bytes it has.',
});

const ReadinessCheck = z
  .looseObject({ name: z.string(), ok: z.boolean(), missing: z.string().nullable() })
  .meta({ id: 'ReadinessCheck' });

export const Readiness = z
  .looseObject({
    ready: z.boolean(),
    write_ready: z.boolean(),
    missing: z.array(z.string()),
    version: Version.nullable(),
    checks: z.array(ReadinessCheck).optional(),
  })
  .meta({
    id: 'Readiness',
    description:
      '`ready`: reads are served; `write_ready`: writes too. `missing` is in words an operator can act on. `checks`, when asked for: every condition by name, and what it misses.',
  });

export const Problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    code: z.enum(ERROR_CODES),
    corr_id: z.string(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457. `details` holds what a fix or a retry needs, by code.',
    examples: [EXAMPLES.problem],
  });

/** The `data` line of each server-sent event. */
export const StreamUpdate = z
  .looseObject({
    ...head,
    checkpoint: z.string().nullable().meta({
      description:
        'The newest checkpoint, a C2SP note, when the event was made: of an older tree while no log key can sign.',
    }),
    corr_id: z.string().nullable().meta({
      description: 'Of the request that committed it; null when it is read back from the log.',
    }),
  })
  .meta({ id: 'StreamUpdate' });

export const StreamReset = z.looseObject({ head: Version.nullable(), oldest: Version });

export const StreamProgress = z.looseObject({
  checkpoint: z.string().nullable(),
  version: Version.nullable(),
});

export const StreamClosing = z.looseObject({ reason: z.enum(['slow', 'age', 'closing']) });
