/** A bare node:http server on loopback, which says what it is told to; gone when the test ends. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { TestContext } from 'node:test';

/** Answers its origin. What it is sent is read, and left alone. */
export async function openPlainServer(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('expected a port, got none');
  return `http://127.0.0.1:${address.port}`;
}
