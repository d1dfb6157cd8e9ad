/** Blobs sent and fetched, several at a time; all of them are made and hashed before the clock starts. */
import { randomFillSync } from 'node:crypto';
import { RegistryError } from '../../core/error.ts';
import { formatHash, type Hash } from '../../core/hash.ts';
import { createHasher } from '../../server/fast-hash/hasher.ts';
import { giveBack } from '../../server/give-back.ts';
import { mismatch } from '../blob-file.ts';
import { type BlobTarget, receiveBlob, sendBlob } from '../blob-transfer.ts';
import type { BenchClock } from './clock.ts';
import { type Latency, LatencyRecorder } from './histogram.ts';
import { rounded } from './load.ts';

export interface BlobLoadResult {
  readonly requests: number;
  readonly failed: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Of those that were right. */
  readonly bytes: number;
  readonly elapsed_ms: number;
  /** Millions of bytes a second, all connections together. */
  readonly mb_per_second: number;
  readonly latency_us: Latency | null;
}

export interface BenchBlob {
  readonly address: Hash;
  /** In order. */
  readonly pieces: readonly Uint8Array[];
}

/** One of a blob's own, then what all have in common: random bytes are costly, and no disk looks for what it has. */
const OWN_BYTES = 1024;
const PIECE_BYTES = 256 * 1024;

export function makeBlobs({
  count,
  size,
}: {
  readonly count: number;
  readonly size: number;
}): readonly BenchBlob[] {
  const common = randomFillSync(new Uint8Array(Math.max(0, size - OWN_BYTES)));
  const rest: Uint8Array[] = [];
  for (let at = 0; at < common.length; at += PIECE_BYTES)
    rest.push(common.subarray(at, at + PIECE_BYTES));
  return Array.from({ length: count }, () => {
    const own = randomFillSync(new Uint8Array(Math.min(size, OWN_BYTES)));
    const pieces = [own, ...rest];
    return { address: hashOf(pieces), pieces };
  });
}

export interface BlobLoadOptions {
  readonly target: BlobTarget;
  readonly blobs: readonly BenchBlob[];
  readonly size: number;
  readonly connections: number;
  readonly clock: BenchClock;
  readonly onProgress: (done: number, total: number) => void;
}

export function runPuts(options: BlobLoadOptions): Promise<BlobLoadResult> {
  return runAll(options, async ({ address, pieces }) => {
    await sendBlob(options.target, { address, bytes: options.size, pieces });
  });
}

/** Each is hashed as it comes, as every reader does. */
export function runGets(options: BlobLoadOptions): Promise<BlobLoadResult> {
  return runAll(options, async ({ address }) => {
    const hasher = createHasher();
    const received = await receiveBlob(options.target, { address, from: 0 });
    for await (const piece of received.pieces) {
      hasher.update(piece);
      giveBack(piece);
    }
    const got = formatHash(hasher.digest());
    if (got !== address) throw mismatch(address, got);
  });
}

async function runAll(
  { target, blobs, size, connections, clock, onProgress }: BlobLoadOptions,
  run: (blob: BenchBlob) => Promise<void>,
): Promise<BlobLoadResult> {
  const recorder = new LatencyRecorder();
  const errors: Record<string, number> = {};
  const left = [...blobs];
  let right = 0;
  let failed = 0;
  const began = clock.now();
  const work = async () => {
    for (
      let blob = left.shift();
      blob !== undefined && !target.signal.aborted;
      blob = left.shift()
    ) {
      const beganAt = clock.now();
      try {
        await run(blob);
        right++;
        recorder.record(clock.now() - beganAt);
      } catch (error) {
        if (target.signal.aborted) return;
        failed++;
        const kind = error instanceof RegistryError ? error.code : 'internal';
        errors[kind] = (errors[kind] ?? 0) + 1;
      }
      onProgress(right + failed, blobs.length);
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  const elapsedMs = clock.now() - began;
  return {
    requests: right + failed,
    failed,
    errors,
    bytes: right * size,
    elapsed_ms: rounded(elapsedMs),
    mb_per_second: elapsedMs === 0 ? 0 : rounded((right * size) / 1000 / elapsedMs),
    latency_us: recorder.latency,
  };
}

function hashOf(pieces: readonly Uint8Array[]): Hash {
  const hasher = createHasher();
  for (const piece of pieces) hasher.update(piece);
  return formatHash(hasher.digest());
}
