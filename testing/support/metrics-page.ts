/** A server with its metrics on, and the traffic that gives them something to show. */
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { askOperator } from '../../src/cli/operator-socket.ts';
import type { Client } from '../../src/client/client.ts';
import type { Hash } from '../../src/core/hash.ts';
import {
  beginOver,
  clientOf,
  commitService,
  makeDataDir,
  startTestServer,
  type TestServer,
} from './server-start.ts';

export interface MeteredServer {
  readonly server: TestServer;
  /** As it is now. */
  page(): Promise<string>;
  /** Commits `count` services under names not used before, reads them, and has one write refused. */
  work(count: number): Promise<void>;
  /** As its operator. */
  act(name: 'freeze' | 'thaw', reason: string): Promise<void>;
}

/** A macronode with a high-water mark, a genesis and one subscriber. */
export async function startMetered(t: TestContext): Promise<MeteredServer> {
  const data = makeDataDir();
  const server = await startTestServer(t, {
    profile: 'macronode',
    data,
    high_water: join(dirname(data), 'mark'),
    metrics_listen: '127.0.0.1:0',
  });
  const client = clientOf(server.url);
  const registry = await beginOver(client);
  await subscribe(t, server.url);
  let made = 0;
  return {
    server,
    page: () => textOf(server.metricsUrl ?? ''),
    work: async (count) => {
      for (let i = 0; i < count; i++) {
        const version = await commitService(client, registry, `service-${made++}`);
        await textOf(`${server.url}/registry/${version}`);
        await textOf(`${server.url}/registry/head`);
      }
      await beRefused(client, registry);
    },
    act: async (name, reason) => {
      const path = `/operator/${name}`;
      await askOperator(join(data, 'operator.sock'), { method: 'POST', path, body: { reason } });
    },
  };
}

async function subscribe(t: TestContext, url: string): Promise<void> {
  const stream = get(`${url}/registry/stream`).on('error', () => undefined);
  t.after(() => stream.destroy());
  await new Promise<void>((resolve) =>
    stream.once('response', (response) => {
      response.resume();
      resolve();
    }),
  );
}

/** `service-0` exists. */
async function beRefused(client: Client, registry: Hash): Promise<void> {
  await assert.rejects(commitService(client, registry, 'service-0'), { code: 'fence_broken' });
}

async function textOf(url: string): Promise<string> {
  const response = await fetch(url);
  assert.equal(response.status, 200, url);
  return response.text();
}
