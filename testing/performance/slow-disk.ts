/**
 * Reads of the head beside commits to a slow disk. Both are of one server, which runs under strace from its
 * start, so that nothing but the commits differs.
 */
import type { Bench } from './bench.ts';
import { entryOf, postEntry } from './entries.ts';
import type { Sample } from './figure.ts';
import { HEAD, readAt, readBesideCommits } from './paced.ts';
import { Poster } from './poster.ts';
import { type RegistryProcess, startRegistry } from './registry-process.ts';
import { slowedFsyncs, tracerOf } from './slowed-process.ts';

const LOAD = { perSecond: 2_500, seconds: 2, commitsPerSecond: 50 };
/** What a fast disk may take by accident, it does not take so often. */
const PROVED_BY = 5;

export interface SlowDiskPlan {
  /** So much longer takes every fsync. */
  readonly delayMs: number;
}

export async function openSlowDisk({ delayMs }: SlowDiskPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const server = stack.use(await startRegistry('macronode', { under: slowedFsyncs(delayMs) }));
    await readAt(server, HEAD, { ...LOAD, seconds: 1 });
    let made = 0;
    const round = async () => {
      await proveDelay(server, { delayMs, round: made });
      const alone = await readAt(server, HEAD, LOAD);
      const beside = await readBesideCommits(server, { ...LOAD, firstId: made });
      made += LOAD.commitsPerSecond * LOAD.seconds;
      return [sampleOf(delayMs, beside.latency.p99, alone.latency.p99)];
    };
    const pids = [server.pid, tracerOf(server.pid)];
    return { pids, round, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Throws unless each of a few commits waited as long as one fsync must. */
async function proveDelay(
  server: RegistryProcess,
  { delayMs, round }: { readonly delayMs: number; readonly round: number },
): Promise<void> {
  using poster = new Poster(server.url, 4);
  for (let i = 0; i < PROVED_BY; i++) {
    const entry = entryOf(server, { id: `proof-${round}-${i}`, bytes: 100 });
    await postEntry(poster, entry);
    const began = performance.now();
    await poster.post(entry.commitPath);
    const tookMs = performance.now() - began;
    if (tookMs < delayMs)
      throw new Error(`expected a commit to take ${delayMs} ms or more, got ${tookMs}`);
  }
}

function sampleOf(delayMs: number, ours: number, theirs: number): Sample {
  return {
    name: `head p99 beside ${LOAD.commitsPerSecond} commits/s, every fsync ${delayMs} ms slower`,
    kind: 'latency',
    unit: 'us',
    reference: 'head p99 alone',
    ours,
    theirs,
  };
}
