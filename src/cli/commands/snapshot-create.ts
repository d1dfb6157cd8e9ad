/** `quorate snapshot create`: the operator's act, and the file carried elsewhere. */
import { escapeText, RegistryError } from '../../core/error.ts';
import { readFrom, writeFileAt } from '../../server/snapshot/directory-place.ts';
import { isSnapshotName } from '../../server/snapshot/header.ts';
import { isS3Address } from '../../server/snapshot/s3/address.ts';
import { type Chunks, openSnapshot, unpackSnapshot } from '../../server/snapshot/unpack.ts';
import type { Context } from '../context.ts';
import { type ActOptions, takeSnapshot } from '../operator-act.ts';
import type { JsonAnswer } from '../operator-socket.ts';
import type { Progress } from '../progress.ts';
import { showSnapshot } from '../show-operator.ts';
import { openPlace } from '../snapshot-source.ts';
import { showUnpacking, untilInterrupted } from '../unpacking.ts';

export interface CreateOptions extends ActOptions {
  readonly to?: string;
}

export async function createSnapshot(
  context: Context,
  { to, ...options }: CreateOptions,
): Promise<void> {
  const { globals, print, printJson } = context;
  // Before it is made: what is wrong with the place shows now.
  const target = to === undefined ? null : await openTarget(context, to);
  const answer = await takeSnapshot(context, options);
  const copy =
    target === null ? null : await untilInterrupted(context, () => carry(context, answer, target));
  if (globals.isJson) return printJson({ ...answer, copy });
  const lines = showSnapshot(answer).split('\n');
  if (copy !== null) lines.push(`and in ${copy}, read again`);
  await print(lines.map(escapeText).join('\n'));
}

/** Answers where it is. What stands there is read again: a disk or a network may have changed it. */
async function carry(
  context: Context,
  { id, file, path, bytes }: JsonAnswer,
  target: Target,
): Promise<string> {
  if (typeof path !== 'string' || typeof file !== 'string' || !isSnapshotName(file))
    throw new RegistryError(
      'unexpected_answer',
      'expected the path of a snapshot from the server, got none: is it of another version?',
    );
  const bar = context.progress('MiB copied');
  const total = typeof bytes === 'number' ? bytes : 0;
  const { interrupt } = context.io;
  await target
    .write(file, watched(readFrom(path, 0), { total, show: bar.show, signal: interrupt }))
    .finally(bar.end);
  const opened = await openSnapshot(await target.read(file));
  if (opened.id !== id)
    throw new RegistryError(
      'storage_damaged',
      `expected the snapshot ${id} in ${target.nameOf(file)}, got ${opened.id}`,
    );
  await showUnpacking(context, (onProgress) =>
    unpackSnapshot(opened, {
      to: null,
      onProgress: (done, total) => onProgress({ phase: 'unpacking', done, total }),
      signal: interrupt,
    }),
  );
  return target.nameOf(file);
}

interface Target {
  readonly nameOf: (file: string) => string;
  readonly write: (file: string, chunks: Chunks) => Promise<unknown>;
  readonly read: (file: string) => Promise<Chunks>;
}

async function openTarget(context: Context, to: string): Promise<Target> {
  if (to.endsWith('.qsnap') && !isS3Address(to))
    return {
      nameOf: () => to,
      write: (_, chunks) => writeFileAt(to, chunks),
      read: async () => readFrom(to, 0),
    };
  const place = await openPlace(context, to);
  // Whether it is there, and answers to these credentials.
  await place.list();
  return {
    nameOf: (file) => `${place.description}/${file}`,
    write: (file, chunks) => place.write(file, chunks),
    read: (file) => place.read(file, { offset: 0 }),
  };
}

const MEBIBYTE = 1024 * 1024;

/** Shown as they pass; ends with what the signal was aborted with. */
async function* watched(
  chunks: Chunks,
  {
    total,
    show,
    signal,
  }: { readonly total: number; readonly show: Progress['show']; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    bytes += chunk.length;
    yield chunk;
    show(Math.ceil(bytes / MEBIBYTE), Math.ceil(total / MEBIBYTE));
  }
}
