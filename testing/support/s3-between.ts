/** Stands between a client of S3 and its server and passes all on as it is, save what a test has it do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';

export type Fault =
  /** Not passed on: answered with this status and text. */
  | { readonly status: number; readonly text: string }
  /** Passed on; of the answer's body so many bytes come, and then the connection ends, or falls silent. */
  | { readonly bytes: number; readonly end: 'cut' | 'silence' }
  /** Passed on and done, and the connection ends before the answer. */
  | 'answer lost'
  /** Passed on with the first byte of its body changed. */
  | 'body changed';

/** `METHOD TARGET`. */
export function lineOf({ method, url }: IncomingMessage): string {
  return `${method} ${url}`;
}

/** As S3 says no. */
export function refusal(status: number, code: string): Fault {
  return { status, text: `<Error><Code>${code}</Code><Message>by a test</Message></Error>` };
}

export interface Between extends AsyncDisposable {
  readonly url: string;
  /** All so far. */
  readonly requests: readonly IncomingMessage[];
  /** Asked for each request, which waits for the answer. */
  fault: (request: IncomingMessage) => Fault | undefined | Promise<Fault | undefined>;
  /** How many there were. */
  readonly faults: number;
}

export async function standBetween(upstream: string): Promise<Between> {
  const requests: IncomingMessage[] = [];
  const counts = { faults: 0 };
  const server = createServer(async (incoming, outgoing) => {
    requests.push(incoming);
    const fault = await between.fault(incoming);
    if (fault !== undefined) counts.faults++;
    // Either side may go away, which is what some tests are about.
    pass(upstream, incoming, outgoing, fault).catch(() => outgoing.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const between: Between = {
    url: urlOf(server),
    requests,
    fault: () => undefined,
    get faults() {
      return counts.faults;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return between;
}

function urlOf(server: Server): string {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

async function pass(
  upstream: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  if (typeof fault === 'object' && 'status' in fault) {
    incoming.resume();
    await once(incoming, 'end');
    outgoing.writeHead(fault.status, { 'content-type': 'application/xml' });
    outgoing.end(incoming.method === 'HEAD' ? '' : fault.text);
    return;
  }
  const answer = await ask(upstream, incoming, fault === 'body changed');
  if (fault === 'answer lost') {
    answer.resume();
    await once(answer, 'end');
    outgoing.destroy();
    return;
  }
  outgoing.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
  let left = typeof fault === 'object' ? fault.bytes : Number.POSITIVE_INFINITY;
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    const piece = chunk.subarray(0, left);
    left -= piece.length;
    // Until it is out: what is destroyed before is never sent.
    await new Promise((resolve) => outgoing.write(piece, resolve));
    if (left === 0) break;
  }
  if (left > 0) outgoing.end();
  else if (typeof fault === 'object' && 'end' in fault && fault.end === 'cut') outgoing.destroy();
}

async function ask(
  upstream: string,
  incoming: IncomingMessage,
  isChanged: boolean,
): Promise<IncomingMessage> {
  const { hostname, port } = new URL(upstream);
  const { method, url: path, headers } = incoming;
  const sent = request({ hostname, port, method, path, headers, agent: false });
  const answered = once(sent, 'response');
  answered.catch(() => undefined);
  // Swift sends a body after the head of an answer to HEAD, which no parser takes.
  sent.on('error', () => undefined);
  let isFirst = isChanged;
  for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
    if (isFirst) chunk[0] = (chunk[0] ?? 0) ^ 1;
    isFirst = false;
    if (!sent.write(chunk)) await once(sent, 'drain');
  }
  sent.end();
  const [answer] = await answered;
  return answer;
}
