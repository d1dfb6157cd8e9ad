/** Reading what only its owner may: from an open handle, so that what is judged is what is read. */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { RegistryError } from '../core/error.ts';
import { isExposed } from './file-privacy.ts';

const MAX_BYTES = 256 * 1024;

export interface SecretFile {
  readonly path: string;
  /** In messages: `a private key`. */
  readonly what: string;
  /** Refused when group or others may use it. */
  readonly isPrivate: boolean;
  /** When it cannot be read. Default: about its path, owner and mode. */
  readonly remedy?: string;
}

/** The text, at most 256 KiB. Throws `invalid_request`, naming the file and the remedy, never its content. */
export async function readSmallFile(wanted: SecretFile): Promise<string> {
  const { path, what, remedy = 'change the path, its owner or mode' } = wanted;
  try {
    // Not blocking: a named pipe is to be refused, not waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    await assertFit(file, wanted);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1));
    if (bytesRead > MAX_BYTES)
      throw invalid(`expected ${what} at ${path}, got more than ${MAX_BYTES} bytes`);
    return buffer.toString('latin1', 0, bytesRead);
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
    throw invalid(`expected ${what} at ${path}, got ${code}: ${remedy}`, cause);
  }
}

async function assertFit(file: FileHandle, { path, what, isPrivate }: SecretFile): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile())
    throw invalid(`expected ${what} at ${path}, got no regular file: name the file itself`);
  if (!isPrivate || !isExposed(stat, process.getuid?.())) return;
  const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
  throw invalid(
    `expected ${what} that its owner alone may use at ${path}, got mode ${mode}: chmod 600 ${path}`,
  );
}

function invalid(message: string, cause?: unknown): RegistryError {
  return new RegistryError('invalid_request', message, cause === undefined ? {} : { cause });
}
