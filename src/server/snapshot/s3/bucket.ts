/** A bucket as the rest of this folder sees it: the client, whom it asks, and every refusal in our words. */
import type { S3Address } from './address.ts';
import { isMissing, s3Failure } from './failure.ts';
import type { S3Client } from './package.ts';

export interface Bucket {
  readonly client: S3Client;
  readonly address: S3Address;
  /** `s3://bucket/prefix`, for messages. */
  readonly description: string;
  /** Ends whatever is asked. */
  readonly signal: AbortSignal;
}

export interface Found {
  readonly bytes: number;
  /** What the upload that made it called itself, should it be one of ours. */
  readonly upload: string | undefined;
}

/** In the metadata of an object: `x-amz-meta-quorate-upload`. */
export const UPLOAD = 'quorate-upload';

/** `expected`: what is tried. Throws what the signal was aborted with, or a `RegistryError`. */
export async function ask<T>(
  { signal }: Pick<Bucket, 'signal'>,
  expected: string,
  run: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  try {
    return await run({ abortSignal: signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw s3Failure(cause, expected);
  }
}

/** Which object has a name. */
export function objectOf(
  { address: { bucket, prefix } }: Pick<Bucket, 'address'>,
  name: string,
): { readonly Bucket: string; readonly Key: string } {
  return { Bucket: bucket, Key: `${prefix}${name}` };
}

/** `undefined`: there is nothing of that name. */
export async function find(bucket: Bucket, name: string): Promise<Found | undefined> {
  return ask(bucket, `to see whether ${bucket.description} has ${name}`, async (options) => {
    try {
      const head = await bucket.client.headObject(objectOf(bucket, name), options);
      return { bytes: head.ContentLength ?? 0, upload: head.Metadata?.[UPLOAD] };
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      throw cause;
    }
  });
}
