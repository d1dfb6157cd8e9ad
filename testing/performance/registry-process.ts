/** A running registry with its genesis committed, three of five, in a process of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../../src/client/create.ts';
import type { Hash } from '../../src/core/hash.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { logKeyFile } from '../support/log-key-file.ts';
import {
  genesisPayload,
  makeGovernance,
  makeSigners,
  type TestSigner,
} from '../support/signers.ts';
import { type ChildServer, type NodeChild, type NodeChildOptions, startChild } from './child.ts';
import type { Profile } from './figure.ts';
import { formatPlan, NOTHING_PLANTED, type Planted } from './planted.ts';
import { SERVICE_ENV, SERVICE_FLAGS } from './service-flags.ts';

const SIGNERS = 5;
const THRESHOLD = 3;
const LOG_KEY = logKeyFile();

export interface RegistryProcess extends ChildServer {
  readonly metricsUrl: string;
  /** What it printed before its URL. */
  readonly said: readonly string[];
  /** The genesis payload's hash. */
  readonly registry: Hash;
  /** As many as a commit needs. */
  readonly signers: readonly TestSigner[];
}

export interface RegistryProcessOptions extends NodeChildOptions {
  readonly planted?: Planted;
  /** Of `quorate serve`, by name, instead of those of `registry-server.ts`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: 5 signers, 3 of whom must approve. */
  readonly signerCount?: number;
  readonly threshold?: number;
}

export async function startRegistry(
  profile: Profile,
  options: RegistryProcessOptions = {},
): Promise<RegistryProcess> {
  const { signerCount = SIGNERS, threshold = THRESHOLD } = options;
  const signers = makeSigners(signerCount);
  const stack = new AsyncDisposableStack();
  try {
    const directory = await mkdtemp(join(tmpdir(), 'quorate-perf-'));
    stack.defer(() => rm(directory, { recursive: true }));
    const child = stack.use(await spawnRegistry(profile, directory, options));
    const registry = await begin(child.url, { signers, threshold });
    return {
      url: child.url,
      pid: child.pid,
      metricsUrl: metricsUrlOf(child.said),
      said: child.said,
      registry,
      signers: signers.slice(0, threshold),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Over what stands in the directory. */
export function spawnRegistry(
  profile: Profile,
  directory: string,
  { planted = NOTHING_PLANTED, settings = {}, ...child }: RegistryProcessOptions = {},
): Promise<NodeChild> {
  const changed = [formatPlan(planted), JSON.stringify(settings)];
  const nodeFlags = [...SERVICE_FLAGS, ...(child.nodeFlags ?? [])];
  const parameters = [profile, directory, LOG_KEY, ...changed];
  const env = { ...SERVICE_ENV, ...(child.env ?? {}) };
  return startChild('registry-server.ts', parameters, { ...child, nodeFlags, env });
}

/** `said`: what a server printed before its URL. */
export function metricsUrlOf(said: readonly string[]): string {
  const found = said.find((line) => line.startsWith('metrics '));
  if (found === undefined)
    throw new Error('expected the server to print its metrics url, it did not');
  return found.slice('metrics '.length);
}

/** Answers the genesis payload's hash. */
export async function begin(
  url: string,
  { signers, threshold }: { signers: readonly TestSigner[]; threshold: number } = {
    signers: makeSigners(SIGNERS),
    threshold: THRESHOLD,
  },
): Promise<Hash> {
  // A server that sheds writes may do so at first, on a machine that is busy.
  const client = createClient({ url, verifier: createNativeVerifier(), maxAttempts: 20 });
  const genesis = genesisPayload(makeGovernance(signers, { threshold }), { createdAt: Date.now() });
  const { proposal_id } = await client.propose(genesis.bytes);
  for (const signer of signers) await client.approve(proposal_id, signer.approve(genesis));
  await client.commit(proposal_id);
  return genesis.payloadB3;
}
