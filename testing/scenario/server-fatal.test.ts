import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { test } from 'node:test';
import { databasePath } from '../../src/server/open-store.ts';
import { put } from '../support/registry.ts';
import { spawnServer } from '../support/server-process.ts';
import {
  beginOver,
  clientOf,
  commitOver,
  commitService,
  makeDataDir,
} from '../support/server-start.ts';
import { descriptorsPayload } from '../support/signers.ts';

test('when the outcome of a write is unknown the answer says so and the process kills itself', async () => {
  const data = makeDataDir();
  const server = await spawnServer(data);
  const registry = await beginOver(server.client);
  await commitService(server.client, registry, 'checkout');
  const proposal = descriptorsPayload(registry, [put('billing', {})], { createdAt: Date.now() });

  // The files go away under the process: what it writes from here on, nobody will read.
  const path = databasePath(data);
  for (const suffix of ['', '-wal', '-shm'])
    renameSync(`${path}${suffix}`, `${path}.aside${suffix}`);
  const failure = await server.client.propose(proposal.bytes).then(
    () => assert.fail('a write into files that are gone was acknowledged'),
    (error: { code: string }) => error,
  );
  assert.equal(failure.code, 'outcome_unknown');
  assert.deepEqual(await server.ended, { code: null, signal: 'SIGKILL' });

  for (const suffix of ['', '-wal', '-shm'])
    renameSync(`${path}.aside${suffix}`, `${path}${suffix}`);
  const next = await spawnServer(data);
  const client = clientOf(next.url);
  assert.equal((await client.head()).version, 1);
  assert.equal(await commitOver(client, proposal), 2);
  assert.equal(await next.stop(), 0);
});
