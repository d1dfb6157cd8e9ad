/** Ready responses as the bytes that node:http would write for them. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ReadAnswer, ReadyResponse } from '../../http/ready-reads.ts';
import { CORR_ID_LENGTH } from '../corr-id.ts';

/** A reader that leaves a joined answer lying keeps a copy of it; a longer body is written apart, the same for all. */
const MAX_JOINED_BYTES = 16 * 1024;

/** One response as bytes. What a socket still has to send is never touched again. */
interface WrittenResponse {
  write(socket: Socket, corrId: string, suffix: string): void;
}

export class Wire {
  readonly #keepAliveSeconds: number;
  readonly #written = new WeakMap<ReadyResponse, WrittenResponse>();
  /** From the end of the correlation id to the body. */
  #suffix = '';

  constructor(keepAliveMs: number) {
    this.#keepAliveSeconds = Math.floor(keepAliveMs / 1000);
    this.tellTime();
  }

  /** To be called more than once a second: answers say what time it was then. */
  tellTime(): void {
    const date = new Date().toUTCString();
    this.#suffix = `\r\nDate: ${date}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${this.#keepAliveSeconds}\r\n\r\n`;
  }

  /** The head of an answer whose body follows in chunks. */
  writeHead(socket: Socket, { response, corrId }: ReadAnswer): void {
    const suffix = this.#suffix.replace(/\r\n$/, 'Transfer-Encoding: chunked\r\n\r\n');
    socket.write(prefixOf(response) + corrId + suffix, 'latin1');
  }

  write(socket: Socket, { response, corrId }: ReadAnswer): void {
    let written = this.#written.get(response);
    if (written === undefined) {
      written = writtenResponse(response, this.#suffix.length);
      this.#written.set(response, written);
    }
    written.write(socket, corrId, this.#suffix);
  }
}

function writtenResponse(response: ReadyResponse, suffixLength: number): WrittenResponse {
  const { body } = response;
  return body === null || body.length <= MAX_JOINED_BYTES
    ? new JoinedResponse(response, suffixLength)
    : new ApartResponse(response, body);
}

/** The body is nobody's copy, and goes with the head in one write. */
class ApartResponse implements WrittenResponse {
  readonly #prefix: string;
  readonly #body: Uint8Array;

  constructor(response: ReadyResponse, body: Uint8Array) {
    this.#prefix = prefixOf(response);
    this.#body = body;
  }

  write(socket: Socket, corrId: string, suffix: string): void {
    socket.cork();
    socket.write(this.#prefix + corrId + suffix, 'latin1');
    socket.write(this.#body);
    socket.uncork();
  }
}

/** Head and body in one buffer, of which only the correlation id and the date are written anew. */
class JoinedResponse implements WrittenResponse {
  readonly #prefix: string;
  readonly #body: Uint8Array;
  readonly #suffixAt: number;
  #bytes: Buffer;
  #suffix = '';

  constructor(response: ReadyResponse, suffixLength: number) {
    this.#prefix = prefixOf(response);
    this.#body = response.body ?? new Uint8Array();
    this.#suffixAt = this.#prefix.length + CORR_ID_LENGTH;
    this.#bytes = Buffer.alloc(this.#suffixAt + suffixLength + this.#body.length);
    this.#bytes.write(this.#prefix, 0, 'latin1');
    this.#bytes.set(this.#body, this.#suffixAt + suffixLength);
  }

  write(socket: Socket, corrId: string, suffix: string): void {
    if (corrId.length !== CORR_ID_LENGTH) {
      socket.write(
        Buffer.concat([Buffer.from(this.#prefix + corrId + suffix, 'latin1'), this.#body]),
      );
      return;
    }
    const bytes = this.#bytes;
    bytes.write(corrId, this.#prefix.length, 'latin1');
    if (suffix !== this.#suffix) {
      bytes.write(suffix, this.#suffixAt, 'latin1');
      this.#suffix = suffix;
    }
    socket.write(bytes);
    if (socket.writableLength > 0) this.#bytes = Buffer.from(bytes);
  }
}

function prefixOf({ status, headers }: ReadyResponse): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}x-corr-id: `;
}
