/** Requests over a Unix socket, on connections that are kept, and readers that do not read. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { canonicalText } from '../../src/core/canonical.ts';
import type { Hash } from '../../src/core/hash.ts';
import type { DecodedPayload } from '../../src/core/payload.ts';
import type { TestSigner } from './signers.ts';

export class UnixClient {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async post(path: string, body: Uint8Array | string = ''): Promise<void> {
    await this.#ask('POST', path, body);
  }

  /** Answers the body. */
  get(path: string): Promise<string> {
    return this.#ask('GET', path, '');
  }

  /** Throws what the server answers when that is no success. */
  async #ask(method: string, path: string, body: Uint8Array | string): Promise<string> {
    const sent = request({
      socketPath: this.#path,
      agent: this.#agent,
      method,
      path,
      headers: {
        host: 'localhost',
        ...(body.length > 0 && { 'content-type': 'application/json' }),
        ...(method === 'POST' && { 'content-length': body.length }),
      },
    });
    sent.end(body);
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
    sent.once('error', reject);
    sent.once('response', (response) => {
      text(response).then(
        (told) => resolve({ status: response.statusCode ?? 0, body: told }),
        reject,
      );
    });
    const answer = await promise;
    assert.ok(answer.status < 300, `${path}: ${answer.status} ${answer.body}`);
    return answer.body;
  }

  /** Proposed and approved: what is left is the commit. */
  async prepare(proposal: DecodedPayload, by: readonly TestSigner[]): Promise<Hash> {
    await this.post('/registry/proposals', proposal.bytes);
    for (const signer of by)
      await this.post(
        `/registry/approvals/${proposal.payloadB3}`,
        canonicalText(signer.approve(proposal)),
      );
    return proposal.payloadB3;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Asks and then does not read: what comes stays where it is. */
export function stalledReader(socketPath: string, path: string): Socket {
  const socket = connect(socketPath);
  socket.pause();
  socket.on('error', () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}
