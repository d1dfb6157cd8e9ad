/** What the HTTP layer is made with: the registry, instruments, and everything that touches the world. */
import type { Context } from 'hono';
import type { Registry } from '../registry/registry.ts';
import type { AuditTrail } from '../telemetry/audit.ts';
import type { Log, LogFields } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import type { Authority } from './authority.ts';
import type { BlobStore } from './blob-store.ts';
import type { EventStream } from './event-stream.ts';
import type { PreparedSets } from './prepared-sets.ts';
import type { HttpTimers } from './timers.ts';

export interface HttpLimits {
  /** Streams and long polls, in all and for one client address. */
  readonly maxStreams: number;
  readonly maxStreamsPerAddress: number;
  /** Blobs being sent, likewise. */
  readonly maxBlobReads: number;
  readonly maxBlobReadsPerAddress: number;
  /** Sets being sent a piece at a time, likewise: each may hold the tree of its version. */
  readonly maxSetReads: number;
  readonly maxSetReadsPerAddress: number;
  /** Requests being answered at once, streams and long polls aside; writes are refused from half of it on. */
  readonly maxInflight: number;
  /** A stream that does not drain for this long while an event waits is closed. */
  readonly slowAfterMs: number;
  /** Sets up to this size are held whole, compressed and cached; larger ones are streamed as they are. */
  readonly maxBufferedBytes: number;
  /** All cached bodies together. */
  readonly maxCachedBytes: number;
  /** Versions that are ready to be answered, in all. */
  readonly maxReadyBytes: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  maxStreams: 1_000,
  maxStreamsPerAddress: 8,
  maxBlobReads: 256,
  maxBlobReadsPerAddress: 32,
  maxSetReads: 32,
  maxSetReadsPerAddress: 8,
  maxInflight: 2_000,
  slowAfterMs: 10_000,
  maxBufferedBytes: 16 * 1024 * 1024,
  maxCachedBytes: 64 * 1024 * 1024,
  maxReadyBytes: 16 * 1024 * 1024,
};

export const CODINGS = ['br', 'zstd', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

/** Each gives the same bytes for the same body, for its ETag is strong. */
export type Compress = Readonly<Record<Coding, (body: Uint8Array) => Promise<Uint8Array>>>;

export interface Allowance {
  readonly ok: boolean;
  /** When not `ok`. */
  readonly retryAfterSeconds: number;
}

/** One request of a client, as the rate limit counts it. */
export type Consume = (caller: string) => Allowance;

export interface BuildInfo {
  readonly version: string;
  /** The commit it was built from, where known. */
  readonly revision: string | null;
}

/** `headers`: all of the answer's. What it returns stands for an answer that was sent. */
export type SendEvents = (c: Context, events: EventStream, headers: Headers) => Response;

/** `pieces`: each is the sender's alone. What it returns stands for an answer that was sent. */
export type SendPieces = (
  c: Context,
  pieces: ReadableStream<Uint8Array>,
  head: { readonly status: number; readonly headers: Headers },
) => Response;

export interface HttpDeps {
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Told of every refusal that is no failure, with the fields of its line. Default: each is a line of the log. */
  readonly onRefused?: (client: string, fields: LogFields) => void;
  readonly build: BuildInfo;
  readonly compress: Compress;
  readonly timers: HttpTimers;
  /** Asked at every use: a reload may change them. */
  readonly limits?: () => Partial<HttpLimits>;
  /** Seconds of a clock that never goes back. */
  readonly monotonicSeconds: () => number;
  /** 0 up to 1, for jitter. */
  readonly random: () => number;
  /** For requests that bring no `X-Corr-ID`: 1 to 64 of [A-Za-z0-9-]. */
  readonly newCorrId: () => string;
  /** Whether this client may write without a token: asked while there is no authority. */
  readonly isWriteAllowed: (c: Context) => boolean;
  /** Whose tokens open the write routes; `undefined` while none is configured. Asked at every write: a reload may change it. */
  readonly authority?: () => Authority | undefined;
  /** The body as it comes, to be read once. Default: that of the request, whose web stream costs a tenth of a millisecond and a copy. */
  readonly piecesOf?: (c: Context) => AsyncIterable<Uint8Array>;
  /** Without it there are no blobs. */
  readonly blobs?: BlobStore | undefined;
  readonly audit?: AuditTrail;
  readonly tracer?: Tracer;
  /** Where there is a disk for them. */
  readonly preparedSets?: PreparedSets | undefined;
  /** What caps and rate limits count by. */
  readonly clientAddress: (c: Context) => string;
  /** Destroys the connection: the only way to end an answer whose reader does not read. */
  readonly hangUp: (c: Context) => void;
  /** A whole body is about to be sent: what it holds until its reader has taken it may be bounded. */
  readonly holdBody?: (c: Context, body: Uint8Array) => void;
  /** Answers with a stream by itself, without a body that is pulled. */
  readonly sendEvents?: SendEvents;
  /** Answers with a stream whose pieces are given away, likewise. */
  readonly sendPieces?: SendPieces;
  readonly consumeRead?: Consume;
  readonly consumeWrite?: Consume;
  /** By the id of a token instead of an address. */
  readonly consumeToken?: Consume;
}
