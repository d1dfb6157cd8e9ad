/** What is left of a database whose process is gone. */
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { assertWholeLog } from './store-log.ts';

/** Recovers it as the next start does, checks all of it, and answers the head's version. */
export async function recover(path: string): Promise<number> {
  new CommitLane(path).close();
  await using reader = openSqliteReader({ path });
  return await assertWholeLog(reader);
}
