/** One response for many sockets: the bytes that each of them gets, also those that wait for a slow reader. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReadyResponse } from '../../../src/http/ready-reads.ts';
import { newCorrId } from '../../../src/server/corr-id.ts';
import { Wire } from '../../../src/server/front/wire.ts';
import { untilClosed } from '../../support/server-socket.ts';

const NOT_MODIFIED: ReadyResponse = { status: 304, headers: ['etag', '"b3:00"'], body: null };

/** Both ends of a Unix socket, which holds little. */
async function pair(t: TestContext): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-'));
  const server = createServer();
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  await new Promise<void>((resolve) => server.listen(join(directory, 's'), resolve));
  const far = connect(join(directory, 's'));
  const [near = assert.fail('no connection')]: Socket[] = await once(server, 'connection');
  t.after(() => {
    for (const end of [near, far]) end.destroy();
  });
  return { near, far };
}

function idsIn(text: string): readonly (string | undefined)[] {
  return [...text.matchAll(/^x-corr-id: (\S+)\r$/gm)].map(([, id]) => id);
}

test('every reader gets its own ids, also those whose bytes wait while another is answered', async (t) => {
  const wire = new Wire(65_000);
  const write = (socket: Socket, corrId = newCorrId()): string => {
    wire.write(socket, { response: NOT_MODIFIED, corrId });
    return corrId;
  };
  let waited = 0;
  for (let round = 0; round < 20; round++) {
    const slow = await pair(t);
    const quick = await pair(t);
    const sent: string[] = [];
    while (slow.near.writableLength === 0) sent.push(write(slow.near));
    waited += slow.near.writableLength;
    const others = [write(quick.near), write(quick.near, 'an-id-of-the-client'), write(quick.near)];
    const heard = [untilClosed(slow.far), untilClosed(quick.far)];
    slow.near.end();
    quick.near.end();
    const [bySlow = '', byQuick = ''] = await Promise.all(heard);
    assert.deepEqual(idsIn(bySlow), sent);
    assert.deepEqual(idsIn(byQuick), others);
  }
  assert.ok(waited > 0);
});

test('an answer is written with the time that was told last', async (t) => {
  const wire = new Wire(65_000);
  const { near, far } = await pair(t);
  const heard = untilClosed(far);
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 21, 9) });
  for (let i = 0; i < 2; i++) {
    wire.tellTime();
    wire.write(near, { response: NOT_MODIFIED, corrId: newCorrId() });
    t.mock.timers.tick(1_000);
  }
  near.end();
  const dates = [...(await heard).matchAll(/^Date: (.*)\r$/gm)].map(([, date]) => date);
  assert.deepEqual(dates, ['Sat, 21 Nov 2026 09:00:00 GMT', 'Sat, 21 Nov 2026 09:00:01 GMT']);
});

test('every byte of a body arrives as it is', async (t) => {
  const wire = new Wire(65_000);
  const { near, far } = await pair(t);
  const heard = untilClosed(far);
  const body = Uint8Array.from({ length: 300_000 }, (_, i) => i % 256);
  for (const corrId of [newCorrId(), 'mine'])
    wire.write(near, { response: { status: 200, headers: [], body }, corrId });
  near.end();
  const bodies = (await heard).split(/HTTP\/1\.1 200 OK\r\n.*?\r\n\r\n/s).slice(1);
  const expected = Buffer.from(body).toString('latin1');
  assert.deepEqual(
    bodies.map((text) => text === expected),
    [true, true],
  );
});

test('answers of every length arrive whole, one after the other', async (t) => {
  const wire = new Wire(65_000);
  const { near, far } = await pair(t);
  const heard = untilClosed(far);
  const lengths = [0, 1, 16_383, 16_384, 16_385, 70_000, 16_385, 16_384, 1];
  for (const length of lengths)
    for (const corrId of [newCorrId(), 'mine']) {
      const body = new Uint8Array(length).fill(97);
      wire.write(near, { response: { status: 200, headers: [], body }, corrId });
    }
  near.end();
  const bodies = (await heard).split(/HTTP\/1\.1 200 OK\r\n.*?\r\n\r\n/s).slice(1);
  assert.deepEqual(
    bodies.map(({ length }) => length),
    lengths.flatMap((length) => [length, length]),
  );
});

test('readers that leave a large answer lying share its bytes', async (t) => {
  const wire = new Wire(65_000);
  const [readers, bytes] = [40, 1024 * 1024];
  const response = { status: 200, headers: [], body: new Uint8Array(bytes).fill(97) };
  const pairs = await Promise.all(Array.from({ length: 2 * readers }, () => pair(t)));
  const [before, heard] = [process.memoryUsage().arrayBuffers, [] as Promise<string>[]];
  for (const [i, { near, far }] of pairs.entries()) {
    far.pause();
    wire.write(near, { response, corrId: i % 2 === 0 ? newCorrId() : 'an-id-of-the-client' });
  }
  const waiting = pairs.reduce((sum, { near }) => sum + near.writableLength, 0);
  assert.ok(waiting > readers * bytes, `${waiting} bytes wait`);
  const held = process.memoryUsage().arrayBuffers - before;
  assert.ok(held < 4 * bytes, `${held} bytes are held for ${waiting} that wait`);
  for (const { near, far } of pairs.slice(0, 2)) {
    heard.push(untilClosed(far.resume()));
    near.end();
  }
  for (const text of await Promise.all(heard)) assert.ok(text.endsWith('a'.repeat(bytes)));
});
