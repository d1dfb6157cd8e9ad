/** A running registry with its genesis committed, in a process of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../../src/client/create.ts';
import { logKeyFile } from '../support/log-key-file.ts';
import { genesisPayload, makeGovernance, makeSigners } from '../support/signers.ts';
import { type ChildServer, startChild } from './child.ts';
import type { Profile } from './result.ts';

export async function startRegistry(profile: Profile): Promise<ChildServer> {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-perf-'));
  const child = await startChild('registry-server.ts', [profile, directory, logKeyFile()]);
  await begin(child.url);
  return {
    url: child.url,
    [Symbol.asyncDispose]: async () => {
      await child[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

async function begin(url: string): Promise<void> {
  const client = createClient({ url });
  const signers = makeSigners(3);
  const genesis = genesisPayload(makeGovernance(signers, { threshold: 2 }), {
    createdAt: Date.now(),
  });
  const { proposal_id } = await client.propose(genesis.bytes);
  for (const signer of signers) await client.approve(proposal_id, signer.approve(genesis));
  await client.commit(proposal_id);
}
