/** `quorate blob`: bytes under their own hash, for descriptors to name. */
import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import { firstError, RegistryError } from '../../core/error.ts';
import { formatHash, type Hash } from '../../core/hash.ts';
import { hashFile } from '../../server/fast-hash/hash-file.ts';
import { createHasher } from '../../server/fast-hash/hasher.ts';
import { sentAgain } from '../blob-again.ts';
import { fetchBlobFile, mismatch } from '../blob-file.ts';
import { type BlobTarget, receiveBlob, sendBlob } from '../blob-transfer.ts';
import { bearerOf } from '../connect.ts';
import type { Context } from '../context.ts';
import { Unverified } from '../failure.ts';
import { fileError } from '../files.ts';
import { parseHashOption } from '../globals.ts';
import type { Progress } from '../progress.ts';

const PIECE_BYTES = 512 * 1024;
const MEBIBYTE = 1024 * 1024;

export function defineBlob(command: Command, context: Context): void {
  command
    .command('put')
    .summary('keep files as blobs, and print their addresses')
    .description('Keep files as blobs, and print their addresses.')
    .argument('<file...>', 'what to keep')
    .action((files: readonly string[]) => putAll(context, files));
  command
    .command('get')
    .summary('fetch a blob, and check it against its address')
    .description(
      'Fetch a blob, and check it against its address. Into a file, which is there only when all of it is right, and where a transfer that broke off goes on; or to standard output, where only the exit code says that it was right.',
    )
    .argument('<address>', 'its address, b3:...', parseHashOption)
    .option('-o, --out <file>', 'where to; default: standard output')
    .action((address: Hash, { out }: { readonly out?: string }) =>
      out === undefined ? print(context, address) : fetchTo(context, { address, path: out }),
    );
}

async function putAll(context: Context, files: readonly string[]): Promise<void> {
  const { globals, print: write, printJson } = context;
  const target = targetOf(context);
  for (const path of files) {
    const { address, bytes, isNew } = await put(context, target, path);
    await (globals.isJson ? printJson({ address, bytes, is_new: isNew, path }) : write(address));
  }
}

async function put(context: Context, target: BlobTarget, path: string) {
  const { hash: address, bytes } = await withBar(context, 'MiB hashed', (bar) =>
    hashFile(path, { signal: target.signal, onProgress: (done) => show(bar, done, done) }),
  ).catch((cause: unknown) => {
    throw cause instanceof Error && 'syscall' in cause
      ? fileError(`to read ${path}`, cause)
      : cause;
  });
  const send = () =>
    withBar(context, 'MiB sent', (bar) =>
      sendBlob(target, {
        address,
        bytes,
        pieces: told(createReadStream(path, { highWaterMark: PIECE_BYTES }), (done) =>
          show(bar, done, bytes),
        ),
      }),
    );
  const isNew = await sentAgain(context, send);
  return { address, bytes, isNew };
}

async function fetchTo(
  context: Context,
  { address, path }: { readonly address: Hash; readonly path: string },
): Promise<void> {
  const bytes = await checked(
    withBar(context, 'MiB fetched', (bar) =>
      fetchBlobFile(targetOf(context), {
        address,
        path,
        onProgress: (done, total) => show(bar, done, total),
      }),
    ),
  );
  if (context.globals.isJson) await context.printJson({ address, bytes, path });
}

async function print(context: Context, address: Hash): Promise<void> {
  const { stdout } = context.io;
  const hasher = createHasher();
  let done = 0;
  const { bytes, pieces } = await receiveBlob(targetOf(context), { address, from: 0 });
  for await (const piece of pieces) {
    hasher.update(piece);
    done += piece.length;
    await stdout.write(piece);
  }
  if (done !== bytes)
    throw new RegistryError('unavailable', `expected ${bytes} bytes of ${address}, got ${done}`);
  const got = formatHash(hasher.digest());
  if (got !== address) throw new Unverified(mismatch(address, got));
}

/** What came is not what was asked for: that is what verifying has found. */
async function checked<T>(fetching: Promise<T>): Promise<T> {
  try {
    return await fetching;
  } catch (error) {
    const first = firstError(error);
    const isFinding = first instanceof RegistryError && first.code === 'hash_mismatch';
    throw isFinding ? new Unverified(first) : error;
  }
}

function targetOf(context: Context): BlobTarget {
  context.endOnInterrupt();
  const { globals, io } = context;
  return { url: globals.url, token: bearerOf(context), signal: io.interrupt };
}

async function* told(
  pieces: AsyncIterable<Uint8Array>,
  onProgress: (doneBytes: number) => void,
): AsyncGenerator<Uint8Array, undefined> {
  let done = 0;
  for await (const piece of pieces) {
    done += piece.length;
    onProgress(done);
    yield piece;
  }
}

async function withBar<T>(
  { progress }: Context,
  label: string,
  run: (bar: Progress) => Promise<T>,
): Promise<T> {
  const bar = progress(label);
  try {
    return await run(bar);
  } finally {
    await bar.end();
  }
}

function show(bar: Progress, doneBytes: number, totalBytes: number): void {
  bar.show(Math.floor(doneBytes / MEBIBYTE), Math.ceil(totalBytes / MEBIBYTE));
}
