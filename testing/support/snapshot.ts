/** Snapshot files for tests: packed as a server packs them, and spoilt in every way that a disk or a person may. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalBytes, type Json, parseCanonical } from '../../src/core/canonical.ts';
import { formatTime } from '../../src/core/time.ts';
import { readFrom } from '../../src/server/snapshot/directory-place.ts';
import { readFacts } from '../../src/server/snapshot/facts.ts';
import type { SnapshotFacts } from '../../src/server/snapshot/header.ts';
import { type Packed, packDatabase } from '../../src/server/snapshot/pack.ts';
import { openSnapshot, unpackSnapshot } from '../../src/server/snapshot/unpack.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { SCHEMA_VERSION } from '../../src/store/sqlite-schema.ts';
import { START } from './signers.ts';
import { makeDirectory } from './store-sqlite.ts';

export interface TestSnapshot extends Packed {
  /** Of the file. */
  readonly path: string;
}

/** Of a database that nobody writes to. `known`: what is said of one that cannot be read. */
export async function packTest(
  database: string,
  to: string = join(makeDirectory(), 'test.qsnap'),
  known?: SnapshotFacts,
): Promise<TestSnapshot> {
  const facts = known ?? (await factsOf(database));
  const header = {
    ...facts,
    createdAt: formatTime(START),
    program: '1.2.3',
    schemaVersion: SCHEMA_VERSION,
  };
  const packed = await packDatabase({ database, to, header, onProgress: () => undefined });
  return { ...packed, path: to };
}

export async function factsOf(path: string) {
  await using store = openSqliteReader({ path });
  return await readFacts(store);
}

/** The same snapshot with another header line; `members` replace, `undefined` takes one away. */
export function withHeader(
  path: string,
  members: Readonly<Record<string, Json | undefined>>,
): string {
  const file = readFileSync(path);
  const end = file.indexOf(0x0a);
  const line = { ...(parseCanonical(file.subarray(0, end)) as object), ...members };
  const kept = Object.fromEntries(Object.entries(line).filter(([, value]) => value !== undefined));
  return written(Buffer.concat([canonicalBytes(kept), file.subarray(end)]));
}

/** In a new file; answers its path. */
export function written(bytes: Uint8Array): string {
  const path = join(makeDirectory(), 'other.qsnap');
  writeFileSync(path, bytes);
  return path;
}

/** The database in a snapshot, in a new file; answers its path. */
export async function unpackTest(snapshot: string): Promise<string> {
  const to = join(makeDirectory(), 'registry.db');
  const { signal } = new AbortController();
  const opened = await openSnapshot(readFrom(snapshot, 0));
  await unpackSnapshot(opened, { to, onProgress: () => undefined, signal });
  return to;
}
