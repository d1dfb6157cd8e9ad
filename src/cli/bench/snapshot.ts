/** `quorate bench snapshot`: how fast this machine makes, verifies and restores a snapshot. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { Hash } from '../../core/hash.ts';
import { databasePath } from '../../server/open-store.ts';
import { copiedDatabase } from '../../server/snapshot/copied-database.ts';
import { readFrom } from '../../server/snapshot/directory-place.ts';
import { restoreSnapshot } from '../../server/snapshot/restore.ts';
import { Snapshots } from '../../server/snapshot/snapshots.ts';
import { openSnapshot, unpackSnapshot } from '../../server/snapshot/unpack.ts';
import type { Context } from '../context.ts';
import { createFullVerifier } from '../full-verifier.ts';
import { showBytes } from '../show-snapshot.ts';
import { plural, table } from '../text.ts';
import { type BenchClock, createBenchClock } from './clock.ts';
import { makeRegistry } from './made-registry.ts';
import { parseSize } from './options.ts';
import type { BenchResult } from './result.ts';
import { runBench, withBar } from './run.ts';
import { showHeading } from './show.ts';

interface SnapshotFlags {
  readonly data?: string;
  readonly size: number;
  readonly spec: number;
  readonly scratch?: string;
}

/** How long one step took, and how much of the database that is a second. */
interface Step {
  readonly seconds: number;
  /** Of the processor, of all threads and processes together: what neighbours on the machine change least. */
  readonly cpu_seconds: number;
  /** 10^6 bytes of database. */
  readonly mb_per_second: number;
}

interface SnapshotLoad {
  readonly id: Hash;
  readonly entries: number;
  readonly database_bytes: number;
  readonly file_bytes: number;
  /** Copied, packed, read again and verified. */
  readonly create: Step;
  /** Read, decompressed and held against its header: what a backup on another machine takes to check. */
  readonly read: Step;
  /** Unpacked and verified, synced, and given its name. */
  readonly restore: Step;
}

interface SnapshotLoads {
  readonly snapshot: SnapshotLoad;
}

export function defineSnapshot(command: Command, context: Context): void {
  command
    .command('snapshot')
    .description('Make, read and restore a snapshot, and measure what it costs this machine.')
    .option('--data <path>', 'of this database or data directory; default: one that is made up')
    .addOption(
      new Option('--size <bytes>', 'how large to make one up')
        .argParser(parseSize)
        .default(64 * 1024 * 1024, '64MiB'),
    )
    .addOption(
      new Option('--spec <bytes>', 'and of how large descriptors')
        .argParser(parseSize)
        .default(4 * 1024, '4KiB'),
    )
    .option(
      '--scratch <dir>',
      'where there is room for it three times; default: the temporary directory',
    )
    .action((flags: SnapshotFlags) => benchSnapshot(context, flags));
}

async function benchSnapshot(context: Context, flags: SnapshotFlags): Promise<void> {
  const { data, size, spec } = flags;
  const isMade = data === undefined;
  const scratch = await mkdtemp(join(flags.scratch ?? tmpdir(), 'quorate-bench-'));
  try {
    await runBench<SnapshotLoads>(context, {
      bench: 'snapshot',
      isOfService: false,
      config: {
        data: data ?? null,
        size_bytes: isMade ? size : null,
        spec_bytes: isMade ? spec : null,
      },
      run: async (signal) => {
        const path = await databaseOf(context, { ...flags, scratch, signal });
        return { snapshot: await measure(context, { path, scratch, signal }) };
      },
      show,
      failures: () => [],
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function databaseOf(
  context: Context,
  {
    data,
    size: bytes,
    spec: specBytes,
    scratch,
    signal,
  }: SnapshotFlags & { readonly scratch: string; readonly signal: AbortSignal },
): Promise<string> {
  if (data !== undefined) return (await stat(data)).isDirectory() ? databasePath(data) : data;
  const path = join(scratch, 'made', 'registry.db');
  const { now } = context.io;
  const verifier = createFullVerifier();
  await withBar(context, 'bytes made up', (onProgress) =>
    makeRegistry({ path, bytes, specBytes, verifier, now, signal, onProgress }),
  );
  return path;
}

interface Measured {
  readonly path: string;
  readonly scratch: string;
  readonly signal: AbortSignal;
}

async function measure(
  { io }: Context,
  { path, scratch, signal }: Measured,
): Promise<SnapshotLoad> {
  const clock = createBenchClock();
  const made = await timed(clock, () =>
    new Snapshots({
      store: copiedDatabase(path),
      dataDir: scratch,
      log: { debug() {}, info() {}, warn() {}, error() {} },
      now: io.now,
      monotonicMs: clock.now,
    }).make(signal),
  );
  const { id, header, bytes: fileBytes, directory, file } = made.outcome;
  const source = () => readFrom(join(directory, file), 0);
  const onProgress = () => undefined;
  const read = await timed(clock, async () =>
    unpackSnapshot(await openSnapshot(source()), { to: null, onProgress, signal }),
  );
  const restored = await timed(clock, () =>
    restoreSnapshot(source(), {
      dataDir: join(scratch, 'restored'),
      registry: header.registry,
      judge: async () => undefined,
      onProgress,
      signal,
    }),
  );
  const step = ({ seconds, cpuSeconds }: Timed): Step => ({
    seconds,
    cpu_seconds: cpuSeconds,
    mb_per_second: Math.round(header.bytes / 10_000 / seconds) / 100,
  });
  return {
    id,
    entries: header.version + 1,
    database_bytes: header.bytes,
    file_bytes: fileBytes,
    create: step(made),
    read: step(read),
    restore: step(restored),
  };
}

interface Timed {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function timed<T>(
  clock: BenchClock,
  run: () => Promise<T>,
): Promise<Timed & { readonly outcome: T }> {
  const [began, before] = [clock.now(), processorSeconds()];
  const outcome = await run();
  const seconds = (clock.now() - began) / 1000;
  return { outcome, seconds, cpuSeconds: processorSeconds() - before };
}

/** Of this process, and where the system tells of those that it started and that ended. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + endedProcessorSeconds();
}

/** Linux counts in hundredths: `proc_pid_stat(5)`, after the name the 14th and 15th field. */
function endedProcessorSeconds(): number {
  if (process.platform !== 'linux') return 0;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

function show({ loads: { snapshot }, ...result }: BenchResult<SnapshotLoads>): string {
  const { entries, database_bytes, file_bytes } = snapshot;
  const row = (name: string, { seconds, cpu_seconds, mb_per_second }: Step) => [
    name,
    `${seconds.toFixed(2)} s`,
    `${cpu_seconds.toFixed(2)} s of processor`,
    `${mb_per_second.toFixed(1)} MB/s`,
  ];
  return [
    // No server takes part: it is this program that is measured.
    showHeading({ ...result, server_version: result.generator_version }),
    `snapshot: ${plural(entries, 'entry', 'entries')} in ${showBytes(database_bytes)} of database, ${showBytes(file_bytes)} packed`,
    table([
      row('create', snapshot.create),
      row('read', snapshot.read),
      row('restore', snapshot.restore),
    ]),
  ].join('\n');
}
