/** One object read as a stream, from an offset on. A connection that breaks is followed by one that goes on. */
import { type Bucket, objectOf } from './bucket.ts';
import { isUnavailable, s3Failure, statusOf, unexpectedAnswer } from './failure.ts';

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

/** Throws `not_found`, `conflict` (another object took its name meanwhile), and what `ask` would throw. */
export async function* download(
  bucket: Bucket,
  name: string,
  { offset, pause }: DownloadOptions,
): AsyncGenerator<Uint8Array> {
  const expected = `to read ${name} in ${bucket.description}`;
  let position = offset;
  let etag: string | undefined;
  let isAnswered = false;
  for (let breaks = 0; ; ) {
    const before = position;
    let refusal: unknown = unexpectedAnswer('all of an object', 'its beginning');
    try {
      const answer = await get(bucket, name, { position, etag });
      if (answer === undefined) return;
      isAnswered = true;
      etag ??= answer.etag;
      for await (const chunk of answer.body) {
        position += chunk.length;
        if (position > answer.total) throw unexpectedAnswer(`${answer.total} bytes`, 'more');
        yield chunk;
      }
      if (position === answer.total) return;
    } catch (cause) {
      bucket.signal.throwIfAborted();
      refusal = s3Failure(cause, expected);
      // Where no answer came at all the package has tried often enough.
      if (!isUnavailable(refusal) || !isAnswered) throw refusal;
    }
    breaks = position - before < PROGRESS_BYTES ? breaks + 1 : 0;
    if (breaks >= MAX_BREAKS) throw refusal;
    await pause(FIRST_PAUSE_MS * 2 ** breaks, bucket.signal);
  }
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
      throw unexpectedAnswer('the bytes of an object', 'none');
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
  throw unexpectedAnswer(`the bytes from ${position} on`, 'others');
}
