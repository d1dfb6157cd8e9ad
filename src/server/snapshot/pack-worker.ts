/** The thread that writes a copy as a snapshot file, then reads the file again and holds it against its header. */
import { createReadStream } from 'node:fs';
import { openSqliteReader } from '../../store/sqlite.ts';
import { SCHEMA_VERSION } from '../../store/sqlite-schema.ts';
import { readBuildInfo } from '../build-info.ts';
import { reportOutcome } from '../reporting-thread.ts';
import { readFacts } from './facts.ts';
import { type Packed, packDatabase } from './pack.ts';
import { storageFailure } from './storage-failure.ts';
import { openSnapshot, unpackSnapshot } from './unpack.ts';

export interface PackData {
  /** The copy. */
  readonly database: string;
  /** The file to be written. */
  readonly to: string;
  readonly createdAt: string;
}

const CHUNK_BYTES = 1024 * 1024;

reportOutcome(async ({ database, to, createdAt }: PackData, tell): Promise<Packed> => {
  // Two passes, of the database and of the file.
  const pass = (before: number) => (done: number, total: number) =>
    tell({ done: Math.floor((before * total + done) / 2), total });
  try {
    const packed = await packDatabase({
      database,
      to,
      header: {
        ...(await factsOf(database)),
        createdAt,
        program: readBuildInfo().version,
        schemaVersion: SCHEMA_VERSION,
      },
      onProgress: pass(0),
    });
    const file = createReadStream(to, { highWaterMark: CHUNK_BYTES });
    await unpackSnapshot(await openSnapshot(file), {
      to: null,
      onProgress: pass(1),
      signal: new AbortController().signal,
    });
    return packed;
  } catch (cause) {
    throw storageFailure(cause, `to write a snapshot at ${to}`);
  }
});

async function factsOf(database: string) {
  await using store = openSqliteReader({ path: database });
  return await readFacts(store);
}
