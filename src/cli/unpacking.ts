/** What commands that unpack a snapshot share: a place for it, two bars, and an end in order when they are interrupted. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { storageFailure } from '../server/snapshot/storage-failure.ts';
import type { UnpackPhase } from '../server/snapshot/unpack-verified.ts';
import type { Context } from './context.ts';

const MEBIBYTE = 1024 * 1024;

/** For who made it to remove. */
export async function makeScratch(base: string): Promise<string> {
  try {
    return await mkdtemp(join(base, 'quorate-snapshot-'));
  } catch (cause) {
    throw storageFailure(cause, `a place for the database in ${base}`);
  }
}

export async function showUnpacking<T>(
  { progress }: Pick<Context, 'progress'>,
  run: (onProgress: (phase: UnpackPhase) => void) => Promise<T>,
): Promise<T> {
  const bars = { unpacking: progress('MiB unpacked'), verifying: progress('entries verified') };
  const unit = { unpacking: MEBIBYTE, verifying: 1 };
  let last: UnpackPhase['phase'] = 'unpacking';
  try {
    return await run(({ phase, done, total }) => {
      if (phase !== last) void bars[last].end();
      last = phase;
      bars[phase].show(Math.ceil(done / unit[phase]), Math.ceil(total / unit[phase]));
    });
  } finally {
    for (const bar of Object.values(bars)) await bar.end();
  }
}

/** What is temporary is removed before the program ends; then it ends as one that was interrupted. */
export async function untilInterrupted<T>(
  { io, endOnInterrupt }: Pick<Context, 'io' | 'endOnInterrupt'>,
  run: () => Promise<T>,
): Promise<T> {
  endOnInterrupt();
  try {
    return await run();
  } catch (error) {
    throw io.interrupt.aborted ? io.interrupt.reason : error;
  }
}
