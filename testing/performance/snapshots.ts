/**
 * `quorate bench snapshot` of the installed program, on every core, over a database that is made up once, by the
 * generator of that command, and kept.
 */
import { access, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeRegistry } from '../../src/cli/bench/made-registry.ts';
import { createFullVerifier } from '../../src/cli/full-verifier.ts';
import { SCHEMA_VERSION } from '../../src/store/sqlite-schema.ts';
import { WRITTEN, writtenMbPerSecond } from './bare-bytes.ts';
import type { Bench } from './bench.ts';
import type { Kind, Sample } from './figure.ts';
import { benchLoads, installProgram } from './program.ts';
import { makeTemporary } from './temporary.ts';

/** To be raised when `made-registry.ts` makes others of the same size. */
const FORM = 1;
const SPEC_BYTES = 4_096;
const TELL_EVERY_MS = 10_000;

export interface SnapshotsPlan {
  /** The directory in which the database is kept from run to run. */
  readonly cache: string;
  /** Of the database, about. */
  readonly sizeBytes: number;
  readonly say: (line: string) => void;
  /** The program to run. Default: it is installed, which takes half a minute. */
  readonly program?: string;
}

export async function openSnapshots(plan: SnapshotsPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const data = await keptDatabase(plan);
    const program = plan.program ?? (await installProgram(stack));
    const scratch = await makeTemporary('quorate-perf-snapshots-', stack);
    const argv = ['bench', 'snapshot', '--data', data, '--scratch', scratch];
    return {
      // Each ends within a round.
      pids: [],
      round: async () => {
        const { snapshot } = (await benchLoads(program, ...argv)) as Loads;
        return samplesOf(snapshot, await writtenMbPerSecond(scratch));
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Step {
  readonly seconds: number;
  readonly cpu_seconds: number;
  readonly mb_per_second: number;
}

interface Loads {
  readonly snapshot: SnapshotLoad;
}

/** As the command tells it. */
export interface SnapshotLoad {
  readonly database_bytes: number;
  readonly file_bytes: number;
  readonly create: Step;
  readonly read: Step;
  readonly restore: Step;
}

export function samplesOf(load: SnapshotLoad, writtenMb: number): readonly Sample[] {
  const size: Sample = {
    name: 'snapshot: database',
    kind: 'memory',
    unit: 'MB',
    reference: 'packed',
    ours: load.database_bytes / 1e6,
    theirs: load.file_bytes / 1e6,
  };
  const sample = (name: string, kind: Kind, unit: string) => ({
    name: `snapshot: ${name}`,
    kind,
    unit,
  });
  return [
    size,
    ...(['create', 'restore', 'read'] as const).map((step) => ({
      ...sample(step, 'throughput', 'MB/s'),
      reference: WRITTEN,
      ours: load[step].mb_per_second,
      theirs: writtenMb,
    })),
    ...(['create', 'restore'] as const).map((step) => ({
      ...sample(`${step}, processor`, 'cpu', 's'),
      reference: 'all of its time',
      ours: load[step].cpu_seconds,
      theirs: load[step].seconds,
    })),
  ];
}

/** Beside where it will be kept, and renamed when it is whole. Answers its directory, where who reads it leaves files too. */
async function keptDatabase({ cache, sizeBytes, say }: SnapshotsPlan): Promise<string> {
  const path = join(cache, `made-${sizeBytes}-${SPEC_BYTES}-${SCHEMA_VERSION}-${FORM}`);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) return path;
  await mkdir(cache, { recursive: true });
  await using stack = new AsyncDisposableStack();
  const made = join(await makeTemporary('making-', stack, cache), 'data');
  await mkdir(made);
  await makeRegistry({
    path: join(made, 'registry.db'),
    bytes: sizeBytes,
    specBytes: SPEC_BYTES,
    verifier: createFullVerifier(),
    now: Date.now,
    signal: new AbortController().signal,
    onProgress: progressOf(say),
  });
  await rename(made, path);
  return path;
}

function progressOf(say: (line: string) => void): (done: number, total: number) => void {
  let told = performance.now();
  return (done, total) => {
    if (done < total && performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    say(
      `a database for snapshots: ${Math.round(done / 1e6)} of ${Math.round(total / 1e6)} MB made`,
    );
  };
}
