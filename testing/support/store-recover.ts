/** What is left of a database whose process is gone. */
import { CommitLane } from '../../src/store/commit-lane.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { assertWholeLog, type WholeLog } from './store-log.ts';

/** Recovers it as the next start does, and checks all of it. */
export async function recover(path: string): Promise<WholeLog> {
  new CommitLane(path).close();
  await using reader = openSqliteReader({ path });
  return await assertWholeLog(reader);
}
