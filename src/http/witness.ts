/** The HTTP face of a witness: C2SP tlog-witness, its status codes to the letter, and what monitors read. */
import { decodeUtf8 } from '../core/bytes.ts';
import { errorCode, excerpt } from '../core/error.ts';
import {
  ADD_CHECKPOINT_PATH,
  MAX_REQUEST_BYTES,
  SIZE_MEDIA_TYPE,
} from '../core/tlog/add-checkpoint.ts';
import type { LogWitness, WitnessReply } from '../registry/witness-role.ts';
import type { Log, LogFields } from '../telemetry/log.ts';
import { bodyOfRequest, readBytes } from './body.ts';

export interface WitnessHttpOptions {
  readonly witness: Pick<LogWitness, 'vkey' | 'origins' | 'addCheckpoint' | 'checkpoint'>;
  /** Before every path: empty, or such as `/witness`. */
  readonly prefix: string;
  readonly log: Log;
  /** Told of every checkpoint that is not cosigned. Default: each is a line of the log. */
  readonly onRefused?: (fields: LogFields) => void;
}

const STATUS: Readonly<Record<WitnessReply['result'], number>> = {
  cosigned: 200,
  malformed: 400,
  forbidden: 403,
  unknown_origin: 404,
  conflict: 409,
  invalid_proof: 422,
};

const TEXT = 'text/plain; charset=utf-8';

/** Answers every request; never rejects. */
export function createWitnessHandler(
  options: WitnessHttpOptions,
): (request: Request) => Promise<Response> {
  return async (request) => {
    try {
      return await route(options, request);
    } catch (error) {
      return failure(options.log, error);
    }
  };
}

async function route(options: WitnessHttpOptions, request: Request): Promise<Response> {
  const { witness, prefix } = options;
  const { pathname } = new URL(request.url);
  const path = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : '';
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (path === ADD_CHECKPOINT_PATH)
    return request.method === 'POST' ? addCheckpoint(options, request) : wrongMethod('POST');
  const [, hash] = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path) ?? [];
  const body =
    path === '/' || (path === '' && pathname === prefix)
      ? describe(witness)
      : hash && witness.checkpoint(hash);
  if (body === undefined || body === '') return text(404, 'not found\n');
  if (!isRead) return wrongMethod('GET, HEAD');
  return text(200, request.method === 'HEAD' ? null : body, {
    'cache-control': 'no-cache',
    'access-control-allow-origin': '*',
  });
}

async function addCheckpoint(
  {
    witness,
    log,
    onRefused = (fields) => log.info('a checkpoint was not cosigned', fields),
  }: WitnessHttpOptions,
  request: Request,
): Promise<Response> {
  const bytes = await readBytes(bodyOfRequest(request).pieces, MAX_REQUEST_BYTES);
  const reply = await witness.addCheckpoint(textOf(bytes));
  const status = STATUS[reply.result];
  if (reply.result === 'cosigned') return text(status, reply.lines);
  if (reply.result === 'conflict')
    return text(status, `${reply.size}\n`, { 'content-type': SIZE_MEDIA_TYPE });
  // The reason quotes the request: it is for who sent it.
  onRefused({ status, result: reply.result });
  return text(status, `${reply.reason}\n`);
}

/** What is no UTF-8 is no request either. */
function textOf(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    return '';
  }
}

function describe({ vkey, origins }: WitnessHttpOptions['witness']): string {
  return `${['a witness of transparency logs (c2sp.org/tlog-witness)', `vkey ${vkey}`, ...origins.map((origin) => `log ${origin}`)].join('\n')}\n`;
}

function failure(log: Log, error: unknown): Response {
  const code = errorCode(error);
  if (code === 'too_large') return text(413, `at most ${MAX_REQUEST_BYTES} bytes\n`);
  if (code === 'malformed') return text(400, 'the whole body did not come\n');
  log.error('a request failed: nothing was cosigned for it', { code, cause: error });
  return text(code === 'read_only' ? 503 : 500, `${excerpt(code)}\n`);
}

function wrongMethod(allow: string): Response {
  return text(405, 'another method\n', { allow });
}

function text(
  status: number,
  body: string | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body, {
    status,
    headers: { 'content-type': TEXT, 'cache-control': 'no-store', ...headers },
  });
}
