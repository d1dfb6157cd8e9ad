/**
 * Requests over kept-alive connections of node:http, each told once by what came back. Thinner than
 * `fetch`, because what the program itself costs is part of every latency it measures.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface Sent {
  readonly method: 'GET' | 'POST';
  /** Below the base URL. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Uint8Array | undefined;
}

export interface Answered {
  readonly status: number;
  readonly etag: string | undefined;
  /** Whole: as long as its `Content-Length` says. */
  readonly isWhole: boolean;
  /** Of a refusal, so far as it is kept; else empty. */
  readonly text: string;
}

/** A connection that failed, by its cause: `ECONNREFUSED`, `timeout`. */
export interface Unanswered {
  readonly cause: string;
}

export type Outcome = Answered | Unanswered;

export interface SenderOptions {
  /** Base URL, http or https; a path in it is kept. */
  readonly url: string;
  readonly connections: number;
  /** Silence after which a request counts as unanswered. */
  readonly timeoutMs: number;
}

/** How long a registry may be silent before a request counts as unanswered. */
export const ANSWER_TIMEOUT_MS = 30_000;

/** Enough for a problem document. */
const MAX_KEPT_BYTES = 16 * 1024;

export class HttpSender implements Disposable {
  readonly #agent: HttpAgent;
  readonly #request: (
    options: RequestOptions,
    onAnswer: (m: IncomingMessage) => void,
  ) => ClientRequest;
  readonly #target: RequestOptions;
  readonly #prefix: string;

  constructor({ url, connections, timeoutMs }: SenderOptions) {
    const { protocol, hostname, port, pathname } = new URL(url);
    const isTls = protocol === 'https:';
    const pool = { keepAlive: true, maxSockets: connections, maxFreeSockets: connections };
    this.#agent = isTls ? new HttpsAgent(pool) : new HttpAgent(pool);
    this.#request = isTls ? httpsRequest : httpRequest;
    this.#target = {
      agent: this.#agent,
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (isTls ? 443 : 80) : Number(port),
      timeout: timeoutMs,
    };
    this.#prefix = pathname.replace(/\/+$/, '');
  }

  /** `onOutcome` is called exactly once, in a later turn. */
  send({ method, path, headers, body }: Sent, onOutcome: (outcome: Outcome) => void): void {
    let isTold = false;
    const tell = (outcome: Outcome) => {
      if (isTold) return;
      isTold = true;
      onOutcome(outcome);
    };
    const length =
      body === undefined && method === 'GET' ? {} : { 'content-length': body?.length ?? 0 };
    const sent = this.#request(
      {
        ...this.#target,
        method,
        path: `${this.#prefix}${path}`,
        headers: { ...headers, ...length },
      },
      (message) => readAnswer(message, tell),
    );
    sent.on('timeout', () =>
      sent.destroy(Object.assign(new Error('timeout'), { code: 'timeout' })),
    );
    sent.on('error', (error) => tell({ cause: causeOf(error) }));
    sent.end(body);
  }

  /** Breaks off what is under way. */
  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function readAnswer(message: IncomingMessage, tell: (outcome: Outcome) => void): void {
  const { statusCode: status = 0, headers } = message;
  const kept: Buffer[] = [];
  let bytes = 0;
  message.on('data', (chunk: Buffer) => {
    if (status >= 400 && bytes < MAX_KEPT_BYTES) kept.push(chunk);
    bytes += chunk.length;
  });
  message.on('error', (error) => tell({ cause: causeOf(error) }));
  message.on('end', () => {
    const length = headers['content-length'];
    const isWhole = length === undefined || isBodiless(status) || Number(length) === bytes;
    tell({ status, etag: headers.etag, isWhole, text: Buffer.concat(kept).toString('utf8') });
  });
}

/** RFC 9110: a 304 may tell the length of what it does not send. */
function isBodiless(status: number): boolean {
  return status === 304 || status === 204;
}

function causeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
