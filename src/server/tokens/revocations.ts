/** The list of revoked tokens: a file of revocation ids, one a line, that operators and `quorate token revoke` write. */
import { readFile, stat } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';

/** Half a million ids. */
const MAX_BYTES = 64 * 1024 * 1024;

/** `#` begins a remark. Throws `invalid_request` with the place of a line that is no id. */
export function parseRevocations(text: string, name: string): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const id = line.replace(/#.*/, '').trim();
    if (id === '') continue;
    if (!isRevocationId(id))
      // A token that somebody pasted here must not come into a log.
      throw new RegistryError(
        'invalid_request',
        `expected a revocation id, 128 lower-case hex digits or more, at ${name}:${index + 1}, got ${id.length} other characters`,
      );
    ids.add(id);
  }
  return ids;
}

/** The signature of a block: 64 bytes. Tokens with longer ones are refused; in a list they do no harm. */
export function isRevocationId(text: string): boolean {
  return /^(?:[0-9a-f]{2}){64,80}$/.test(text);
}

/** A version of a file: another one has another stamp. */
export interface Revocations {
  readonly ids: ReadonlySet<string>;
  readonly stamp: string;
}

/** Throws `invalid_request`. */
export async function readRevocations(path: string): Promise<Revocations> {
  // Before the file: a change in between is seen as one next time.
  const stamp = await stampOf(path);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => unreadable(path, cause));
  return { ids: parseRevocations(text, path), stamp };
}

/** Throws `invalid_request`. */
export async function stampOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch((cause: unknown) =>
    unreadable(path, cause),
  );
  // A named pipe would be waited for, and a device may have no end.
  if (!found.isFile())
    throw new RegistryError(
      'invalid_request',
      `expected a regular file of revocation ids at ${path}, got another kind: an empty one revokes nothing`,
    );
  if (found.size > MAX_BYTES)
    throw new RegistryError(
      'invalid_request',
      `expected at most ${MAX_BYTES} bytes of revocation ids in ${path}, got ${found.size}`,
    );
  return [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
}

function unreadable(path: string, cause: unknown): never {
  const got = cause instanceof Error && 'code' in cause ? cause.code : cause;
  throw new RegistryError(
    'invalid_request',
    `expected a readable file of revocation ids at ${path}, got ${got}: an empty one revokes nothing`,
    { cause },
  );
}
