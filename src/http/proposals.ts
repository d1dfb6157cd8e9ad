/** The write path over HTTP: propose, approve, commit; and what is in flight. */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { readApproval } from '../core/approval.ts';
import { parseCanonical } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { MAX_PAYLOAD_BYTES, type PayloadType } from '../core/payload.ts';
import type { Proposals } from '../registry/registry.ts';
import { type Answer, answerBytes, answerJson } from './answer.ts';
import type { Operation } from './authority.ts';
import { assertNoBody, bodyOf, type RequestBody, readJsonBody } from './body.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';
import type { WriteHandler } from './guard.ts';
import { proposalJson, proposedJson } from './proposal-json.ts';
import type { WriteAttempt } from './write-attempt.ts';

const MAX_APPROVAL_BYTES = 4_096;

type Params = Record<string, string>;

export function proposalReads(
  proposals: Proposals,
): Readonly<Record<'listProposals' | 'readProposal' | 'readProposalPayload', Handler>> {
  return {
    listProposals: async (c) => {
      readQuery(QUERIES.none, c.req.url);
      return answerJson({ proposals: (await proposals.list()).map(proposalJson) });
    },
    readProposal: async (c) => {
      const id = readId(c.req.url, c.req.param());
      return answerJson(proposalJson((await proposals.get(id)) ?? unknown(id)));
    },
    readProposalPayload: async (c) => {
      const id = readId(c.req.url, c.req.param());
      const { bytes } = (await proposals.payload(id)) ?? unknown(id);
      return answerBytes(bytes, { caching: 'none' });
    },
  };
}

export function proposalWrites({
  registry: { proposals },
  piecesOf,
}: Pick<HttpDeps, 'registry' | 'piecesOf'>): Readonly<
  Record<Exclude<Operation, 'blob'>, WriteHandler>
> {
  return {
    propose: (c, attempt) => {
      readQuery(QUERIES.none, c.req.url);
      const types = ['genesis', 'descriptors', 'governance', 'erase'] as const;
      return propose(proposals, bodyOf(c, piecesOf), { types, attempt });
    },
    supersede: (c, attempt) => {
      readQuery(QUERIES.none, c.req.url);
      return propose(proposals, bodyOf(c, piecesOf), { types: ['supersede'], attempt });
    },
    approve: async (c, attempt) => {
      const id = readId(c.req.url, c.req.param());
      attempt.about(id);
      const bytes = await readJsonBody(bodyOf(c, piecesOf), { maxBytes: MAX_APPROVAL_BYTES });
      const approval = readApproval(parseCanonical(bytes));
      attempt.signedBy(approval.signer_id);
      await attempt.authorize((await proposals.payload(id)) ?? unknown(id));
      const { quorum } = await proposals.approve(id, approval);
      return answerJson(quorum);
    },
    commit: async (c, attempt) => {
      const id = readId(c.req.url, c.req.param());
      attempt.about(id);
      await assertNoBody(bodyOf(c, piecesOf));
      await attempt.authorize((await proposals.payload(id)) ?? unknown(id));
      return commit(proposals, id, attempt);
    },
  };
}

async function propose(
  proposals: Proposals,
  body: RequestBody,
  { types, attempt }: { types: readonly PayloadType[]; attempt: WriteAttempt },
): Promise<Answer> {
  const bytes = await readJsonBody(body, { maxBytes: MAX_PAYLOAD_BYTES });
  const { isNew, proposal } = await proposals.propose(bytes, {
    types,
    admit: (decoded) => attempt.authorize(decoded),
  });
  return answerJson(proposedJson(proposal), {
    status: isNew ? 202 : 200,
    headers: { Location: `/registry/proposals/${proposal.id}` },
  });
}

async function commit(proposals: Proposals, id: Hash, attempt: WriteAttempt): Promise<Answer> {
  const { isNew, head } = await proposals.commit(id, { corrId: attempt.corrId });
  attempt.committedAs(head.version);
  return answerBytes(head.bytes, {
    status: isNew ? 201 : 200,
    caching: 'none',
    headers: { Location: `/registry/${head.version}` },
  });
}

function readId(url: string, params: Params): Hash {
  readQuery(QUERIES.none, url);
  return readParameters(PATHS.proposal, params, 'path').id;
}

function unknown(id: Hash): never {
  throw new RegistryError(
    'unknown_proposal',
    `expected a proposal in flight or committed, got ${id}`,
  );
}
