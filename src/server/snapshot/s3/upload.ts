/**
 * One object written in parts, of which at most two are in memory. It is visible when the last request has
 * completed it and not before; what does not get so far is aborted at the server.
 */
import { randomBytes } from 'node:crypto';
import { RegistryError } from '../../../core/error.ts';
import type { Chunks } from '../unpack.ts';
import { ask, type Bucket, find, objectOf, UPLOAD } from './bucket.ts';
import { isUnavailable, statusOf, unexpectedAnswer } from './failure.ts';

export interface UploadOptions {
  /** Of each part but the last: 5 MiB at least, and the same for all, as some servers demand. */
  readonly partBytes: number;
}

interface Part {
  readonly PartNumber: number;
  readonly ETag: string;
}

interface Upload {
  readonly bucket: Bucket;
  readonly name: string;
  readonly object: { readonly Bucket: string; readonly Key: string };
  readonly UploadId: string;
  /** Tells our object from any other, whose bytes may be the same. */
  readonly token: string;
}

interface Sent {
  readonly bytes: number;
  readonly parts: readonly Part[];
}

/** Whoever interrupted it waits so long at most. */
const ABORT_MS = 10_000;
/** The rule of S3. */
const MAX_PARTS = 10_000;

/** What it called itself, and how many bytes. Throws `conflict` (the name is taken), `too_large`, and what `ask` and `chunks` throw. */
export async function upload(
  bucket: Bucket,
  name: string,
  chunks: Chunks,
  { partBytes }: UploadOptions,
): Promise<{ readonly token: string; readonly bytes: number }> {
  await assertFree(bucket, name);
  const started = await begin(bucket, name);
  const sent = await sendParts(started, chunks, partBytes).catch(async (error: unknown) => {
    await abort(started);
    throw error;
  });
  await complete(started, sent);
  return { token: started.token, bytes: sent.bytes };
}

async function assertFree(bucket: Bucket, name: string): Promise<void> {
  if ((await find(bucket, name)) !== undefined) throw taken(bucket, name);
}

async function begin(bucket: Bucket, name: string): Promise<Upload> {
  const object = objectOf(bucket, name);
  const token = randomBytes(16).toString('hex');
  const expected = `to write ${name} in ${bucket.description}`;
  const { UploadId } = await ask(bucket, expected, (options) =>
    bucket.client.createMultipartUpload(
      { ...object, ContentType: 'application/octet-stream', Metadata: { [UPLOAD]: token } },
      options,
    ),
  );
  if (UploadId === undefined || UploadId === '')
    throw unexpectedAnswer('the id of an upload', 'none');
  return { bucket, name, object, UploadId, token };
}

/** One part is sent while the next is filled. The signature of each covers the hash of its bytes. */
async function sendParts(started: Upload, chunks: Chunks, partBytes: number): Promise<Sent> {
  const parts: Part[] = [];
  let bytes = 0;
  let sending: Promise<void> = Promise.resolve();
  try {
    for await (const body of inParts(chunks, partBytes)) {
      await sending;
      const number = parts.length + 1;
      if (number > MAX_PARTS)
        throw new RegistryError(
          'too_large',
          `expected a snapshot of at most ${MAX_PARTS} parts of ${partBytes} bytes, got a larger one`,
        );
      bytes += body.length;
      sending = sendPart(started, number, body).then((part) => void parts.push(part));
      // Awaited at the next part or below; should that not come before it fails, it is no rejection of nobody's.
      sending.catch(() => undefined);
    }
    await sending;
  } finally {
    // A part that arrives after the upload was aborted would stay at the server.
    await sending.catch(() => undefined);
  }
  return { bytes, parts };
}

async function sendPart(
  { bucket, object, UploadId, name }: Upload,
  number: number,
  Body: Buffer,
): Promise<Part> {
  const expected = `to write part ${number} of ${name} in ${bucket.description}`;
  const { ETag } = await ask(bucket, expected, (options) =>
    bucket.client.uploadPart({ ...object, UploadId, PartNumber: number, Body }, options),
  );
  if (ETag === undefined) throw unexpectedAnswer(`the tag of part ${number}`, 'none');
  return { PartNumber: number, ETag };
}

/** Buffers of `partBytes` each, the last one shorter; at least one. */
async function* inParts(chunks: Chunks, partBytes: number): AsyncGenerator<Buffer> {
  let part = Buffer.allocUnsafe(partBytes);
  let filled = 0;
  let isFirst = true;
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length; ) {
      if (filled === partBytes) {
        yield part;
        isFirst = false;
        part = Buffer.allocUnsafe(partBytes);
        filled = 0;
      }
      const piece = chunk.subarray(taken, taken + partBytes - filled);
      part.set(piece, filled);
      filled += piece.length;
      taken += piece.length;
    }
  }
  if (filled > 0 || isFirst) yield part.subarray(0, filled);
}

/**
 * Whether it was completed, the object says: an answer may be lost on its way, and a request that was repeated
 * is refused because the first one was heard.
 */
async function complete(started: Upload, { bytes, parts }: Sent): Promise<void> {
  const { bucket, name, token } = started;
  const refusal = await askToComplete(started, parts).then(
    () => undefined,
    (error: unknown) => error,
  );
  // While the server may still be at it an abort could take the parts from under the object.
  bucket.signal.throwIfAborted();
  const found = await find(bucket, name);
  if (found?.upload === token && found.bytes === bytes) return;
  if (!isUnavailable(refusal)) await abort(started);
  if (found !== undefined && found.upload !== token) throw taken(bucket, name);
  const got = found === undefined ? 'nothing' : `${found.bytes}`;
  throw refusal ?? unexpectedAnswer(`${bytes} bytes under ${name}`, got);
}

async function askToComplete(
  { bucket, object, UploadId, name }: Upload,
  parts: readonly Part[],
): Promise<void> {
  const { client, description } = bucket;
  const request = { ...object, UploadId, MultipartUpload: { Parts: [...parts] } };
  await ask(bucket, `to complete ${name} in ${description}`, async (options) => {
    try {
      await client.completeMultipartUpload({ ...request, IfNoneMatch: '*' }, options);
    } catch (cause) {
      // Not implemented: a server that knows no condition. It had nothing of that name a moment ago.
      if (statusOf(cause) !== 501) throw cause;
      await assertFree(bucket, name);
      await client.completeMultipartUpload(request, options);
    }
  });
}

/** Also when the signal has fired. What fails here is left to `abortForgotten`, and to the rules of the bucket. */
async function abort({ bucket: { client }, object, UploadId }: Upload): Promise<void> {
  const options = { abortSignal: AbortSignal.timeout(ABORT_MS) };
  await client.abortMultipartUpload({ ...object, UploadId }, options).catch(() => undefined);
}

function taken({ description }: Bucket, name: string): RegistryError {
  return new RegistryError(
    'conflict',
    `expected no ${name} in ${description}, got one: nothing is written over it`,
    { details: { place: 's3' } },
  );
}
