/** A listener whose translation to web requests is loaded by the first request. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type TestContext, test } from 'node:test';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { alreadySent, fetchListener } from '../../../src/server/listen/fetch-listener.ts';

async function listening(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

const malformed = () => new Response('malformed', { status: 400 });

test('requests that come before the translation is there are all answered, with their bodies', async (t) => {
  const echo = fetchListener(async (request) => new Response(await request.text()), malformed);
  const url = await listening(t, echo);
  const bodies = ['one', 'two', 'three'];
  const answers = bodies.map(async (body) =>
    (await fetch(url, { method: 'POST', body, headers: { connection: 'close' } })).text(),
  );
  assert.deepEqual(await Promise.all(answers), bodies);
});

test('a request whose connection has gone by then is not handed on', async (t) => {
  const asked: string[] = [];
  const listener = fetchListener(({ url }) => {
    asked.push(new URL(url).pathname);
    return new Response('here', { headers: { connection: 'close' } });
  }, malformed);
  const url = await listening(t, (request, response) => {
    if (request.url === '/gone') response.destroy();
    listener(request, response);
  });
  await assert.rejects(fetch(`${url}/gone`));
  assert.equal(await (await fetch(`${url}/here`)).text(), 'here');
  assert.deepEqual(asked, ['/here']);
});

test('an answer that was sent is told as the package that translates tells it', () => {
  assert.deepEqual([...alreadySent().headers], [...RESPONSE_ALREADY_SENT.headers]);
});
