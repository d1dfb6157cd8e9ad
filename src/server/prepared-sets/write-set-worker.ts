/** The thread that writes a set, on a connection of its own. */
import { openSqliteReader } from '../../store/sqlite.ts';
import { SMALL_CACHE_BYTES } from '../../store/sqlite-open.ts';
import { reportOutcome } from '../reporting-thread.ts';
import { type SetOrder, writeSet } from './write-set.ts';

export interface WriteSetData {
  /** Of the database. */
  readonly database: string;
  readonly order: SetOrder;
}

reportOutcome(async ({ database, order }: WriteSetData) => {
  await using store = openSqliteReader({ path: database, cacheBytes: SMALL_CACHE_BYTES });
  return await writeSet(store, order);
});
