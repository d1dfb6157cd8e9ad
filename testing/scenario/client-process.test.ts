/** The client as a process of its own, over real sockets, with the portable verifier. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import { createClient } from '../../src/client/create.ts';
import { createPortableVerifier } from '../../src/core/verifier.ts';
import { openStage, type Stage } from '../support/client-server.ts';

let stage: Stage;
let server: Server;
let url: string;
let directory: string;

before(async () => {
  stage = await openStage();
  const listener = getRequestListener(stage.app.fetch, { overrideGlobalObjects: false });
  server = createServer((request, response) => void listener(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  url = `http://127.0.0.1:${address.port}`;
  directory = await mkdtemp(join(tmpdir(), 'quorate-client-'));
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(directory, { recursive: true });
});

interface Child {
  readonly process: ChildProcess;
  readonly lines: AsyncIterator<string>;
}

function follow(count: number): Child {
  const script = join(import.meta.dirname, '../support/client-child.ts');
  const file = join(directory, 'trust.json');
  const child = spawn(process.execPath, [script, url, stage.registryHash, file, `${count}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { process: child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
}

async function said({ lines }: Child, count: number): Promise<unknown[]> {
  const found: unknown[] = [];
  while (found.length < count) found.push((await lines.next()).value);
  return found;
}

test('a process that follows sees each version once over restarts and kills, and ends by itself', async () => {
  await stage.grow(2);
  const first = follow(3);
  assert.deepEqual(await said(first, 3), ['following', '1', '2']);
  await stage.grow(1);
  assert.deepEqual(await said(first, 2), ['3', 'ended']);
  assert.deepEqual(await once(first.process, 'exit'), [0, null]);

  await stage.grow(1);
  const second = follow(1_000);
  assert.deepEqual(await said(second, 2), ['following', '4']);
  await stage.grow(1);
  assert.deepEqual(await said(second, 1), ['5']);
  second.process.kill('SIGKILL');
  await once(second.process, 'exit');

  await stage.grow(1);
  const third = follow(1);
  assert.deepEqual(await said(third, 3), ['following', '6', 'ended']);
  assert.deepEqual(await once(third.process, 'exit'), [0, null]);
});

test('over sockets too, an abort ends the stream at the server', async () => {
  const left = new AbortController();
  const client = createClient({
    url,
    registry: stage.registryHash,
    verifier: createPortableVerifier(),
  });
  await client.head();
  const done = (async () => {
    for await (const _ of client.follow({ signal: left.signal })) assert.fail('expected no update');
  })();
  while (stage.registry.feed.subscribers === 0) await new Promise(setImmediate);
  left.abort();
  await done;
  while (stage.registry.feed.subscribers > 0) await new Promise(setImmediate);
});

test('a redirect is refused by the fetch of the platform too', async () => {
  let followed = 0;
  const redirecting = createServer((request, response) => {
    if (request.url === '/elsewhere') followed++;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  redirecting.listen(0, '127.0.0.1');
  await once(redirecting, 'listening');
  const address = redirecting.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    await assert.rejects(createClient({ url: `http://127.0.0.1:${address.port}` }).head(), {
      code: 'unexpected_answer',
      message: /got a redirect/,
    });
    assert.equal(followed, 0);
  } finally {
    redirecting.closeAllConnections();
    redirecting.close();
  }
});

test('nobody there is unavailable, after every attempt', async () => {
  const closed = createServer();
  closed.listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const address = closed.address();
  assert.ok(typeof address === 'object' && address !== null);
  closed.close();
  await once(closed, 'close');
  const client = createClient({ url: `http://127.0.0.1:${address.port}`, maxAttempts: 2 });
  await assert.rejects(client.head(), { code: 'unavailable', details: { attempts: 2 } });
});
