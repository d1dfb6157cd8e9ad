/**
 * A Unix socket as a listener: never a window in which more people may connect than its mode says, a
 * dead server's socket is replaced, and nothing that is no socket is ever removed.
 */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { RegistryError } from '../../core/error.ts';
import type { SocketPath } from '../config-values.ts';

// sizeof(sun_path) without its NUL; what is longer would be cut short by some systems.
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;
const OWNER_ONLY_UMASK = 0o177;

/** Throws `invalid_request` when the path cannot be taken, and what `listen` fails with as it came. */
export async function listenOnSocket(
  server: Server,
  { path }: SocketPath,
  mode: number,
): Promise<void> {
  assertLength(path);
  await clearStale(path);
  await listenPrivately(server, path);
  try {
    await chmod(path, mode);
  } catch (cause) {
    server.close();
    throw cause;
  }
}

function assertLength(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= MAX_PATH_BYTES) return;
  throw new RegistryError(
    'invalid_request',
    `expected the path of a unix socket in at most ${MAX_PATH_BYTES} bytes, got ${length}: choose a shorter one, relative to the working directory for example`,
  );
}

/** The socket is made within the call, so no other file of this process gets that umask for long. */
function listenPrivately(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  const umask = process.umask(OWNER_ONLY_UMASK);
  try {
    server.listen({ path }, resolve);
  } finally {
    process.umask(umask);
  }
  return promise.finally(() => server.removeListener('error', reject));
}

/** Removes the socket that a server left which did not end well. */
async function clearStale(path: string): Promise<void> {
  const before = await lstat(path).catch(() => undefined);
  // Its absence, and whatever is wrong with its directory, is for `listen` to say.
  if (before === undefined) return;
  if (!before.isSocket())
    throw new RegistryError(
      'invalid_request',
      `expected no file or a unix socket at ${path}, got another file: choose another path, or remove it yourself`,
    );
  if (!(await isDead(path))) return;
  // Another start may have put its own there since.
  const after = await lstat(path).catch(() => undefined);
  if (after?.ino === before.ino && after.ctimeMs === before.ctimeMs) await unlink(path);
}

/** Only a refused connection says that nobody listens: anything else may be a server that is busy. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => resolve(false));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
    socket.once('connect', () => socket.destroy());
  });
}
