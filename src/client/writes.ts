/**
 * The write plane: proposing, approving, committing, and what is in flight. Nothing here is verified
 * but payloads, by the hash they are asked for by.
 */
import { readApproval } from '../core/approval.ts';
import { canonicalBytes, type Json } from '../core/canonical.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { type Hash, hashOf, isHash } from '../core/hash.ts';
import { type DecodedPayload, decodePayload, MAX_PAYLOAD_BYTES } from '../core/payload.ts';
import { readHead } from './answers.ts';
import type { Client } from './client.ts';
import { parseJsonBytes } from './json.ts';
import { readProposal, readProposals, readProposed, readQuorum } from './proposal-json.ts';
import type { Transport } from './transport.ts';

const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_LIST_BYTES = 64 * 1024 * 1024;

type Writes = Pick<
  Client,
  | 'propose'
  | 'approve'
  | 'commit'
  | 'unverifiedProposals'
  | 'unverifiedProposal'
  | 'payload'
  | 'unverifiedJson'
>;

export function createWrites(transport: Transport): Writes {
  return {
    propose: (bytes) => propose(transport, bytes),
    approve: async (id, approval) => {
      const body = canonicalBytes(readApproval({ ...approval }));
      const { bytes } = await transport.post(pathOf('approvals', id), {
        body,
        maxBytes: MAX_ANSWER_BYTES,
      });
      return readQuorum(parseJsonBytes(bytes));
    },
    commit: async (id) => {
      const { status, bytes } = await transport.post(pathOf('commit', id), {
        maxBytes: MAX_ANSWER_BYTES,
      });
      const { version, entryHash } = readHead(bytes);
      return { isNew: status === 201, version, entry_hash: entryHash };
    },
    unverifiedProposals: async () => readProposals(await getJson(transport, '/registry/proposals')),
    unverifiedProposal: async (id) =>
      readProposal(await getJson(transport, pathOf('proposals', id))),
    payload: (id) => readPayload(transport, id),
    unverifiedJson: async (path) => {
      if (!path.startsWith('/'))
        throw new RegistryError(
          'invalid_request',
          `expected a path that begins with /, got ${excerpt(path)}`,
        );
      return getJson(transport, path);
    },
  };
}

async function propose(transport: Transport, bytes: Uint8Array): ReturnType<Client['propose']> {
  // Read here first: what the registry would refuse needs no round trip, and the type names the route.
  const { payload, payloadB3 } = decodePayload(bytes);
  const path = payload.type === 'supersede' ? '/registry/supersede' : '/registry/proposals';
  const answer = await transport.post(path, { body: bytes, maxBytes: MAX_ANSWER_BYTES });
  const { proposal_id, expires_at, quorum } = readProposed(parseJsonBytes(answer.bytes));
  if (proposal_id !== payloadB3)
    throw new RegistryError(
      'unexpected_answer',
      `expected proposal ${payloadB3}, got ${proposal_id}`,
    );
  return { isNew: answer.status === 202, proposal_id, expires_at, quorum };
}

async function readPayload(transport: Transport, id: Hash): Promise<DecodedPayload> {
  const options = { maxBytes: MAX_PAYLOAD_BYTES, accept: 'json' } as const;
  const { bytes } = await transport.get(`${pathOf('proposals', id)}/payload`, options);
  if (hashOf(bytes) !== id)
    throw new RegistryError(
      'unexpected_answer',
      `expected the payload ${id}, got bytes that hash to ${hashOf(bytes)}`,
    );
  return decodePayload(bytes);
}

async function getJson(transport: Transport, path: string): Promise<Json> {
  const { bytes } = await transport.get(path, { maxBytes: MAX_LIST_BYTES, accept: 'json' });
  return parseJsonBytes(bytes);
}

function pathOf(route: 'approvals' | 'commit' | 'proposals', id: Hash): string {
  if (!isHash(id))
    throw new RegistryError(
      'invalid_request',
      `expected a proposal id, b3: and 64 hex digits, got ${excerpt(id)}`,
    );
  return `/registry/${route}/${id}`;
}
