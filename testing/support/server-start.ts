/** Servers in this process, on free ports and in directories that end with the process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Client } from '../../src/client/client.ts';
import { createClient } from '../../src/client/create.ts';
import type { Hash } from '../../src/core/hash.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import { loadConfig } from '../../src/server/config.ts';
import type { Address } from '../../src/server/config-values.ts';
import { createLog } from '../../src/server/log.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import type { RunningServer } from '../../src/server/running.ts';
import { startServer } from '../../src/server/start.ts';
import { logKeyFile } from './log-key-file.ts';
import { put } from './registry.ts';
import { descriptorsPayload, genesisPayload, makeGovernance, makeSigners } from './signers.ts';

const root = mkdtempSync(join(tmpdir(), 'quorate-server-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** Of the key that the genesis of `beginOver` lists. */
export const LOG_KEY = logKeyFile();

export function makeDataDir(): string {
  return join(mkdtempSync(join(root, 'test-')), 'data');
}

export interface TestServer extends RunningServer {
  readonly address: Address;
  /** Log records, parsed. */
  readonly records: readonly Readonly<Record<string, unknown>>[];
  /** Lines of the audit log of a micronode. */
  readonly audited: readonly string[];
}

/** `settings` by key; a micronode with a log key unless they say otherwise. Stopped when the test ends. */
export async function startTestServer(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  const records: Record<string, unknown>[] = [];
  const audited: string[] = [];
  const write = (line: string) => records.push(JSON.parse(line) as Record<string, unknown>);
  const flags = {
    profile: 'micronode',
    log_key: LOG_KEY,
    listen: '127.0.0.1:0',
    metrics_listen: 'off',
    drain_timeout: '5s',
    // The machine is shared: that it is busy is to refuse a write only where that is the test.
    shed_loop_after: '10m',
    shed_storage_after: '10m',
    ...settings,
  };
  const server = await startServer(loadConfig({ flags }), {
    log: createLog({ level: 'info', destination: { write } }),
    stdout: { write: (line) => void audited.push(line) },
  });
  t.after(() => server.stop());
  const { hostname, port } = new URL(server.url);
  const address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
  return Object.assign(server, { address, records, audited });
}

export const SIGNERS = makeSigners(3);
const GOVERNANCE = makeGovernance(SIGNERS, { threshold: 2 });

export function clientOf(url: string, token?: string): Client {
  const verifier = createNativeVerifier();
  return createClient({ url, verifier, maxAttempts: 1, ...(token !== undefined && { token }) });
}

/** Proposes, approves by everybody and commits; answers the version. */
export async function commitOver(client: Client, proposal: DecodedPayload): Promise<number> {
  const { proposal_id: id } = await client.propose(proposal.bytes);
  for (const signer of SIGNERS) await client.approve(id, signer.approve(proposal));
  return (await client.commit(id)).version;
}

/** 2 of 3. */
export function genesisNow(): DecodedPayload {
  return genesisPayload(GOVERNANCE, { createdAt: Date.now() });
}

/** Commits the genesis; answers the registry's hash. */
export async function beginOver(client: Client, genesis = genesisNow()): Promise<Hash> {
  await commitOver(client, genesis);
  return genesis.payloadB3;
}

/** Puts one new descriptor, `service/<id>`. */
export function commitService(client: Client, registry: Hash, id: string): Promise<number> {
  const changes = [put(id, { port: 80 })];
  return commitOver(client, descriptorsPayload(registry, changes, { createdAt: Date.now() }));
}
