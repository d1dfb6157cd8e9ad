/** `quorate bench blob` of the installed program against a server on disk, both of them on every core. */
import { HASHED, hashedMbPerSecond, WRITTEN, writtenMbPerSecond } from './bare-bytes.ts';
import type { Bench } from './bench.ts';
import type { Sample } from './figure.ts';
import { benchLoads, installProgram } from './program.ts';
import { startRegistry } from './registry-process.ts';
import { makeTemporary } from './temporary.ts';

/** No round is refused for those before it. */
const SETTINGS = { blobs: 'on', blob_quota: '1TiB' };

export interface BlobsPlan {
  /** As the command takes it. */
  readonly size: string;
  readonly count: number;
  /** The program to run. Default: it is installed, which takes half a minute. */
  readonly program?: string;
}

export async function openBlobs({ size, count, ...plan }: BlobsPlan): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  try {
    const program = plan.program ?? (await installProgram(stack));
    const directory = await makeTemporary('quorate-perf-blobs-', stack);
    const server = stack.use(
      await startRegistry('macronode', { settings: SETTINGS, isOnAllCores: true }),
    );
    const argv = ['--url', server.url, 'bench', 'blob', '--size', size, '--count', `${count}`];
    return {
      pids: [server.pid],
      round: async () => {
        const loads = (await benchLoads(program, ...argv)) as BlobLoads;
        const bare = {
          writtenMb: await writtenMbPerSecond(directory),
          hashedMb: await hashedMbPerSecond(),
        };
        return samplesOf(loads, bare);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Load {
  readonly mb_per_second: number;
}

/** As the command tells them. */
export interface BlobLoads {
  readonly put: Load;
  readonly get: Load;
}

/** What was put is on the disk when it is answered; what is got comes out of memory, and is hashed by whoever gets it. */
export function samplesOf(
  { put, get }: BlobLoads,
  { writtenMb, hashedMb }: { readonly writtenMb: number; readonly hashedMb: number },
): readonly Sample[] {
  const shared = { kind: 'throughput', unit: 'MB/s' } as const;
  return [
    {
      ...shared,
      name: 'blob: put',
      reference: WRITTEN,
      ours: put.mb_per_second,
      theirs: writtenMb,
    },
    { ...shared, name: 'blob: get', reference: HASHED, ours: get.mb_per_second, theirs: hashedMb },
  ];
}
