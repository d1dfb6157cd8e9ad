/**
 * Snapshots in S3-compatible storage. What the server says is believed by nobody: names are tested here, and
 * sizes and bytes by whoever reads a snapshot.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RegistryError } from '../../../core/error.ts';
import { isSnapshotName } from '../header.ts';
import type { PlacedFile, SnapshotPlace } from '../place.ts';
import { parseS3Address } from './address.ts';
import { boundAnswers } from './bounded-answers.ts';
import { ask, type Bucket, objectOf } from './bucket.ts';
import { download } from './download.ts';
import { unexpectedAnswer } from './failure.ts';
import { abortForgotten } from './forgotten.ts';
import { loadS3, type S3Client } from './package.ts';
import { type Environment, readS3Settings } from './settings.ts';
import { upload } from './upload.ts';
import { withdrawn } from './withdraw.ts';

export interface S3PlaceOptions {
  readonly env: Environment;
  /** Ends what is under way; an upload is then aborted at the server. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Default: 16 MiB, which makes 156 GiB the most. */
  readonly partBytes?: number;
  /** How often a request is made at most. Default: 6. */
  readonly maxAttempts?: number;
  /** A connection on which nothing moves for so long is broken. Default: a minute. */
  readonly idleMs?: number;
  /** Before a download goes on. Rejects when the signal fires. Default: so long as it says. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const PART_BYTES = 16 * 1024 * 1024;
const IDLE_MS = 60_000;
const CONNECT_MS = 10_000;
/** Within some seconds, each pause longer than the last. */
const MAX_ATTEMPTS = 6;
/** Of a thousand names each, usually: a list that has no end is none. */
const MAX_PAGES = 100;
const FORGOTTEN_MS = 86_400_000;

/** `text`: `s3://bucket/prefix`. Throws `invalid_request`: the address, the settings, or a package that is missing. */
export async function openS3Place(
  text: string,
  { env, signal, now, partBytes = PART_BYTES, pause = sleepUntil, ...limits }: S3PlaceOptions,
): Promise<SnapshotPlace> {
  const address = parseS3Address(text);
  const client = await createClient(env, limits);
  const description = text.replace(/\/$/, '');
  const bucket: Bucket = { client, address, description, signal };
  return {
    description,
    list: () => list(bucket),
    read: async (name, { offset }) => download(bucket, checked(name), { offset, pause }),
    write: async (name, chunks, check) => {
      checked(name);
      await abortForgotten(bucket, { isSnapshotName, beforeMs: now() - FORGOTTEN_MS });
      const { token, bytes } = await upload(bucket, name, chunks, { partBytes });
      try {
        await check?.(download(bucket, name, { offset: 0, pause }));
      } catch (cause) {
        throw await withdrawn(bucket, { name, token }, cause);
      }
      return bytes;
    },
    remove: async (name) => {
      const object = objectOf(bucket, checked(name));
      await ask(bucket, `to remove ${name} from ${description}`, (options) =>
        client.deleteObject(object, options),
      );
    },
  };
}

function sleepUntil(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal });
}

async function createClient(
  env: Environment,
  { maxAttempts = MAX_ATTEMPTS, idleMs = IDLE_MS }: Pick<S3PlaceOptions, 'maxAttempts' | 'idleMs'>,
): Promise<S3Client> {
  const { endpoint, region, isPathStyle, credentials } = readS3Settings(env);
  const { S3 } = await loadS3();
  const client = new S3({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(credentials !== undefined && { credentials }),
    forcePathStyle: isPathStyle,
    maxAttempts,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: idleMs },
    // Servers other than that of AWS refuse the newer checksums. The signature of a part covers its SHA-256.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  boundAnswers(client);
  return client;
}

async function list(bucket: Bucket): Promise<readonly PlacedFile[]> {
  const { address, client, description } = bucket;
  const found: PlacedFile[] = [];
  let continuation: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const request = {
      Bucket: address.bucket,
      Prefix: address.prefix,
      Delimiter: '/',
      ...(continuation !== undefined && { ContinuationToken: continuation }),
    };
    const page = await ask(bucket, `to list ${description}`, (options) =>
      client.listObjectsV2(request, options),
    );
    // As the package reads what is no list at all.
    if (page.Name === undefined && page.IsTruncated === undefined)
      throw unexpectedAnswer(`the names in ${description}`, 'something else');
    for (const { Key = '', Size = -1 } of page.Contents ?? []) {
      const name = Key.slice(address.prefix.length);
      if (Key.startsWith(address.prefix) && isSnapshotName(name)) found.push({ name, bytes: Size });
    }
    continuation = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    if (continuation === undefined) return found;
  }
  throw unexpectedAnswer(`at most ${MAX_PAGES} pages of names in ${description}`, 'more');
}

/** Throws `invalid_request`. */
function checked(name: string): string {
  if (isSnapshotName(name)) return name;
  throw new RegistryError(
    'invalid_request',
    `expected the name of a snapshot, VERSION-ID.qsnap, got ${name.length} characters`,
  );
}
