/**
 * What a commit costs once its quorum is there: alone, and 16 at a time. On disk it is held against a
 * bare append with fdatasync, in memory (where nothing is written) against one signature check.
 */
import { createPublicKey, sign, verify } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ERROR_CODES } from '../../src/core/error.ts';
import type { Hash } from '../../src/core/hash.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { createMetrics } from '../../src/telemetry/create-metrics.ts';
import { ALICE } from '../support/core-registry.ts';
import { openTestRegistry, put, type TestRegistry } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';
import { median, type Profile, type Result, resultOf } from './result.ts';

const ENTRY_BYTES = 4096;
const AT_ONCE = 16;
const METRICS = createMetrics({
  build: { version: 'perf', node: process.version },
  reasons: ERROR_CODES,
  now: () => performance.now(),
  isProcessObserved: false,
});

interface Bare {
  readonly name: string;
  /** One turn, done when it returns. */
  run(): void;
  end(): void;
}

export async function measureCommits({
  profile,
  count,
}: {
  profile: Profile;
  count: number;
}): Promise<readonly Result[]> {
  const directory = await mkdtemp(join(tmpdir(), 'quorate-perf-'));
  try {
    const bare =
      profile === 'macronode' ? fsyncedAppend(join(directory, 'bare.log')) : signatureCheck();
    const test = await openTestRegistry({
      store: await openStore(profile, directory),
      limits: { maxPendingProposals: count * 2 },
    });
    const ready = await propose(test, count * 2);
    const [alone, bareUs] = await measureAlone(test, { ids: ready.slice(0, count), bare });
    const together = await measureTogether(test, ready.slice(count));
    bare.end();
    await test.registry[Symbol.asyncDispose]();
    return [
      resultOf({
        name: 'commit, alone',
        value: alone,
        unit: 'us',
        calibration: { name: bare.name, value: bareUs },
      }),
      resultOf({
        name: `commit, ${AT_ONCE} at a time`,
        value: together,
        unit: 'commits/s',
        calibration: { name: `${bare.name}, one by one`, value: 1e6 / bareUs },
      }),
    ];
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function openStore(profile: Profile, directory: string): Promise<Store> {
  if (profile === 'micronode') return createMemoryStore();
  return openSqliteStore({ path: join(directory, 'quorate.db'), onFatal: fail, metrics: METRICS });
}

function fail(error: unknown): never {
  throw error;
}

/** Proposals of one 4 KB change each, with their quorum. */
async function propose(test: TestRegistry, count: number): Promise<Hash[]> {
  const ids: Hash[] = [];
  for (let i = 0; i < count; i++) {
    const change = put(`service-${i}`, { text: 'x'.repeat(ENTRY_BYTES) });
    const proposal = descriptorsPayload(test.registryHash, [change]);
    await test.registry.proposals.propose(proposal.bytes);
    for (const signer of test.signers.slice(0, 2))
      await test.registry.proposals.approve(proposal.payloadB3, signer.approve(proposal));
    ids.push(proposal.payloadB3);
  }
  return ids;
}

/** In turns with the bare thing; both medians, in microseconds. */
async function measureAlone(
  test: TestRegistry,
  { ids, bare }: { ids: readonly Hash[]; bare: Bare },
): Promise<[number, number]> {
  const commits: number[] = [];
  const bares: number[] = [];
  for (const id of ids) {
    const began = performance.now();
    await test.registry.proposals.commit(id);
    const between = performance.now();
    bare.run();
    commits.push((between - began) * 1000);
    bares.push((performance.now() - between) * 1000);
  }
  return [median(commits), median(bares)];
}

/** Commits a second. */
async function measureTogether(test: TestRegistry, ids: readonly Hash[]): Promise<number> {
  const began = performance.now();
  const queue = ids.values();
  const lanes = Array.from({ length: AT_ONCE }, async () => {
    for (const id of queue) await test.registry.proposals.commit(id);
  });
  await Promise.all(lanes);
  return (ids.length * 1000) / (performance.now() - began);
}

function fsyncedAppend(path: string): Bare {
  const file = openSync(path, 'a');
  const bytes = new Uint8Array(ENTRY_BYTES).fill(120);
  return {
    name: 'append of 4 KB and fdatasync',
    run: () => {
      writeSync(file, bytes);
      fdatasyncSync(file);
    },
    end: () => closeSync(file),
  };
}

function signatureCheck(): Bare {
  const message = new Uint8Array(256);
  const key = ALICE.privateKey;
  const signature = sign(null, message, key);
  const publicKey = createPublicKey(key);
  return {
    name: 'crypto.verify',
    run: () => {
      if (!verify(null, message, publicKey, signature))
        throw new Error('expected the signature to verify');
    },
    end: () => undefined,
  };
}
