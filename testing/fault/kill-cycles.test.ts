/**
 * kill -9 while commits are under way, fifty times over one database: what was acknowledged stays
 * acknowledged, what was not is resolved by repeating the request, and the log verifies at the end.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../../src/client/create.ts';
import { RegistryError } from '../../src/core/error.ts';
import type { Hash } from '../../src/core/hash.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import { createNativeVerifier } from '../../src/server/native-verifier.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { checkLog } from '../support/check-log.ts';
import { makeRandom } from '../support/random.ts';
import { put } from '../support/registry.ts';
import { type ServerProcess, spawnServer } from '../support/server-process.ts';
import {
  descriptorsPayload,
  genesisPayload,
  makeGovernance,
  makeSigners,
  type TestSigner,
} from '../support/signers.ts';

const CYCLES = Number(process.env.QUORATE_KILL_CYCLES ?? 50);
const WRITERS = 4;

interface Acknowledged {
  readonly version: number;
  readonly entryHash: Hash;
}

/** What the writers know: every payload they began with, and what they were told of it. */
class Ledger {
  readonly begun = new Map<Hash, DecodedPayload>();
  readonly acknowledged = new Map<Hash, Acknowledged>();

  get unresolved(): DecodedPayload[] {
    return [...this.begun]
      .filter(([id]) => !this.acknowledged.has(id))
      .map(([, payload]) => payload);
  }

  acknowledge(id: Hash, { version, entryHash }: Acknowledged): void {
    const answer = { version, entryHash };
    const known = this.acknowledged.get(id);
    assert.deepEqual(known ?? answer, answer, `${id} was acknowledged twice, differently`);
    this.acknowledged.set(id, answer);
  }
}

test(`${CYCLES} times kill -9 under concurrent commits loses no acknowledged commit`, {
  timeout: 240_000,
}, async (t) => {
  const seed = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const dataDir = await mkdtemp(join(tmpdir(), 'quorate-kill-'));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const signers = makeSigners(3);
  const genesis = genesisPayload(makeGovernance(signers, { threshold: 2 }), {
    createdAt: Date.now(),
  });
  const ledger = new Ledger();
  ledger.begun.set(genesis.payloadB3, genesis);
  let interrupted = 0;
  let survived = 0;

  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const server = await startServer(dataDir, ledger);
    const open = ledger.unresolved;
    for (const payload of open) {
      const answer = await carryThrough(server, payload, signers);
      if (cycle > 0 && !answer.isNew) survived++;
      ledger.acknowledge(payload.payloadB3, answer);
    }
    await assertKept(server, ledger);
    const writers = Array.from({ length: WRITERS }, (_, i) =>
      write(server, { genesis, signers, ledger, name: `${cycle}-${i}` }),
    );
    await Promise.any(writers.map(({ first }) => first));
    await sleep(60 * random());
    assert.equal(await server.kill(), 'SIGKILL', 'the fault was injected');
    await Promise.all(writers.map(({ ended }) => ended));
    interrupted += ledger.unresolved.length;
  }

  assert.ok(interrupted > 0, 'at least one request was cut off');
  const server = await startServer(dataDir, ledger);
  for (const payload of ledger.unresolved)
    ledger.acknowledge(payload.payloadB3, await carryThrough(server, payload, signers));
  await assertKept(server, ledger);
  const verified = await createClient({
    url: server.url,
    registry: genesis.payloadB3,
    verifier: createNativeVerifier(),
  }).head();
  assert.equal(verified.version, ledger.begun.size - 1, 'each payload became exactly one entry');
  assert.equal(await server.stop(), 0);
  const chain = await checkLog(openSqliteReader({ path: join(dataDir, 'registry.db') }));
  assert.equal(chain?.entryHash, verified.entryHash);
  t.diagnostic(
    `${ledger.acknowledged.size} commits, ${interrupted} requests cut off, ${survived} of them had been committed`,
  );
});

/** Where there is a registry, reads are answered before writes are accepted: its set is made in between. */
async function startServer(dataDir: string, { acknowledged }: Ledger): Promise<ServerProcess> {
  const server = await spawnServer(dataDir);
  const isReady = async () => (await fetch(`${server.url}/readyz`)).ok;
  while (acknowledged.size > 0 && !(await isReady())) await sleep(5);
  return server;
}

/** Commits one payload after another until the server is gone. */
function write(
  server: ServerProcess,
  {
    genesis,
    signers,
    ledger,
    name,
  }: { genesis: DecodedPayload; signers: readonly TestSigner[]; ledger: Ledger; name: string },
): { first: Promise<void>; ended: Promise<void> } {
  const { promise: first, resolve, reject } = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    for (let n = 0; ; n++) {
      const payload = descriptorsPayload(genesis.payloadB3, [put(`${name}-${n}`, { n })], {
        createdAt: Date.now(),
      });
      ledger.begun.set(payload.payloadB3, payload);
      ledger.acknowledge(payload.payloadB3, await carryThrough(server, payload, signers));
      resolve();
    }
  };
  const ended = run().catch((error: unknown) => {
    reject(error);
    // The only way to end is the kill: no answer, or the connection cut in the middle of one.
    assert.ok(error instanceof RegistryError && error.code === 'unavailable', `${error}`);
  });
  first.catch(() => undefined);
  return { first, ended };
}

async function carryThrough(
  { client }: ServerProcess,
  proposal: DecodedPayload,
  signers: readonly TestSigner[],
): Promise<Acknowledged & { isNew: boolean }> {
  const id = proposal.payloadB3;
  await client.propose(proposal.bytes);
  const needed = proposal.payload.type === 'genesis' ? signers : signers.slice(0, 2);
  // Committed before the kill, its approvals are settled: the commit below says so.
  for (const signer of needed) await client.approve(id, signer.approve(proposal));
  const { version, entry_hash, isNew } = await client.commit(id);
  return { version, entryHash: entry_hash, isNew };
}

async function assertKept({ url }: ServerProcess, ledger: Ledger): Promise<void> {
  for (const [id, { version, entryHash }] of [...ledger.acknowledged].slice(-20)) {
    const response = await fetch(`${url}/registry/${version}`);
    assert.equal(response.headers.get('etag'), `"${entryHash}"`, `${id} at version ${version}`);
    await response.arrayBuffer();
  }
}
