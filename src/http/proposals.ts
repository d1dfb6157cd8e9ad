/** The write path over HTTP: propose, approve, commit; and what is in flight. */
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { readApproval } from '../core/approval.ts';
import { parseCanonical } from '../core/canonical.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { MAX_PAYLOAD_BYTES, type PayloadType } from '../core/payload.ts';
import type { Proposals } from '../registry/registry.ts';
import { type Answer, answerBytes, answerJson } from './answer.ts';
import { assertNoBody, readJsonBody } from './body.ts';
import type { Handler } from './exchange.ts';
import { proposalJson, proposedJson } from './proposal-json.ts';

const MAX_APPROVAL_BYTES = 4_096;

export interface ProposalRoutes {
  readonly listProposals: Handler;
  readonly readProposal: Handler;
  readonly readProposalPayload: Handler;
  readonly propose: Handler;
  readonly supersede: Handler;
  readonly approve: Handler;
  readonly commit: Handler;
}

type Params = Record<string, string>;

export function proposalRoutes(proposals: Proposals): ProposalRoutes {
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
    propose: (c) => {
      readQuery(QUERIES.none, c.req.url);
      return propose(proposals, c.req.raw, ['genesis', 'descriptors', 'governance']);
    },
    supersede: (c) => {
      readQuery(QUERIES.none, c.req.url);
      return propose(proposals, c.req.raw, ['supersede']);
    },
    approve: async (c) => {
      const id = readId(c.req.url, c.req.param());
      const bytes = await readJsonBody(c.req.raw, { maxBytes: MAX_APPROVAL_BYTES });
      const { quorum } = await proposals.approve(id, readApproval(parseCanonical(bytes)));
      return answerJson(quorum);
    },
    commit: async (c, corrId) => {
      const id = readId(c.req.url, c.req.param());
      await assertNoBody(c.req.raw);
      return commit(proposals, id, corrId);
    },
  };
}

async function propose(
  proposals: Proposals,
  request: Request,
  types: readonly PayloadType[],
): Promise<Answer> {
  const bytes = await readJsonBody(request, { maxBytes: MAX_PAYLOAD_BYTES });
  const { isNew, proposal } = await proposals.propose(bytes, { types });
  return answerJson(proposedJson(proposal), {
    status: isNew ? 202 : 200,
    headers: { Location: `/registry/proposals/${proposal.id}` },
  });
}

async function commit(proposals: Proposals, id: Hash, corrId: string): Promise<Answer> {
  const { isNew, head } = await proposals.commit(id, { corrId });
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
