/** The blobs of a server, where they are on: their directories made, what a crash left half arrived removed. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RegistryError } from '../../core/error.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { reservedBytes } from '../health/disk-marks.ts';
import type { LiveConfig } from '../live-config.ts';
import { syncDirectory } from '../sync-directory.ts';
import { blobPaths } from './blob-paths.ts';
import { FileBlobs } from './file-blobs.ts';

export interface OpenBlobsParts {
  readonly live: Pick<LiveConfig, 'current' | 'add'>;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** After the lock of the database: nobody else is at these files. `undefined`: blobs are off. */
export async function openBlobs(parts: OpenBlobsParts): Promise<FileBlobs | undefined> {
  const { live, metrics, log, now } = parts;
  const { blobs, dataDir } = live.current;
  if (!blobs.isOn) return undefined;
  const paths = blobPaths(dataDir);
  try {
    await mkdir(paths.root, { recursive: true, mode: 0o700 });
    await rm(paths.incoming, { recursive: true, force: true });
    for (const path of [paths.incoming, paths.damaged, ...paths.shelves])
      await mkdir(path, { recursive: true, mode: 0o700 });
    await syncDirectory(paths.root);
    await syncDirectory(join(paths.root, '..'));
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
    throw new RegistryError(
      'storage_failed',
      `expected to keep blobs in ${paths.root}, got ${code}: change its owner or mode, or turn blobs off`,
      { cause },
    );
  }
  metrics.blobQuota(blobs.quotaBytes);
  live.add({ prepare: async (next) => () => metrics.blobQuota(next.blobs.quotaBytes) });
  const kept = new FileBlobs({ paths, limits: () => limitsOf(live), metrics, log, now });
  kept
    .count()
    .catch((cause: unknown) => log.error('the blobs cannot be counted: none is taken', { cause }));
  return kept;
}

function limitsOf({ current }: Pick<LiveConfig, 'current'>) {
  const { maxBytes, quotaBytes, graceMs } = current.blobs;
  return {
    maxBlobBytes: maxBytes,
    quotaBytes,
    graceMs,
    minFreeBytes: reservedBytes(current.shed),
  };
}
