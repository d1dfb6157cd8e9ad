/** Where an access token comes from: a file, standard input or the environment. Never an argument, which others can see. */
import { RegistryError } from '../core/error.ts';
import type { Context } from './context.ts';
import { usageError } from './failure.ts';
import { readInput } from './files.ts';
import { isOpenToOthers } from './key-file.ts';

/** Without `say` nothing is remarked upon. */
type Asking = Pick<Context, 'io' | 'globals'> & Partial<Pick<Context, 'say'>>;

/** What reads the token: standard input can be read once. `undefined`: none is given. */
export function givenToken({ io, globals, say }: Asking): (() => Promise<string>) | undefined {
  const { QUORATE_TOKEN: text = '', QUORATE_TOKEN_FILE: file = '' } = io.env;
  if (globals.tokenFile === undefined && text !== '' && file !== '')
    throw usageError('expected one of QUORATE_TOKEN and QUORATE_TOKEN_FILE, got both');
  const path = globals.tokenFile ?? (file || undefined);
  if (path === undefined && text === '') return undefined;
  return async () => (path === undefined ? text.trim() : readTokenFile({ io, say }, path));
}

/** The token that a command is about: the one that writes would bring, else standard input. */
export async function readToken({
  io,
  globals,
  say,
}: Asking & Pick<Context, 'say'>): Promise<string> {
  const given = givenToken({ io, globals, say });
  if (given === undefined) return readTokenFile({ io, say }, '-');
  // Whoever pipes another one in is told which of the two was taken.
  if (globals.tokenFile === undefined) await say('quorate: the token of the environment');
  return given();
}

async function readTokenFile(
  { io, say }: Pick<Context, 'io'> & { readonly say: Context['say'] | undefined },
  path: string,
): Promise<string> {
  const text = (await readInput(io, path)).trim();
  if (text === '') {
    const place = path === '-' ? 'standard input' : path;
    throw new RegistryError('invalid_request', `expected a token in ${place}, got nothing`);
  }
  if (path !== '-' && (await isOpenToOthers(path)))
    await say?.(`warning: ${path} is open to others; chmod 600 closes it`);
  return text;
}
