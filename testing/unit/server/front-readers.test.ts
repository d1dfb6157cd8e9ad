/** Readers that take their time, and a stop while they do: as on node:http, whoever wrote the answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ReadyReads } from '../../../src/http/ready-reads.ts';
import { newCorrId } from '../../../src/server/corr-id.ts';
import { readyListener } from '../../../src/server/front/ready-listener.ts';
import { HttpServer } from '../../../src/server/http-server.ts';
import { get } from '../../support/front-requests.ts';
import { DEFAULT_TIMEOUTS } from '../../support/server-listening.ts';
import { statuses, untilClosed } from '../../support/server-socket.ts';

/** Many times what a Unix socket holds. */
const BODY = new Uint8Array(3_000_000).fill(97);
const REQUEST = get('/large');

interface Side {
  readonly name: 'front' | 'node';
  readonly server: HttpServer;
  readonly reader: Socket;
}

/** One large answer, from the front and from node:http; each has a connection that has read nothing yet. */
async function bothSides(t: TestContext, timeouts = {}): Promise<readonly Side[]> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const response = { status: 200, headers: ['content-length', `${BODY.length}`], body: BODY };
  const readyReads: ReadyReads = {
    read: () => ({ response, corrId: newCorrId() }),
    stream: () => undefined,
  };
  const open = async (name: Side['name']): Promise<Side> => {
    const next = () => assert.fail('every answer is ready');
    const server = new HttpServer({
      timeouts: { ...DEFAULT_TIMEOUTS, ...timeouts },
      listener: readyListener({ readyReads, clientAddress: () => 'a', next }),
      ...(name === 'front' && { front: { readyReads, isProxy: () => false } }),
      onRefused: () => undefined,
      onError: (error) => assert.fail(error),
    });
    t.after(() => server.close(0));
    const { path } = await server.listen({ path: join(directory, name) });
    const reader = connect(path).pause();
    t.after(() => reader.destroy());
    await once(reader, 'connect');
    return { name, server, reader };
  };
  return [await open('front'), await open('node')];
}

/** Takes an answer to its end, in about `ms`; answers how much came. */
async function readSlowly(reader: Socket, ms: number): Promise<number> {
  const isGone = new Promise<void>((resolve) => reader.once('close', () => resolve()));
  let count = 0;
  while (count < BODY.length && !reader.destroyed) {
    const chunk: Buffer | null = reader.read();
    count += chunk?.length ?? 0;
    await Promise.race([delay((ms * (chunk?.length ?? 0)) / BODY.length + 1), isGone]);
  }
  return count;
}

test('who reads slowly but steadily gets the whole answer, and may ask again afterwards', async (t) => {
  const sides = await bothSides(t, { stalledMs: 1_500, keepAliveMs: 1_000 });
  await Promise.all(
    sides.map(async ({ name, reader }) => {
      reader.write(REQUEST);
      assert.ok((await readSlowly(reader, 5_000)) > BODY.length, name);
      const closed = untilClosed(reader);
      reader.resume().write(REQUEST);
      assert.deepEqual(statuses(await closed), [200], name);
    }),
  );
});

test('who reads nothing is closed in time', async (t) => {
  const sides = await bothSides(t, { stalledMs: 1_500 });
  await Promise.all(
    sides.map(async ({ name, reader }) => {
      reader.write(REQUEST);
      await delay(6_000);
      const text = await untilClosed(reader.resume());
      assert.ok(text.length < BODY.length, `${name}: ${text.length}`);
    }),
  );
});

test('a stop lets an answer end that its reader is still taking, also when a request comes after it', async (t) => {
  for (const { name, server, reader } of await bothSides(t)) {
    reader.write(REQUEST);
    await once(reader, 'readable');
    const stopped = server.close(30_000);
    reader.write(REQUEST);
    await delay(200);
    const text = await untilClosed(reader.resume());
    assert.ok(text.length > BODY.length, `${name}: ${text.length}`);
    await stopped;
  }
});

test('a request that has begun before a stop is answered, and ends its connection', async (t) => {
  for (const { name, server, reader } of await bothSides(t)) {
    reader.write(REQUEST);
    await readSlowly(reader, 0);
    reader.write(REQUEST.slice(0, -2));
    await delay(200);
    const closed = untilClosed(reader);
    const stopped = server.close(30_000);
    await delay(200);
    reader.resume().write(REQUEST.slice(-2));
    const [head = ''] = (await closed).split('\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/, name);
    assert.match(head, /^connection: close\r?$/im, name);
    await stopped;
  }
});
