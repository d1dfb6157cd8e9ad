/** Swift, somebody between it and us, and another client beside us: what tests of snapshots in S3 stand on. */
import { S3 } from '@aws-sdk/client-s3';
import type { SnapshotPlace } from '../../src/server/snapshot/place.ts';
import { openS3Place, type S3PlaceOptions } from '../../src/server/snapshot/s3/place.ts';
import { type Between, standBetween } from './s3-between.ts';
import { isSwiftMissing, startSwift, WRITER } from './swift.ts';

/** The least that S3 takes. */
export const PART_BYTES = 5 * 1024 * 1024;
export const NAME = '12-0123456789abcdef.qsnap';

export interface S3World extends AsyncDisposable {
  readonly between: Between;
  /** Asks Swift itself. */
  readonly another: S3;
  /** With no fault in between, and a bucket of its own. */
  openStage(): Promise<S3Stage>;
}

export interface S3Stage {
  readonly bucket: string;
  /** `s3://BUCKET/deep/er`. */
  readonly address: string;
  readonly env: Readonly<Record<string, string>>;
  readonly place: SnapshotPlace;
  /** What downloads have waited, and did not. */
  readonly pausesMs: readonly number[];
  open(options: Partial<S3PlaceOptions>): Promise<SnapshotPlace>;
}

/** `undefined`: there is no Swift here. */
export async function startS3(): Promise<S3World | undefined> {
  if (isSwiftMissing()) return undefined;
  const swift = await startSwift();
  const between = await standBetween(swift.url);
  const another = new S3({
    endpoint: swift.url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: {
      accessKeyId: WRITER.AWS_ACCESS_KEY_ID,
      secretAccessKey: WRITER.AWS_SECRET_ACCESS_KEY,
    },
  });
  let buckets = 0;
  return {
    between,
    another,
    openStage: async () => {
      between.fault = () => undefined;
      const bucket = `bucket-${buckets++}`;
      await another.createBucket({ Bucket: bucket });
      return stageOf(bucket, between.url);
    },
    [Symbol.asyncDispose]: async () => {
      another.destroy();
      await between[Symbol.asyncDispose]();
      await swift[Symbol.asyncDispose]();
    },
  };
}

async function stageOf(bucket: string, url: string): Promise<S3Stage> {
  const address = `s3://${bucket}/deep/er`;
  const env = { ...WRITER, AWS_ENDPOINT_URL_S3: url };
  const { signal } = new AbortController();
  const pausesMs: number[] = [];
  const pause = async (ms: number) => void pausesMs.push(ms);
  const world = { env, signal, now: Date.now, partBytes: PART_BYTES, pause };
  const open: S3Stage['open'] = (options) => openS3Place(address, { ...world, ...options });
  return { bucket, address, env, open, pausesMs, place: await open({}) };
}

/** In pieces of uneven sizes. */
export async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = Math.min(size * 7, 700_001))
    yield bytes.subarray(at, at + size);
}

export async function bytesOf(place: SnapshotPlace, name: string, offset = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await place.read(name, { offset })) chunks.push(chunk);
  return Buffer.concat(chunks);
}
