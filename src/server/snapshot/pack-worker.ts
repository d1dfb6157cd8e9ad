/** The thread that writes a copy as a snapshot file. */
import { openSqliteReader } from '../../store/sqlite.ts';
import { SCHEMA_VERSION } from '../../store/sqlite-schema.ts';
import { readBuildInfo } from '../build-info.ts';
import { reportOutcome } from '../reporting-thread.ts';
import { readFacts } from './facts.ts';
import { type Packed, packDatabase } from './pack.ts';
import { storageFailure } from './storage-failure.ts';

export interface PackData {
  /** The copy. */
  readonly database: string;
  /** The file to be written. */
  readonly to: string;
  readonly createdAt: string;
}

reportOutcome(async ({ database, to, createdAt }: PackData, tell): Promise<Packed> => {
  try {
    return await packDatabase({
      database,
      to,
      header: {
        ...(await factsOf(database)),
        createdAt,
        program: readBuildInfo().version,
        schemaVersion: SCHEMA_VERSION,
      },
      onProgress: (done, total) => tell({ done, total }),
    });
  } catch (cause) {
    throw storageFailure(cause, `to write a snapshot at ${to}`);
  }
});

async function factsOf(database: string) {
  await using store = openSqliteReader({ path: database });
  return await readFacts(store);
}
