/**
 * What others have seen of a log: the high-water mark, a checkpoint that was noted, a service, and what was
 * verified here before. A snapshot that does not go as far is older than what was published.
 */
import { Answers } from '../client/answers.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { readSignedCheckpoint, type SignedCheckpoint } from '../core/tlog/note-signatures.ts';
import { createMarkFile } from '../server/high-water-file.ts';
import type { Context } from './context.ts';
import { readInput } from './files.ts';
import { createTransport } from './http-log.ts';
import { trustedEndOf } from './old-log.ts';

export interface KnownOptions {
  readonly highWater?: string;
  readonly checkpoint?: readonly string[];
  readonly from?: string;
}

export interface KnownCheckpoint {
  /** For people: `the high-water mark /var/lib/mark`. */
  readonly seenBy: string;
  readonly checkpoint: SignedCheckpoint;
  /** Of trusted state: as old as the last time this user looked, so it can refuse a log and never vouch for one. */
  readonly isOwn: boolean;
}

/** Throws what reading them throws: one that was named and cannot be read is no reason to go on without it. */
export async function knownCheckpoints(
  context: Pick<Context, 'io' | 'globals' | 'say'>,
  { highWater, checkpoint = [], from }: KnownOptions,
  registry: Hash | undefined,
): Promise<readonly KnownCheckpoint[]> {
  const { io, globals } = context;
  const known: KnownCheckpoint[] = [];
  const add = async (seenBy: string, note: Promise<string>, isOwn = false) =>
    known.push({ seenBy, checkpoint: await checkpointOf(seenBy, note), isOwn });
  if (highWater !== undefined) await add(`the high-water mark ${highWater}`, readMark(highWater));
  for (const path of checkpoint)
    await add(`the checkpoint in ${path === '-' ? 'standard input' : path}`, readInput(io, path));
  if (from !== undefined) await add(`the service at ${from}`, servedNote(context, from));
  const trusted = registry === undefined ? undefined : await trustedEndOf(registry, globals);
  if (trusted !== undefined)
    await add('the trusted state of this user', Promise.resolve(trusted.checkpoint), true);
  return known;
}

/** What it throws says who was asked. */
async function checkpointOf(seenBy: string, note: Promise<string>): Promise<SignedCheckpoint> {
  try {
    return readSignedCheckpoint(await note);
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    const { code, message, details } = cause;
    throw new RegistryError(code, `${seenBy}: ${message}`, { cause, details });
  }
}

async function readMark(path: string): Promise<string> {
  const mark = await createMarkFile(path).load();
  if (mark !== undefined) return mark;
  throw new RegistryError('not_found', `expected a high-water mark at ${path}, got no file`);
}

function servedNote(
  { io, globals, say }: Pick<Context, 'io' | 'globals' | 'say'>,
  url: string,
): Promise<string> {
  const transport = createTransport({ io, globals: { ...globals, url }, say });
  return new Answers(transport).checkpoint({ isFresh: true, signal: io.interrupt });
}
