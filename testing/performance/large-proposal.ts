/**
 * Reads of the head, and the server's event loop, beside proposals of 1 MiB, as large as they may be: each is
 * checked, kept and synced. Alone and beside them in one server.
 */
import { join } from 'node:path';
import { createBenchClock } from '../../src/cli/bench/clock.ts';
import { runLoad } from '../../src/cli/bench/load.ts';
import type { Hash } from '../../src/core/hash.ts';
import { type Change, MAX_PAYLOAD_BYTES } from '../../src/core/payload.ts';
import { put } from '../support/registry.ts';
import { descriptorsPayload } from '../support/signers.ts';
import type { Bench } from './bench.ts';
import type { Sample } from './figure.ts';
import { HEAD, readAt } from './paced.ts';
import { Poster } from './poster.ts';
import { type RegistryProcess, startRegistry } from './registry-process.ts';

const READS = { perSecond: 1_000, seconds: 3 };
/** One at a time: the next comes when the one before has long been answered. */
const PROPOSALS_PER_SECOND = 1;
const PROPOSALS = PROPOSALS_PER_SECOND * READS.seconds;
/** 64 MiB may be in flight: what was proposed in earlier rounds makes room. */
const LIFETIME_MS = 30_000;

export interface LargeProposalPlan {
  /** In each; ten thousand are the most that it may have. */
  readonly changes: number;
}

export async function openLargeProposal({ changes }: LargeProposalPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const loop = new LoopWatch();
    const server = stack.use(await loop.start());
    await readAt(server, HEAD, { ...READS, seconds: 1 });
    await propose(server, largeProposals(server.registry, { name: 'warm', count: 2, changes }));
    let rounds = 0;
    const round = async () => {
      await loop.latestMs();
      const alone = await readAt(server, HEAD, READS);
      const aloneMs = await loop.latestMs();
      const proposals = largeProposals(server.registry, {
        name: `${rounds++}`,
        count: PROPOSALS,
        changes,
      });
      await loop.latestMs();
      const [beside] = await Promise.all([readAt(server, HEAD, READS), propose(server, proposals)]);
      const besideMs = await loop.latestMs();
      return samplesOf(
        changes,
        { p99: beside.latency.p99, lateMs: besideMs },
        { p99: alone.latency.p99, lateMs: aloneMs },
      );
    };
    return { pids: [server.pid], round, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Asks a server's event loop how late it was. */
class LoopWatch {
  #pid = 0;
  #onLate: (ms: number) => void = () => undefined;

  async start(): Promise<RegistryProcess> {
    const server = await startRegistry('macronode', {
      nodeFlags: ['--import', join(import.meta.dirname, 'loop-watch.ts')],
      onSaid: (line) => {
        if (line.startsWith('late ')) this.#onLate(Number(line.slice('late '.length)));
      },
    });
    this.#pid = server.pid;
    return server;
  }

  /** Since this was asked last. */
  latestMs(): Promise<number> {
    return new Promise((resolve) => {
      this.#onLate = resolve;
      process.kill(this.#pid, 'SIGUSR2');
    });
  }
}

/** Bytes of payloads, no two the same, as large as a payload may be. */
function largeProposals(
  registry: Hash,
  { name, count, changes }: LargeProposalPlan & { readonly name: string; readonly count: number },
): readonly Uint8Array[] {
  const payload = (i: number, filler: number) =>
    descriptorsPayload(registry, puts(`${name}-${String(i).padStart(2, '0')}`, changes, filler), {
      createdAt: Date.now() - 1_000,
      lifetimeMs: LIFETIME_MS,
    }).bytes;
  const filler = Math.floor((MAX_PAYLOAD_BYTES - payload(0, 0).length) / changes);
  return Array.from({ length: count }, (_, i) => payload(i, filler));
}

function puts(name: string, count: number, filler: number): readonly Change[] {
  const text = 'x'.repeat(filler);
  return Array.from({ length: count }, (_, i) =>
    put(`${name}-${String(i).padStart(5, '0')}`, { text }),
  );
}

/** Spread over the time of the reads. Throws unless all were taken. */
async function propose(server: RegistryProcess, proposals: readonly Uint8Array[]): Promise<void> {
  using poster = new Poster(server.url, 4);
  const { failed, errors } = await runLoad({
    clock: createBenchClock(),
    warmupMs: 0,
    durationMs: READS.seconds * 1_000,
    rate: PROPOSALS_PER_SECOND,
    count: proposals.length,
    connections: 4,
    signal: new AbortController().signal,
    begin: ({ index }, done) =>
      poster.post('/registry/proposals', proposals[index]).then(
        () => done(undefined),
        (error: unknown) => done(String(error)),
      ),
  });
  if (failed > 0)
    throw new Error(`expected all proposals to be taken, got ${JSON.stringify(errors)}`);
}

interface Turn {
  /** Microseconds. */
  readonly p99: number;
  readonly lateMs: number;
}

function samplesOf(changes: number, beside: Turn, alone: Turn): readonly Sample[] {
  const what = `beside proposals of 1 MiB, ${changes.toLocaleString('en-US')} changes`;
  return [
    {
      name: `head p99 ${what}`,
      kind: 'latency',
      unit: 'us',
      reference: 'head p99 alone',
      ours: beside.p99,
      theirs: alone.p99,
    },
    {
      name: `event loop: latest ${what}`,
      kind: 'latency',
      unit: 'ms',
      reference: 'the same without proposals',
      ours: beside.lateMs,
      theirs: alone.lateMs,
    },
  ];
}
