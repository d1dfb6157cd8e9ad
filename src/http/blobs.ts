/** Blobs over HTTP: read whole or by range, and put. What keeps them is behind `BlobStore`. */
import type { Context } from 'hono';
import { PATHS, QUERIES, readParameters, readQuery } from '../api/parameters.ts';
import { cleanedUp, RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';
import { type Answer, answerBytes, answerJson } from './answer.ts';
import type { BlobStore, OpenBlob } from './blob-store.ts';
import { assertNoCoding, bodyOf, wholePieces } from './body.ts';
import { matchesEtag, notModified } from './conditional.ts';
import type { HttpDeps, HttpLimits } from './deps.ts';
import type { Handler } from './exchange.ts';
import type { WriteHandler } from './guard.ts';
import { type ByteRange, readRange } from './range.ts';
import { StreamSlots } from './stream-slots.ts';

type ReadDeps = Pick<HttpDeps, 'blobs' | 'clientAddress' | 'hangUp'>;

/** Whatever the bytes are, no browser shows or runs them. */
const HARMLESS = {
  'Content-Disposition': 'attachment',
  'Content-Security-Policy': "default-src 'none'; sandbox",
} as const;

export function blobReads(
  deps: ReadDeps,
  limits: () => Pick<HttpLimits, 'maxBlobReads' | 'maxBlobReadsPerAddress'>,
): Readonly<Record<'readBlob', Handler>> {
  const slots = new StreamSlots(() => {
    const { maxBlobReads, maxBlobReadsPerAddress } = limits();
    return { maxStreams: maxBlobReads, maxStreamsPerAddress: maxBlobReadsPerAddress };
  }, 'blobs being read');
  return {
    readBlob: async (c) => {
      const address = readAddress(c);
      const blob = await assertOn(deps.blobs).open(address);
      if (blob === undefined) throw missing(address);
      try {
        return await answerBlob(deps, c, { address, blob, slots });
      } catch (error) {
        throw await cleanedUp(error, () => blob.close());
      }
    },
  };
}

export function blobWrites({
  blobs,
  registry,
  piecesOf,
}: Pick<HttpDeps, 'blobs' | 'registry' | 'piecesOf'>): Readonly<Record<'putBlob', WriteHandler>> {
  return {
    putBlob: async (c, attempt) => {
      const address = readAddress(c);
      attempt.aboutBlob(address);
      const store = assertOn(blobs);
      const head = registry.head();
      if (head === undefined)
        throw new RegistryError(
          'not_initialised',
          'expected a registry for the blob, got none: its genesis comes first',
        );
      await attempt.authorizeBlob(head.object.registry);
      registry.assertWritable();
      const { headers, pieces } = bodyOf(c, piecesOf);
      assertNoCoding(headers, 'a blob is the bytes that hash to its address: send it as it is');
      const length = headers.get('content-length');
      const { isNew, bytes } = await store.put(address, {
        parts: wholePieces(pieces),
        declaredBytes: length === null ? undefined : Number(length),
      });
      return answerJson(
        { address, bytes },
        { status: isNew ? 201 : 200, headers: { Location: `/blobs/${address}` } },
      );
    },
  };
}

async function answerBlob(
  { clientAddress, hangUp }: ReadDeps,
  c: Context,
  { address, blob, slots }: { address: Hash; blob: OpenBlob; slots: StreamSlots },
): Promise<Answer> {
  const etag = `"${address}"`;
  const whole = describe(blob.bytes, { etag });
  if (matchesEtag(c.req.header('If-None-Match'), etag)) {
    await blob.close();
    return notModified(whole);
  }
  // RFC 9110 14.2: a range is of a GET alone.
  if (c.req.method === 'HEAD') {
    await blob.close();
    return whole;
  }
  const { bytes } = blob;
  const ifRange = c.req.header('If-Range');
  const range = readRange({ range: c.req.header('Range'), ifRange, etag, bytes });
  const onEnd = slots.take(clientAddress(c));
  const body = await blob.read({ range, onEnd, onBroken: () => hangUp(c) });
  return { ...describe(bytes, { etag, range }), body, isGivenAway: true };
}

/** The answer without its body. */
function describe(
  bytes: number,
  { etag, range }: { readonly etag: string; readonly range?: ByteRange | undefined },
): Answer {
  const { first, last } = range ?? { first: 0, last: bytes - 1 };
  return answerBytes(null, {
    status: range === undefined ? 200 : 206,
    mediaType: 'application/octet-stream',
    caching: 'immutable',
    etag,
    headers: {
      ...HARMLESS,
      'Accept-Ranges': 'bytes',
      'Content-Length': `${last - first + 1}`,
      ...(range !== undefined && { 'Content-Range': `bytes ${first}-${last}/${bytes}` }),
    },
  });
}

function readAddress(c: Context): Hash {
  readQuery(QUERIES.none, c.req.url);
  return readParameters(PATHS.blob, c.req.param(), 'path').address;
}

function assertOn(blobs: BlobStore | undefined): BlobStore {
  if (blobs !== undefined) return blobs;
  throw notFound('a server that keeps blobs, got one that does not: its operator turns them on');
}

function missing(address: Hash): RegistryError {
  return notFound(
    `a blob that is here, got ${address}: put it, or ask a registry that has it; one that no kept version names is collected`,
  );
}

function notFound(text: string): RegistryError {
  return new RegistryError('not_found', `expected ${text}`);
}
