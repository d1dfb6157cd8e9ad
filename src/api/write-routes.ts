/** The routes of the write path: proposals, approvals, commits. */
import { Approval, Payload, SupersedePayload } from './documents.ts';
import { EXAMPLES } from './examples.ts';
import { PATHS, QUERIES } from './parameters.ts';
import { BODY_ERRORS, type Route, WRITE_ERRORS } from './route.ts';
import { Head, Proposal, ProposalList, Proposed, Quorum } from './schemas.ts';

const json = 'application/json';

/** Of a payload that was committed and has been let go of since. */
const GONE = ['pruned', 'erased'] as const;

const PROPOSE_ERRORS = [
  ...WRITE_ERRORS,
  ...BODY_ERRORS,
  'wrong_registry',
  'not_initialised',
  'expired',
  'invalid_governance',
  'too_many_proposals',
  ...GONE,
] as const;

const PROPOSED = {
  200: {
    description: 'Known already.',
    mediaType: json,
    schema: Proposed,
    example: EXAMPLES.proposed,
  },
  202: {
    description: 'New, and durable.',
    mediaType: json,
    schema: Proposed,
    example: EXAMPLES.proposed,
  },
} as const;

export const WRITE_ROUTES = {
  listProposals: {
    method: 'get',
    path: '/registry/proposals',
    tag: 'write',
    summary: 'Proposals in flight and recently committed',
    caching: 'none',
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The proposals.',
        mediaType: json,
        schema: ProposalList,
        example: EXAMPLES.proposals,
      },
    },
    errors: [],
  },
  readProposal: {
    method: 'get',
    path: '/registry/proposals/{id}',
    tag: 'write',
    summary: 'One proposal: who approved, who is missing, what blocks it',
    caching: 'none',
    params: PATHS.proposal,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The proposal.',
        mediaType: json,
        schema: Proposal,
        example: EXAMPLES.proposal,
      },
    },
    errors: ['unknown_proposal', ...GONE],
  },
  readProposalPayload: {
    method: 'get',
    path: '/registry/proposals/{id}/payload',
    tag: 'write',
    summary: 'The exact bytes to hash and sign',
    caching: 'none',
    params: PATHS.proposal,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'The payload as it was posted; its BLAKE3 hash is the id.',
        mediaType: json,
        schema: Payload,
        example: EXAMPLES.payload,
      },
    },
    errors: ['unknown_proposal', ...GONE],
  },
  propose: {
    method: 'post',
    path: '/registry/proposals',
    tag: 'write',
    summary: 'Propose a payload',
    description:
      'Idempotent: the same bytes are the same proposal. All types but `supersede`, which has its own route.',
    caching: 'none',
    query: QUERIES.none,
    body: {
      schema: Payload,
      description: 'The canonical bytes of the payload, uncompressed.',
      example: EXAMPLES.payload,
    },
    answers: PROPOSED,
    errors: PROPOSE_ERRORS,
  },
  supersede: {
    method: 'post',
    path: '/registry/supersede',
    tag: 'write',
    summary: 'Propose to supersede the head',
    caching: 'none',
    query: QUERIES.none,
    body: {
      schema: SupersedePayload,
      description: 'The canonical bytes of a payload of type `supersede`, uncompressed.',
      example: EXAMPLES.supersede,
    },
    answers: PROPOSED,
    errors: PROPOSE_ERRORS,
  },
  approve: {
    method: 'post',
    path: '/registry/approvals/{id}',
    tag: 'write',
    summary: 'Approve a proposal',
    description: 'Idempotent: the first approval of a signer stays.',
    caching: 'none',
    params: PATHS.proposal,
    query: QUERIES.none,
    body: {
      schema: Approval,
      description: 'The approval as canonical JSON.',
      example: EXAMPLES.approval,
    },
    answers: {
      200: {
        description: 'Verified, and durable.',
        mediaType: json,
        schema: Quorum,
        example: EXAMPLES.quorum,
      },
    },
    errors: [
      ...WRITE_ERRORS,
      ...BODY_ERRORS,
      'unknown_proposal',
      'unknown_signer',
      'invalid_approval',
      'invalid_signature',
      'expired',
      'conflict',
      ...GONE,
    ],
  },
  commit: {
    method: 'post',
    path: '/registry/commit/{id}',
    tag: 'write',
    summary: 'Commit a proposal that has its quorum',
    description: 'Takes no body. Idempotent: once committed, the same head is the answer.',
    caching: 'none',
    params: PATHS.proposal,
    query: QUERIES.none,
    answers: {
      200: {
        description: 'Committed before, as this head.',
        mediaType: json,
        schema: Head,
        example: EXAMPLES.head,
      },
      201: {
        description: 'Committed now: durable and visible.',
        mediaType: json,
        schema: Head,
        example: EXAMPLES.head,
      },
    },
    errors: [
      ...WRITE_ERRORS,
      'unknown_proposal',
      'quorum_not_reached',
      'fence_broken',
      'expired',
      'replayed',
      'wrong_registry',
      'invalid_approval',
      'invalid_governance',
      'conflict',
    ],
  },
} as const satisfies Record<string, Route>;
