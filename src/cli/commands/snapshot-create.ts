/** `quorate snapshot create`: the operator's act, and the file carried elsewhere. */
import { escapeText, RegistryError } from '../../core/error.ts';
import { readFrom, writeFileAt } from '../../server/snapshot/directory-place.ts';
import { isSnapshotName } from '../../server/snapshot/header.ts';
import type { CheckWritten } from '../../server/snapshot/place.ts';
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
  const total = typeof bytes === 'number' ? bytes : undefined;
  const { interrupt } = context.io;
  const check = async (written: Chunks): Promise<void> => {
    await bar.end();
    await assertSnapshot(context, written, { id, name: target.nameOf(file) });
  };
  const chunks = watched(readFrom(path, 0), { total, show: bar.show, signal: interrupt });
  await target.write(file, chunks, check).finally(bar.end);
  return target.nameOf(file);
}

async function assertSnapshot(
  context: Context,
  written: Chunks,
  { id, name }: { readonly id: unknown; readonly name: string },
): Promise<void> {
  const opened = await openSnapshot(written);
  if (opened.id !== id) {
    await opened.body.return();
    throw damaged(`the snapshot ${id} for ${name}`, opened.id);
  }
  await showUnpacking(context, (onProgress) =>
    unpackSnapshot(opened, {
      to: null,
      onProgress: (done, total) => onProgress({ phase: 'unpacking', done, total }),
      signal: context.io.interrupt,
    }),
  );
}

function damaged(expected: string, got: string): RegistryError {
  return new RegistryError(
    'storage_damaged',
    `expected ${expected}, got ${got}: somebody changed it since it was made; make another`,
  );
}

interface Target {
  readonly nameOf: (file: string) => string;
  readonly write: (file: string, chunks: Chunks, check: CheckWritten) => Promise<unknown>;
}

async function openTarget(context: Context, to: string): Promise<Target> {
  if (to.endsWith('.qsnap') && !isS3Address(to))
    return {
      nameOf: () => to,
      write: (_, chunks, check) => writeFileAt(to, chunks, check),
    };
  const place = await openPlace(context, to);
  // Whether it is there, and answers to these credentials.
  await place.list();
  return {
    nameOf: (file) => `${place.description}/${file}`,
    write: (file, chunks, check) => place.write(file, chunks, check),
  };
}

const MEBIBYTE = 1024 * 1024;

/** Shown as they pass, and no fewer than were made; ends with what the signal was aborted with. */
async function* watched(
  chunks: Chunks,
  {
    total,
    show,
    signal,
  }: {
    readonly total: number | undefined;
    readonly show: Progress['show'];
    readonly signal: AbortSignal;
  },
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    bytes += chunk.length;
    yield chunk;
    show(Math.ceil(bytes / MEBIBYTE), Math.ceil((total ?? 0) / MEBIBYTE));
  }
  if (total !== undefined && bytes !== total)
    throw damaged(`${total} bytes of the snapshot that was made`, String(bytes));
}
