/** What a person names as an audit log: a directory of segments, a data directory, or one file. */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';
import { auditDirectory, listSegments, type Segment } from './directory.ts';
import type { AuditFile, AuditSource } from './read.ts';

/** Deletions that may overtake the look into a directory. */
const TRIES = 10;

/** Throws `not_found` or `invalid_request` for what cannot be read, `storage_damaged` for a gap between segments. */
export async function openAuditSource(path: string): Promise<AuditSource> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return { files: [auditFile(path, undefined)], isWhole: false };
    return await wholeDirectory((await findSegments(path)) ?? path);
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    throw unreadable(path, cause);
  }
}

/** The directory, or the one of the data directory that was named instead. */
async function findSegments(path: string): Promise<string | undefined> {
  const inside = auditDirectory(path);
  const isThere = await stat(inside).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isThere ? inside : undefined;
}

async function wholeDirectory(directory: string): Promise<AuditSource> {
  for (let tries = 0; ; tries++) {
    const segments = await listSegments(directory);
    const [first] = segments;
    // The server may have deleted it since: then the next one is the first.
    if (first === undefined || (await isReadable(first)) || tries === TRIES)
      return {
        files: segments.map(({ path, number }) => auditFile(path, number)),
        isWhole: true,
      };
  }
}

async function isReadable({ path }: Segment): Promise<boolean> {
  try {
    await using _handle = await open(path, 'r');
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

function auditFile(path: string, segment: number | undefined): AuditFile {
  return { name: path, segment, chunks: () => chunksOf(path) };
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): RegistryError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
  return code === 'ENOENT'
    ? new RegistryError('not_found', `expected an audit log at ${path}, got no such file`, {
        cause,
      })
    : new RegistryError(
        'invalid_request',
        `expected a readable audit log at ${path}, got ${code}`,
        {
          cause,
        },
      );
}
