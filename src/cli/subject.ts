/** What `review` and `approve` are about: a proposal by its id, or a payload in a file. */
import type { Client, ProposalJson } from '../client/client.ts';
import { RegistryError } from '../core/error.ts';
import { type Hash, isHash } from '../core/hash.ts';
import { type DecodedPayload, registryOf } from '../core/payload.ts';
import type { Context } from './context.ts';
import { verified } from './failure.ts';
import { readPayload } from './files.ts';

export interface Subject {
  readonly proposal: DecodedPayload;
  /** As the server tells it; `undefined` when it does not have it. */
  readonly posted: ProposalJson | undefined;
}

/** The payload of an id is checked to hash to it. Throws `unknown_proposal` for an id that is not there. */
export async function findSubject(context: Context, target: string): Promise<Subject> {
  const client = await context.client();
  if (isHash(target)) {
    const proposal = await verified(client.payload(target));
    return { proposal, posted: await client.unverifiedProposal(target) };
  }
  const proposal = await readPayload(context.io, target);
  return { proposal, posted: await findPosted(client, proposal.payloadB3) };
}

/** Throws `wrong_registry` unless the payload is for the pinned registry, if one is pinned. */
export function assertPinned(proposal: DecodedPayload, registry: Hash | undefined): void {
  const found = registryOf(proposal);
  if (registry !== undefined && found !== registry)
    throw new RegistryError(
      'wrong_registry',
      `expected a payload for the pinned registry ${registry}, got one for ${found}`,
    );
}

async function findPosted(client: Client, id: Hash): Promise<ProposalJson | undefined> {
  try {
    return await client.unverifiedProposal(id);
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'unknown_proposal') return undefined;
    throw error;
  }
}
