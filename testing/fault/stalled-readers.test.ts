/**
 * 200 readers of the stream that stop reading: what they cost in memory, and what they cost a commit,
 * beside a server without them that gets the same commits in turn.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Hash } from '../../src/core/hash.ts';
import { CHILD_ENV } from '../support/child.ts';
import { type FaultServer, metricOf, newPayload, serve, until } from '../support/fault-server.ts';
import { memoryDir, temporaryDir } from '../support/memory-dir.ts';
import { isWithoutProc, rssMib } from '../support/process-memory.ts';
import { untilClosed } from '../support/server-socket.ts';
import { genesisPayload, makeGovernance, makeSigners } from '../support/signers.ts';
import { stalledReader, UnixClient } from '../support/unix-client.ts';

const READERS = 200;
const MAX_MIB = 64;
/** Twice what the buffers of a Unix socket and of Node take, so that every reader has stalled. */
const EVENTS = 304;
/** Of them, those that were there before the readers: all must be reading before the first is given up. */
const BEHIND = 64;
const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
/** In each of them the readers come anew: the server gives up on one after 10 s. */
const ROUNDS = IS_LONG ? 10 : 1;
const COMMITS_PER_ROUND = IS_LONG ? 250 : 60;

const SIGNERS = makeSigners(1);

class Stage {
  readonly server: FaultServer;
  readonly path: string;
  readonly client: UnixClient;
  readonly registry: Hash;
  #count = 0;

  private constructor(server: FaultServer, path: string, registry: Hash) {
    this.server = server;
    this.path = path;
    this.client = new UnixClient(path);
    this.registry = registry;
  }

  /** A server on a Unix socket, whose buffers are small: readers stall soon. */
  static async open(t: TestContext): Promise<Stage> {
    const path = join(temporaryDir(t), 'api.sock');
    const server = await serve(t, {
      // A disk's own p99 moves by more than readers may add: without one, what they add is all there is.
      data: join(memoryDir(t), 'data'),
      // A small young generation: what is resident is what is held, and little that was dropped.
      nodeOptions: ['--max-semi-space-size=1'],
      settings: {
        listen: `unix:${path}`,
        metrics_listen: '127.0.0.1:0',
        max_streams_per_address: '1000',
        max_connections_per_address: '1000',
        shed_storage_after: '10m',
      },
    });
    const genesis = genesisPayload(makeGovernance(SIGNERS, { threshold: 1 }), {
      createdAt: Date.now(),
    });
    const stage = new Stage(server, path, genesis.payloadB3);
    await stage.client.prepare(genesis, SIGNERS);
    await stage.client.post(`/registry/commit/${genesis.payloadB3}`);
    return stage;
  }

  /** Answers how long the commit took, from the request to the answer. */
  async commit(): Promise<number> {
    const proposal = newPayload(this.registry, `d${this.#count++}`);
    const id = await this.client.prepare(proposal, SIGNERS);
    const startedMs = performance.now();
    await this.client.post(`/registry/commit/${id}`);
    return performance.now() - startedMs;
  }

  get version(): number {
    return this.#count;
  }

  /** Whoever reads gets the newest entry, its checkpoint and its tile, and readiness is as ever. */
  async assertVisible(): Promise<void> {
    const { version } = JSON.parse(await this.client.get('/registry/head')) as { version: number };
    assert.equal(version, this.#count);
    const [, size] = (await this.client.get('/checkpoint')).split('\n');
    assert.equal(Number(size), version + 1);
    const width = (version % 256) + 1;
    const tile = String(Math.floor(version / 256)).padStart(3, '0');
    await this.client.get(`/tile/0/${tile}${width === 256 ? '' : `.p/${width}`}`);
    const { ready, write_ready } = JSON.parse(await this.client.get('/readyz'));
    assert.deepEqual([ready, write_ready], [true, true]);
  }

  readonly metric = (series: string): Promise<number> => metricOf(this.server, series);

  async stop(): Promise<void> {
    this.client.close();
    assert.equal(await this.server.stop(), 0);
  }
}

/** Commits on all of them at once, a few at a time. */
async function commitMany(stages: readonly Stage[], count: number): Promise<void> {
  for (let n = 0; n < count; n += 8)
    await Promise.all(stages.flatMap((stage) => Array.from({ length: 8 }, () => stage.commit())));
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

interface Times {
  readonly burdened: number[];
  readonly free: number[];
}

test('200 readers that stop reading cost little memory and no commit waits for them', async (t) => {
  if (isWithoutProc(t)) return;
  const [burdened, free] = await Promise.all([Stage.open(t), Stage.open(t)]);
  await commitMany([burdened, free], BEHIND);
  const grown = growthOf(burdened, free);
  const times: Times = { burdened: [], free: [] };
  for (let round = 1; round <= ROUNDS; round++) {
    const after = burdened.version - BEHIND;
    const sockets = await stalledReaders(t, burdened, after);
    await commitMany([burdened, free], EVENTS - BEHIND);
    await commitInTurn(times, { burdened, free });
    if (round === 1) {
      const [cost, told] = grown();
      t.diagnostic(told);
      assert.ok(cost < MAX_MIB, told);
    }
    await givenUp(burdened, { round, sockets, after });
  }
  assertNoSlower(t, times);
  await Promise.all([burdened.stop(), free.stop()]);
});

/** Answers what one server has grown by more than the other since it was called, in MiB and in words. */
function growthOf(burdened: Stage, free: Stage): () => readonly [number, string] {
  const measure = () => [rssMib(burdened.server.pid), rssMib(free.server.pid)] as const;
  const [burdenedBefore, freeBefore] = measure();
  return () => {
    const [burdenedAfter, freeAfter] = measure();
    const cost = burdenedAfter - burdenedBefore - (freeAfter - freeBefore);
    return [cost, `${READERS} stalled readers cost ${cost.toFixed(1)} MiB`];
  };
}

async function stalledReaders(
  t: TestContext,
  { path, metric }: Stage,
  after: number,
): Promise<Socket[]> {
  const sockets = Array.from({ length: READERS }, () =>
    stalledReader(path, `/registry/stream?after=${after}`),
  );
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await until(
    () => metric('registry_stream_subscribers'),
    (count) => count === READERS,
  );
  return sockets;
}

/** Proof that they had stopped: the server gives up on each of them, and counts it. What came before has no hole. */
async function givenUp(
  { metric }: Stage,
  { round, sockets: [first], after }: { round: number; sockets: readonly Socket[]; after: number },
): Promise<void> {
  await until(
    () => metric('bus_lagged_total{consumer="slow"}'),
    (count) => count === round * READERS,
    30_000,
  );
  assert.equal(await metric('registry_stream_subscribers'), 0);
  assert.ok(first !== undefined);
  const ids = [...(await untilClosed(first.resume())).matchAll(/^id: (\d+)\n/gm)].map(([, id]) =>
    Number(id),
  );
  assert.ok(ids.length > 20, `${ids.length} events`);
  assert.deepEqual(
    ids,
    ids.map((_, i) => after + 1 + i),
  );
}

function assertNoSlower(t: TestContext, { burdened, free }: Times): void {
  const [p50, p99] = [0.5, 0.99].map((q) => [quantile(burdened, q), quantile(free, q)] as const);
  assert.ok(p50 && p99);
  const told = [p50, p99].map((pair) => pair.map((ms) => ms.toFixed(2)).join(' and '));
  t.diagnostic(`commits with and without them: p50 ${told[0]} ms, p99 ${told[1]} ms`);
  // What 200 writes to sockets within a commit would take is more than a millisecond.
  assert.ok(p50[0] < 1.25 * p50[1] + 1, `p50: ${told[0]} ms`);
  if (IS_LONG) assert.ok(p99[0] < 1.1 * p99[1], `p99: ${told[1]} ms`);
}

/** On one and on the other, so that what else the machine does meets both. */
async function commitInTurn(times: Times, stages: { burdened: Stage; free: Stage }): Promise<void> {
  for (let n = 0; n < COMMITS_PER_ROUND; n++) {
    const order = n % 2 === 0 ? (['burdened', 'free'] as const) : (['free', 'burdened'] as const);
    for (const which of order) {
      times[which].push(await stages[which].commit());
      await stages[which].assertVisible();
    }
  }
}

test('the same events in a queue for each reader would cost more than that', async (t) => {
  if (isWithoutProc(t)) return;
  const path = join(temporaryDir(t), 'naive.sock');
  const program = join(import.meta.dirname, '../support/naive-feed.ts');
  const child = spawn(process.execPath, ['--max-semi-space-size=1', program, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: CHILD_ENV,
  });
  t.after(() => child.kill('SIGKILL'));
  const said = async () => String((await once(child.stdout, 'data'))[0]);
  assert.equal(await said(), 'listening\n');
  const before = rssMib(child.pid ?? assert.fail());
  const sockets = Array.from({ length: READERS }, () => stalledReader(path, '/'));
  t.after(() => sockets.forEach((socket) => void socket.destroy()));
  await Promise.all(sockets.map((socket) => once(socket, 'readable')));
  child.stdin.write(`${EVENTS}\n`);
  assert.equal(await said(), `${READERS} readers\n`);
  const cost = rssMib(child.pid ?? assert.fail()) - before;
  t.diagnostic(`${cost.toFixed(1)} MiB`);
  assert.ok(cost > MAX_MIB, `${cost} MiB: this test would not notice a queue`);
  child.stdin.end();
  await once(child, 'exit');
});
