/**
 * Reads of the head while something is wrong, one trouble after the other in one server that sheds writes.
 * Reads must go on, all of them, and writes be the first that are refused.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LoadResult } from '../../src/cli/bench/load.ts';
import type { Bench } from './bench.ts';
import { type Entry, postEntry } from './entries.ts';
import type { Sample } from './figure.ts';
import { HEAD, type PacedTurn, readAndCommit, readAt, readyEntries } from './paced.ts';
import type { Poster } from './poster.ts';
import { type RegistryProcess, startRegistry } from './registry-process.ts';
import { TROUBLES, type Trouble } from './troubles.ts';

/** Of PERFORMANCE.md, for p95 of the head. */
const OBJECTIVE_MS = 50;
const LOAD = { perSecond: 1_000, commitsPerSecond: 50 };
const ALONE = { ...LOAD, seconds: 1.5 };
const OPEN_WITHIN_MS = 30_000;
const POLL_MS = 20;

/**
 * Of one who wants the objective kept: a loop that is as late as the objective allows refuses writes, and so
 * does a write that took twice that. What is set by default puts up with all of these troubles.
 */
const SHEDDING = { shed_loop_after: `${OBJECTIVE_MS}ms`, shed_storage_after: '100ms' };

/** A round takes a quarter of a minute. */
export async function openChaos(): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const preloaded = join(import.meta.dirname, 'loop-block.ts');
    const server = stack.use(
      await startRegistry('macronode', { settings: SHEDDING, nodeFlags: ['--import', preloaded] }),
    );
    await readAt(server, HEAD, ALONE);
    let made = 0;
    const round = async () => {
      const alone = await readAt(server, HEAD, ALONE);
      const seconds = TROUBLES.reduce((sum, trouble) => sum + trouble.seconds, 0);
      const plan = { ...LOAD, seconds, firstId: made };
      const entries = await readyEntries(server, plan, postPatiently);
      made += entries.length;
      const samples: Sample[] = [];
      let from = 0;
      for (const trouble of TROUBLES) {
        const to = from + trouble.seconds * LOAD.commitsPerSecond;
        const turn = { alone, entries: entries.slice(from, to) };
        samples.push(...(await suffer(server, trouble, turn)));
        from = to;
      }
      return samples;
    };
    return { pids: [server.pid], round, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** What is refused is repeated: writes are not what is measured yet. */
async function postPatiently(poster: Poster, entry: Entry): Promise<void> {
  const deadline = performance.now() + OPEN_WITHIN_MS;
  for (;;) {
    try {
      return await postEntry(poster, entry);
    } catch (error) {
      if (!/got 503/.test(String(error)) || performance.now() > deadline) throw error;
    }
    await delay(POLL_MS);
  }
}

/** Waits for the end of what the last trouble left. */
async function writesPass({ url }: RegistryProcess): Promise<void> {
  const deadline = performance.now() + OPEN_WITHIN_MS;
  for (;;) {
    const readiness = (await (await fetch(`${url}/readyz`)).json()) as { write_ready: boolean };
    if (readiness.write_ready) return;
    if (performance.now() > deadline)
      throw new Error(`expected writes to pass within ${OPEN_WITHIN_MS} ms, they do not`);
    await delay(POLL_MS);
  }
}

interface Turn {
  readonly alone: PacedTurn;
  /** To be committed. */
  readonly entries: readonly Entry[];
}

/** Throws when a read was refused or failed, and when a write failed otherwise than by being shed. */
async function suffer(
  server: RegistryProcess,
  { name, seconds, sheds, begin }: Trouble,
  { alone, entries }: Turn,
): Promise<readonly Sample[]> {
  await writesPass(server);
  await using _trouble = await begin(server);
  const { reads, commits } = await readAndCommit(server, entries, { ...LOAD, seconds });
  const shed = shedOf(commits, sheds);
  const p95 = { kind: 'latency', unit: 'us', ours: reads.latency.p95 } as const;
  const samples: Sample[] = [
    {
      name: `head p95 with ${name}`,
      ...p95,
      reference: 'head p95 alone',
      theirs: alone.latency.p95,
    },
    {
      name: `head p95 with ${name}, of the objective`,
      ...p95,
      reference: `${OBJECTIVE_MS} ms`,
      theirs: OBJECTIVE_MS * 1_000,
    },
  ];
  const offered = { unit: 'writes', reference: 'all writes', theirs: commits.requests } as const;
  if (sheds !== undefined)
    samples.push({ name: `writes shed with ${name}`, kind: 'throughput', ...offered, ours: shed });
  return samples;
}

/**
 * Refused with 503 and a code that says why: nothing else may become of a write but that it is taken. Throws
 * also when none was refused for the trouble that was made, and when none was taken.
 */
function shedOf({ errors, failed, requests }: LoadResult, expected: Trouble['sheds']): number {
  const isShed = (kind: string) => /^503 (?:storage_slow|loop_late)$/.test(kind);
  if (!Object.keys(errors).every(isShed) || failed === requests)
    throw new Error(`expected writes to be taken or shed, got ${JSON.stringify(errors)}`);
  if (expected !== undefined && errors[`503 ${expected}`] === undefined)
    throw new Error(`expected writes to be shed as ${expected}, got ${JSON.stringify(errors)}`);
  return failed;
}
