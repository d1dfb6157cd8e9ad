/** A server that is set up as deploy/nginx.conf tells its operator to, with a registry begun, and that nginx before it. */
import type { TestContext } from 'node:test';
import type { Client } from '../../src/client/client.ts';
import type { Hash } from '../../src/core/hash.ts';
import { type Edit, NAMED_SETTINGS, startNginx } from './nginx.ts';
import {
  beginOver,
  clientOf,
  genesisNow,
  startTestServer,
  type TestServer,
} from './server-start.ts';
import { HOUR, makeTokenKey, mint } from './tokens.ts';

export interface BehindNginx {
  readonly server: TestServer;
  readonly registry: Hash;
  /** Of every scope. */
  readonly token: string;
  /** Past nginx, with the token. */
  readonly client: Client;
  readonly proxyUrl: string;
}

/** `settings` beside those that the file names. Both are stopped when the test ends. */
export async function startBehindNginx(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
  edits: readonly Edit[] = [],
): Promise<BehindNginx> {
  const key = makeTokenKey();
  const named = { ...NAMED_SETTINGS, token_key: key.key };
  const server = await startTestServer(t, { ...named, ...settings });
  const genesis = genesisNow();
  const issued = Math.floor(Date.now() / 1000);
  const grant = { registry: genesis.payloadB3, issued, expires: issued + HOUR };
  const token = await mint(key, grant);
  const client = clientOf(server.url, token);
  const registry = await beginOver(client, genesis);
  return { server, registry, token, client, proxyUrl: await startNginx(t, server.url, edits) };
}
