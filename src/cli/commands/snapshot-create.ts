/** `quorate snapshot create`: the operator's act, and the file carried elsewhere. */
import { escapeText, RegistryError } from '../../core/error.ts';
import { readFrom, writeFileAt } from '../../server/snapshot/directory-place.ts';
import { isSnapshotName } from '../../server/snapshot/header.ts';
import { type Chunks, openSnapshot, unpackSnapshot } from '../../server/snapshot/unpack.ts';
import type { Context } from '../context.ts';
import { type ActOptions, takeSnapshot } from '../operator-act.ts';
import type { JsonAnswer } from '../operator-socket.ts';
import { showSnapshot } from '../show-operator.ts';
import { openPlace } from '../snapshot-source.ts';
import { showUnpacking } from '../unpacking.ts';

export interface CreateOptions extends ActOptions {
  readonly to?: string;
}

export async function createSnapshot(
  context: Context,
  { to, ...options }: CreateOptions,
): Promise<void> {
  const { globals, print, printJson } = context;
  const answer = await takeSnapshot(context, options);
  const copy = to === undefined ? null : await carry(context, answer, to);
  if (globals.isJson) return printJson({ ...answer, copy });
  const lines = showSnapshot(answer).split('\n');
  if (copy !== null) lines.push(`and in ${copy}, read again`);
  await print(lines.map(escapeText).join('\n'));
}

/** Answers where it is. What stands there is read again: a disk or a network may have changed it. */
async function carry(
  context: Context,
  { id, file, path }: JsonAnswer,
  to: string,
): Promise<string> {
  if (typeof path !== 'string' || typeof file !== 'string' || !isSnapshotName(file))
    throw new RegistryError(
      'unexpected_answer',
      'expected the path of a snapshot from the server, got none: is it of another version?',
    );
  const target = targetOf(to, file);
  await target.write(readFrom(path, 0));
  const opened = await openSnapshot(await target.read());
  if (opened.id !== id)
    throw new RegistryError(
      'storage_damaged',
      `expected the snapshot ${id} in ${target.description}, got ${opened.id}`,
    );
  const { signal } = new AbortController();
  await showUnpacking(context, (onProgress) =>
    unpackSnapshot(opened, {
      to: null,
      onProgress: (done, total) => onProgress({ phase: 'unpacking', done, total }),
      signal,
    }),
  );
  return target.description;
}

interface Target {
  readonly description: string;
  readonly write: (chunks: Chunks) => Promise<unknown>;
  readonly read: () => Promise<Chunks>;
}

function targetOf(to: string, name: string): Target {
  if (to.endsWith('.qsnap'))
    return {
      description: to,
      write: (chunks) => writeFileAt(to, chunks),
      read: async () => readFrom(to, 0),
    };
  const place = openPlace(to);
  return {
    description: `${place.description}/${name}`,
    write: (chunks) => place.write(name, chunks),
    read: () => place.read(name, { offset: 0 }),
  };
}
