/** One object read as a stream, from an offset on. A connection that breaks is followed by one that goes on. */
import { RegistryError } from '../../../core/error.ts';
import { ask, type Bucket, objectOf } from './bucket.ts';
import { s3Failure, statusOf } from './failure.ts';

export interface DownloadOptions {
  readonly offset: number;
  /** Resolves after so long, or rejects when the signal fires. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

interface Answer {
  readonly body: AsyncIterable<Uint8Array>;
  /** Of the whole object. */
  readonly total: number;
  readonly etag: string | undefined;
}

/** So often without getting on: the package itself asks again where there was no answer at all. */
const MAX_BREAKS = 5;
/** Fewer bytes are no getting on: a server that breaks off after each would be asked for ever. */
const PROGRESS_BYTES = 64 * 1024;
const FIRST_PAUSE_MS = 250;

/** Throws `not_found`, `conflict` (another object took its name meanwhile), and what `ask` throws. */
export async function* download(
  bucket: Bucket,
  name: string,
  { offset, pause }: DownloadOptions,
): AsyncGenerator<Uint8Array> {
  const expected = `to read ${name} in ${bucket.description}`;
  let position = offset;
  let etag: string | undefined;
  for (let breaks = 0; ; ) {
    const answer = await ask(bucket, expected, () => get(bucket, name, { position, etag }));
    if (answer === undefined) return;
    etag ??= answer.etag;
    const before = position;
    let refusal: unknown;
    try {
      for await (const chunk of answer.body) {
        position += chunk.length;
        if (position > answer.total) throw unexpected(`${answer.total} bytes`, 'more');
        yield chunk;
      }
    } catch (cause) {
      bucket.signal.throwIfAborted();
      refusal = s3Failure(cause, expected);
      if (!isBroken(refusal)) throw refusal;
    }
    if (position === answer.total) return;
    breaks = position - before < PROGRESS_BYTES ? breaks + 1 : 0;
    if (breaks >= MAX_BREAKS) throw refusal ?? unexpected(`${answer.total} bytes`, `${position}`);
    await pause(FIRST_PAUSE_MS * 2 ** breaks, bucket.signal);
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'unavailable';
}

/** `undefined`: there is nothing from the position on. */
async function get(
  bucket: Bucket,
  name: string,
  { position, etag }: { readonly position: number; readonly etag: string | undefined },
): Promise<Answer | undefined> {
  const request = {
    ...objectOf(bucket, name),
    ...(position > 0 && { Range: `bytes=${position}-` }),
    ...(etag !== undefined && { IfMatch: etag }),
  };
  try {
    const { Body, ContentLength, ContentRange, ETag } = await bucket.client.getObject(request, {
      abortSignal: bucket.signal,
    });
    if (Body === undefined || !(Symbol.asyncIterator in Body))
      throw unexpected('the bytes of an object', 'none');
    return { body: Body, total: totalOf({ ContentLength, ContentRange, position }), etag: ETag };
  } catch (cause) {
    if (statusOf(cause) === 416 && position > 0) return undefined;
    throw cause;
  }
}

/** Throws `unexpected_answer` for a part of the object that was not asked for. */
function totalOf({
  ContentLength,
  ContentRange,
  position,
}: {
  readonly ContentLength: number | undefined;
  readonly ContentRange: string | undefined;
  readonly position: number;
}): number {
  if (position === 0 && ContentRange === undefined && Number.isSafeInteger(ContentLength))
    return Number(ContentLength);
  const [, first, total] = /^bytes (\d{1,16})-\d{1,16}\/(\d{1,16})$/.exec(ContentRange ?? '') ?? [];
  if (position > 0 && Number(first) === position) return Number(total);
  throw unexpected(`the bytes from ${position} on`, 'others');
}

function unexpected(expected: string, got: string): RegistryError {
  return new RegistryError(
    'unexpected_answer',
    `expected ${expected} from the server for S3, got ${got}`,
  );
}
