/** Readers of whole answers that stop reading: what they hold is bounded, and who reads is served beside them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type FaultServer, metricOf, serve, until } from '../support/fault-server.ts';
import { memoryDir, temporaryDir } from '../support/memory-dir.ts';
import { isWithoutProc, rssMib } from '../support/process-memory.ts';
import { put } from '../support/registry.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  makeSigners,
} from '../support/signers.ts';
import { stalledReader, UnixClient } from '../support/unix-client.ts';

const READERS = 100;
/** Of 0.7 MB each: one page of them is an answer of 3.5 MB, made for each reader. */
const ENTRIES = 5;
const PAGE = `/registry/entries?from=1&limit=${ENTRIES}`;
/** All that they asked for is 350 MB; 64 MiB of it may be held. The rest is what a collection has not found yet. */
const MAX_MIB = 280;

const SIGNERS = makeSigners(1);

interface Stage {
  readonly server: FaultServer;
  readonly path: string;
  readonly client: UnixClient;
}

/** On a Unix socket, whose buffers are small: what a reader does not take stays with the server. */
async function open(t: TestContext): Promise<Stage> {
  const path = join(temporaryDir(t), 'api.sock');
  const server = await serve(t, {
    data: join(memoryDir(t), 'data'),
    settings: {
      listen: `unix:${path}`,
      shed_storage_after: '10m',
      metrics_listen: '127.0.0.1:0',
    },
  });
  const client = new UnixClient(path);
  const genesis = genesisPayload(makeGovernance(SIGNERS, { threshold: 1 }), {
    createdAt: Date.now(),
  });
  const values = Array.from({ length: ENTRIES }, (_, i) =>
    descriptorsPayload(genesis.payloadB3, [put(`d${i}`, { text: 'x'.repeat(700_000) })], {
      createdAt: Date.now(),
    }),
  );
  for (const payload of [genesis, ...values]) {
    await client.prepare(payload, SIGNERS);
    await client.post(`/registry/commit/${payload.payloadB3}`);
  }
  return { server, path, client };
}

test('readers that leave large answers lying hold 64 MiB together, and who reads gets the whole', async (t) => {
  if (isWithoutProc(t)) return;
  const { server, path, client } = await open(t);
  const { length } = await client.get(PAGE);
  assert.ok(length > 3_400_000, `${length}`);
  const before = rssMib(server.pid);
  const sockets = Array.from({ length: READERS }, () => stalledReader(path, PAGE));
  let ended = 0;
  for (const socket of sockets) socket.once('close', () => ended++);
  t.after(() => sockets.forEach((socket) => void socket.destroy()));
  const left = Math.floor((64 * 1024 * 1024) / length);
  await until(
    () => metricOf(server, 'http_answers_broken_off_total'),
    (count) => count === READERS - left,
    60_000,
  );
  const cost = rssMib(server.pid) - before;
  t.diagnostic(`${READERS} answers of ${length} bytes cost ${cost.toFixed(1)} MiB`);
  assert.ok(cost < MAX_MIB, `${cost} MiB`);
  assert.equal((await client.get(PAGE)).length, length);
  // A socket tells of its end when it is read from; the read before needed room too.
  for (const socket of sockets) socket.resume();
  await until(
    () => Promise.resolve(ended),
    (count) => count === READERS - left + 1,
  );
  client.close();
  assert.equal(await server.stop(), 0);
});
