/** The thread that walks over the log, on a connection of its own. */
import { scrubLog } from '../registry/scrub.ts';
import { openSqliteReader } from '../store/sqlite.ts';
import { SMALL_CACHE_BYTES } from '../store/sqlite-open.ts';
import type { WalkData } from './log-walk.ts';
import { reportOutcome, yieldToOthers } from './reporting-thread.ts';

/** A few times a second is often enough to be told. */
const TELL_EVERY = 1_024;

reportOutcome(async ({ path, end, isAwaited }: WalkData, onProgress) => {
  if (!isAwaited) yieldToOthers();
  await using store = openSqliteReader({ path, cacheBytes: SMALL_CACHE_BYTES });
  const total = end.version + 1;
  let told = 0;
  await scrubLog(store, {
    end,
    signal: new AbortController().signal,
    onProgress: (done) => {
      if (done - told < TELL_EVERY && done < total) return;
      told = done;
      onProgress({ done, total });
    },
  });
  return null;
});
