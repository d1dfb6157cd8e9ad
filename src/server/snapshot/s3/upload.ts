/**
 * One object written in parts, of which at most two are in memory. It is visible when the last request has
 * completed it and not before; what does not get so far is aborted at the server.
 */
import { randomBytes } from 'node:crypto';
import { RegistryError } from '../../../core/error.ts';
import type { Chunks } from '../unpack.ts';
import { ask, type Bucket, find, objectOf, UPLOAD } from './bucket.ts';
import { statusOf } from './failure.ts';

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

/** The rule of S3. */
const MAX_PARTS = 10_000;

/** How many bytes. Throws `conflict` (the name is taken), `too_large`, and what `ask` and `chunks` throw. */
export async function upload(
  bucket: Bucket,
  name: string,
  chunks: Chunks,
  { partBytes }: UploadOptions,
): Promise<number> {
  await assertFree(bucket, name);
  const started = await begin(bucket, name);
  try {
    const { bytes, parts } = await sendParts(started, chunks, partBytes);
    await complete(started, { bytes, parts });
    return bytes;
  } catch (error) {
    await abort(started);
    throw error;
  }
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
  if (UploadId === undefined || UploadId === '') throw unexpected('the id of an upload', 'none');
  return { bucket, name, object, UploadId, token };
}

/** One part is sent while the next is filled. The signature of each covers the hash of its bytes. */
async function sendParts(
  started: Upload,
  chunks: Chunks,
  partBytes: number,
): Promise<{ readonly bytes: number; readonly parts: readonly Part[] }> {
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
  if (ETag === undefined) throw unexpected(`the tag of part ${number}`, 'none');
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
async function complete(
  { bucket, object, UploadId, name, token }: Upload,
  { bytes, parts }: { readonly bytes: number; readonly parts: readonly Part[] },
): Promise<void> {
  const request = { ...object, UploadId, MultipartUpload: { Parts: [...parts] } };
  let refusal: unknown;
  try {
    await ask(bucket, `to complete ${name} in ${bucket.description}`, async (options) => {
      try {
        await bucket.client.completeMultipartUpload({ ...request, IfNoneMatch: '*' }, options);
      } catch (cause) {
        // Not implemented: a server that knows no condition. It had nothing of that name a moment ago.
        if (statusOf(cause) !== 501) throw cause;
        await assertFree(bucket, name);
        await bucket.client.completeMultipartUpload(request, options);
      }
    });
  } catch (error) {
    refusal = error;
  }
  const found = await find(bucket, name);
  if (found?.upload === token && found.bytes === bytes) return;
  if (found !== undefined && found.upload !== token) throw taken(bucket, name);
  throw (
    refusal ??
    unexpected(`${bytes} bytes in ${name}`, found === undefined ? 'none' : `${found.bytes}`)
  );
}

/** Also when the signal has fired. What fails here is left to `abortForgotten`, and to the rules of the bucket. */
async function abort({ bucket, object, UploadId }: Upload): Promise<void> {
  await bucket.client.abortMultipartUpload({ ...object, UploadId }).catch(() => undefined);
}

function taken({ description }: Bucket, name: string): RegistryError {
  return new RegistryError(
    'conflict',
    `expected no ${name} in ${description}, got one: nothing is written over it`,
    { details: { place: 's3' } },
  );
}

function unexpected(expected: string, got: string): RegistryError {
  return new RegistryError(
    'unexpected_answer',
    `expected ${expected} from the server for S3, got ${got}`,
  );
}
