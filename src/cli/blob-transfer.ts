/**
 * Blobs on their way to and from a registry, piece by piece. Over node:http: `fetch` tells no length of a body
 * that it streams, and costs more.
 */
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { readProblem } from '../client/problem.ts';
import { parseRetryAfter } from '../client/retry.ts';
import { RegistryError } from '../core/error.ts';
import type { Hash } from '../core/hash.ts';

export interface BlobTarget {
  /** Base URL, http or https; a path in it is kept. */
  readonly url: string;
  /** For writes. */
  readonly token?: (() => Promise<string>) | undefined;
  readonly signal: AbortSignal;
}

export interface BlobToSend {
  readonly address: Hash;
  readonly bytes: number;
  readonly pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface ReceivedBlob {
  /** `false`: they begin at 0, whatever was asked for. */
  readonly isRest: boolean;
  /** Of the whole. */
  readonly bytes: number;
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** Silence after which the registry counts as gone. */
const SILENCE_MS = 30_000;
/** Of a problem document. */
const MAX_PROBLEM_BYTES = 64 * 1024;

/** Answers whether it was new. Throws what the registry answers, `unavailable`, or what `pieces` throw. */
export async function sendBlob(target: BlobTarget, blob: BlobToSend): Promise<boolean> {
  const { address, bytes, pieces } = blob;
  const token = await target.token?.();
  const sent = open(target, {
    method: 'PUT',
    address,
    headers: {
      'content-length': bytes,
      'content-type': 'application/octet-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  });
  // Who is refused is told before everything is sent: then the rest is not.
  const answered = answerOf(sent);
  const sending = pipeline(pieces, sent);
  const answer = await Promise.race([answered, sending.then(() => answered)]).catch(
    (cause: unknown) => {
      sending.catch(() => undefined);
      throw asUnavailable(cause);
    },
  );
  sending.catch(() => undefined);
  const { statusCode: status } = answer;
  if (status !== 200 && status !== 201) throw await problemOf(answer, `PUT /blobs/${address}`);
  answer.resume();
  await once(answer, 'end');
  return status === 201;
}

/** From byte `from` on, where the registry can. Throws what it answers, or `unavailable`. */
export async function receiveBlob(
  target: BlobTarget,
  { address, from }: { readonly address: Hash; readonly from: number },
): Promise<ReceivedBlob> {
  const range = from === 0 ? {} : { range: `bytes=${from}-`, 'if-range': `"${address}"` };
  const sent = open(target, { method: 'GET', address, headers: range });
  sent.end();
  const answer = await answerOf(sent).catch((cause: unknown) => {
    throw asUnavailable(cause);
  });
  const { statusCode: status, headers } = answer;
  if (status !== 200 && status !== 206) throw await problemOf(answer, `GET /blobs/${address}`);
  const length = Number(headers['content-length']);
  const isRest = status === 206 && headers['content-range']?.startsWith(`bytes ${from}-`) === true;
  if (status === 206 && !isRest)
    throw new RegistryError(
      'unexpected_answer',
      `expected the bytes of ${address} from ${from} on, got others`,
    );
  return { isRest, bytes: isRest ? from + length : length, pieces: piecesOf(answer) };
}

interface BlobRequest {
  readonly method: 'GET' | 'PUT';
  readonly address: Hash;
  readonly headers: Readonly<Record<string, string | number>>;
}

function open(
  { url, signal }: BlobTarget,
  { method, address, headers }: BlobRequest,
): ClientRequest {
  const base = new URL(url);
  const path = `${base.pathname.replace(/\/+$/, '')}/blobs/${address}`;
  const request = base.protocol === 'https:' ? httpsRequest : httpRequest;
  const sent = request(new URL(path, base), { method, headers, signal });
  sent.setTimeout(SILENCE_MS, () => sent.destroy(new Error(`nothing for ${SILENCE_MS / 1000} s`)));
  return sent;
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer]: IncomingMessage[] = await once(sent, 'response');
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

async function* piecesOf(answer: IncomingMessage): AsyncGenerator<Uint8Array, undefined> {
  try {
    yield* answer as AsyncIterable<Buffer>;
  } catch (cause) {
    throw asUnavailable(cause);
  }
}

async function problemOf(answer: IncomingMessage, request: string): Promise<RegistryError> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_PROBLEM_BYTES) break;
    parts.push(part);
  }
  return readProblem({
    request,
    status: answer.statusCode ?? 0,
    contentType: answer.headers['content-type'] ?? '',
    bytes: Buffer.concat(parts),
    retryAfterMs: parseRetryAfter(answer.headers['retry-after'] ?? null, Date.now()),
  });
}

function asUnavailable(cause: unknown): unknown {
  if (cause instanceof RegistryError) return cause;
  if (cause instanceof Error && cause.name === 'AbortError') return cause.cause ?? cause;
  const got = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new RegistryError('unavailable', `expected the registry to go on, got ${got}`, { cause });
}
