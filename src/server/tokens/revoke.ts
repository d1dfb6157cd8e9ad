/**
 * Adding to the list of revoked tokens. The next list is written beside it and takes its name, so that
 * a reader and a crash find the old list or the new one; that file is also what keeps two writers apart.
 */
import {
  type FileHandle,
  lstat,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import { cleanedUp, RegistryError } from '../../core/error.ts';
import { parseRevocations } from './revocations.ts';

interface Added {
  /** That were not in the list before. */
  readonly added: number;
  /** In the list now. */
  readonly total: number;
}

/** Durable when it resolves. Throws `invalid_request`; then the old list stands. */
export async function addRevocations(given: string, ids: readonly string[]): Promise<Added> {
  const path = await followLink(given);
  const next = `${path}.next`;
  await using file = await open(next, 'wx', 0o644).catch((cause: unknown) =>
    failed(`to write ${next}, which must not exist: another revocation may be under way`, cause),
  );
  try {
    const result = await writeNext(path, { file, ids });
    await rename(next, path);
    await syncDirectory(dirname(path));
    return result;
  } catch (error) {
    const both = await cleanedUp(error, () => rm(next, { force: true }));
    if (error instanceof RegistryError) throw both;
    return failed(`to write ${path}`, both);
  }
}

/** To rename onto a link would leave the list behind it, which a server may read by another name, as it was. */
async function followLink(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink() !== true) return path;
  return realpath(path).catch((cause: unknown) =>
    failed(`the link ${path} to lead to a list, an empty one if it is new`, cause),
  );
}

async function writeNext(
  path: string,
  { file, ids }: { readonly file: FileHandle; readonly ids: readonly string[] },
): Promise<Added> {
  const before = await readOrNothing(path);
  const known = parseRevocations(before, path);
  const added = [...new Set(ids)].filter((id) => !known.has(id));
  const start = before === '' || before.endsWith('\n') ? before : `${before}\n`;
  await file.writeFile(start + added.map((id) => `${id}\n`).join(''));
  await keepOwner(path, file);
  await file.sync();
  return { added: added.length, total: known.size + added.length };
}

async function readOrNothing(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) =>
    codeOf(cause) === 'ENOENT' ? '' : failed(`a readable list at ${path}`, cause),
  );
}

/** The service reads it, and may be another user than whoever revokes. */
async function keepOwner(path: string, file: FileHandle): Promise<void> {
  const before = await stat(path).catch(() => undefined);
  if (before === undefined) return;
  const { uid, gid } = await file.stat();
  if (before.uid !== uid || before.gid !== gid)
    await file
      .chown(before.uid, before.gid)
      .catch((cause: unknown) => failed(`to keep the owner of ${path}`, cause));
  await file.chmod(before.mode & 0o777);
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

function failed(expected: string, cause: unknown): never {
  throw new RegistryError('invalid_request', `expected ${expected}, got ${codeOf(cause)}`, {
    cause,
  });
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : cause;
}
