/** The prepared sets of a server: where they are kept, and the thread that writes them. */
import { extname, join } from 'node:path';
import type { Log } from '../../telemetry/log.ts';
import type { Config } from '../config.ts';
import { reservedBytes } from '../health/disk-marks.ts';
import type { LiveConfig } from '../live-config.ts';
import { databasePath } from '../open-store.ts';
import { runThread } from '../reporting-thread.ts';
import { TIMERS } from '../timers.ts';
import { SetFiles } from './set-files.ts';
import type { SetOutcome } from './write-set.ts';
import type { WriteSetData } from './write-set-worker.ts';

/** `undefined`: nothing is kept on a disk. */
export async function openPreparedSets({
  config: { profile, dataDir },
  live,
  log,
}: {
  readonly config: Pick<Config, 'profile' | 'dataDir'>;
  readonly live: Pick<LiveConfig, 'current'>;
  readonly log: Log;
}): Promise<SetFiles | undefined> {
  if (profile === 'micronode') return undefined;
  const database = databasePath(dataDir);
  return await SetFiles.open({
    directory: join(dataDir, 'sets'),
    maxBytes: () => live.current.limits.maxPreparedBytes,
    minFreeBytes: () => reservedBytes(live.current.shed),
    write: (order, signal) =>
      runThread<SetOutcome>({
        // In src this file ends in .ts, in dist in .js, and so does the thread's.
        program: new URL(`./write-set-worker${extname(import.meta.url)}`, import.meta.url),
        name: 'the preparation of a set',
        data: { database, order } satisfies WriteSetData,
        signal,
        onProgress: () => undefined,
      }),
    timers: TIMERS,
    nowMs: () => performance.now(),
    log,
  });
}
