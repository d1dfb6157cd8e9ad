/** Uploads that a process began and, killed, never ended: nobody sees them, and they are paid for. */
import { type Bucket, objectOf } from './bucket.ts';

/** One page a time is enough: each write removes some. */
export interface ForgottenOptions {
  readonly isSnapshotName: (name: string) => boolean;
  readonly beforeMs: number;
}

/** Never rejects: who may write need not be allowed this, and not every server has it. */
export async function abortForgotten(
  bucket: Bucket,
  { isSnapshotName, beforeMs }: ForgottenOptions,
): Promise<void> {
  const { client, address, signal } = bucket;
  const options = { abortSignal: signal };
  try {
    const page = await client.listMultipartUploads(
      { Bucket: address.bucket, Prefix: address.prefix },
      options,
    );
    for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
      const name = Key.slice(address.prefix.length);
      if (!Key.startsWith(address.prefix) || !isSnapshotName(name)) continue;
      if (Initiated === undefined || !(Initiated.getTime() < beforeMs)) continue;
      await client.abortMultipartUpload({ ...objectOf(bucket, name), UploadId }, options);
    }
  } catch {
    // Left where it is.
  }
}
