/** `s3://bucket/prefix`: where in S3-compatible storage snapshots are kept. What server that is, the settings say. */
import { excerpt, RegistryError } from '../../../core/error.ts';

export interface S3Address {
  readonly bucket: string;
  /** Before every name: empty, or ends in `/`. */
  readonly prefix: string;
}

const SCHEME = 's3://';
/** The rule of S3 for buckets, which other servers share or are laxer than. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Characters that S3 calls safe in a key. */
const SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9!_.*'()-]+$/;
/** A key has at most 1,024 bytes; the name of a snapshot at most 39. */
const MAX_PREFIX_LENGTH = 900;

export function isS3Address(text: string): boolean {
  return text.startsWith(SCHEME);
}

/** Throws `invalid_request`. */
export function parseS3Address(text: string): S3Address {
  const [bucket = '', ...segments] = text.slice(SCHEME.length).replace(/\/$/, '').split('/');
  const prefix = segments.map((segment) => `${segment}/`).join('');
  if (
    !isS3Address(text) ||
    !BUCKET.test(bucket) ||
    !segments.every((segment) => SEGMENT.test(segment)) ||
    prefix.length > MAX_PREFIX_LENGTH
  )
    throw new RegistryError(
      'invalid_request',
      `expected s3://bucket or s3://bucket/prefix, the bucket of 3 to 63 lower-case letters, digits, . and - between two letters or digits, the prefix of letters, digits and ! _ . * ' ( ) -, got ${excerpt(text)}`,
    );
  return { bucket, prefix };
}
