/** The thread that looks at the sizes in a database from elsewhere: small, for all else waits until it is done. */
import { assertBounded } from '../../store/sqlite-bounds.ts';
import { reportOutcome } from '../reporting-thread.ts';

reportOutcome(async (path: string): Promise<null> => {
  assertBounded(path);
  return null;
});
