/** Requests over a few kept-alive connections, as thin as node:http allows: what this costs is in every latency. */
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';

export class Poster implements Disposable {
  readonly #agent: Agent;
  readonly #url: string;

  constructor(url: string, connections: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.#url = url;
  }

  /** Rejects unless the answer is a 2xx. */
  post(
    path: string,
    body: Uint8Array = new Uint8Array(),
    more: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const length = { 'content-type': 'application/json', 'content-length': body.length };
    return this.#send('POST', path, { body, headers: { ...length, ...more } });
  }

  get(path: string): Promise<void> {
    return this.#send('GET', path, { body: undefined, headers: {} });
  }

  #send(
    method: string,
    path: string,
    { body, headers }: { body: Uint8Array | undefined; headers: OutgoingHttpHeaders },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const sent = request(this.#url + path, { agent: this.#agent, method, headers }, (answer) => {
        const { statusCode = 0 } = answer;
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          if (statusCode >= 300) text += chunk;
        });
        answer.on('error', reject).on('end', () => {
          if (statusCode >= 200 && statusCode < 300) resolve();
          else reject(new Error(`expected ${path} to be taken, got ${statusCode}: ${text}`));
        });
      });
      sent.on('error', reject).end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** How long it took, in microseconds. */
export async function usOf(request: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await request();
  return (performance.now() - began) * 1_000;
}
