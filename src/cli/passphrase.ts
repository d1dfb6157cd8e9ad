/** Where a passphrase comes from: a file, or somebody at a terminal. Never an argument, which others can see. */
import { RegistryError } from '../core/error.ts';
import type { Context } from './context.ts';
import { usageError } from './failure.ts';
import { readInput } from './files.ts';
import type { Io } from './io.ts';

/** The first line of the file. */
async function readPassphraseFile(io: Io, path: string): Promise<string> {
  const [line = ''] = (await readInput(io, path)).split(/\r?\n/, 1);
  if (line === '')
    throw new RegistryError(
      'invalid_request',
      `expected a passphrase in the first line of ${path}, got none`,
    );
  return line;
}

/** For a key that is encrypted. Throws `invalid_request` when nobody can be asked. */
export async function knownPassphrase(
  io: Io,
  { keyPath, file }: { readonly keyPath: string; readonly file: string | undefined },
): Promise<string> {
  if (file !== undefined) return readPassphraseFile(io, file);
  if (io.terminal === undefined)
    throw new RegistryError(
      'invalid_request',
      `expected the passphrase of ${keyPath} from --passphrase-file or a terminal, got neither`,
    );
  return io.terminal.askSecret(`passphrase of ${keyPath}: `);
}

/** For a new key. `undefined`: it is not encrypted, because somebody said so or nobody could be asked. */
export async function newPassphrase(
  { io, say }: Pick<Context, 'io' | 'say'>,
  { keyPath, file }: { readonly keyPath: string; readonly file: string | undefined },
): Promise<string | undefined> {
  if (file !== undefined) return readPassphraseFile(io, file);
  if (io.terminal === undefined) {
    await say(
      `warning: ${keyPath} is not encrypted: nobody is at a terminal to be asked for a passphrase; --passphrase-file names one, --plain says that there is none`,
    );
    return undefined;
  }
  const first = await io.terminal.askSecret(`new passphrase for ${keyPath} (empty for none): `);
  if (first === '') return undefined;
  if ((await io.terminal.askSecret('once more: ')) !== first)
    throw usageError('expected the same passphrase twice, got two');
  return first;
}
