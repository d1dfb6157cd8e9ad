import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { HttpServer } from '../../../src/server/http-server.ts';
import {
  assertCutInTime,
  DEFAULT_TIMEOUTS,
  hello,
  listening,
  SLOW,
} from '../../support/server-listening.ts';
import { connected, exchange, statuses, untilClosed } from '../../support/server-socket.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n';

test('a peer keeps its address when it has gone: having none means a Unix socket, and so this machine', async (t) => {
  const gone = Promise.withResolvers<string | undefined>();
  const { address } = await listening(t, ({ socket }) => {
    socket.once('close', () => gone.resolve(socket.remoteAddress)).resetAndDestroy();
  });
  await exchange(address, `${GET}\r\n`);
  assert.equal(await gone.promise, '127.0.0.1');
});

test('a request that has one reading is answered', async (t) => {
  const { address, refused } = await listening(t);
  const answer = await exchange(address, `${GET}Connection: close\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 200 .*hello \/$/s);
  assert.deepEqual(refused, []);
});

const AMBIGUOUS: Readonly<Record<string, string>> = {
  'two host headers': `${GET}Host: b\r\n\r\n`,
  'the same host header twice': `${GET}host: a\r\n\r\n`,
  'no host header': 'GET / HTTP/1.1\r\n\r\n',
  'a target in absolute form': 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
  'a target that is *': 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  'a connect request': 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'another transfer coding before chunked': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`,
  'transfer-encoding twice': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'transfer-encoding in http/1.0':
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a length beside chunked':
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'another transfer coding than chunked': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'a get with a body': `${GET}Content-Length: 1\r\n\r\nx`,
  'a head with a body': 'HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx',
  'a get with a chunked body': `${GET}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'two lengths': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx',
  'a bare line feed': 'GET / HTTP/1.1\nHost: a\n\n',
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
};

for (const [name, text] of Object.entries(AMBIGUOUS))
  test(`${name} is refused before the application, and the connection is closed`, async (t) => {
    let calls = 0;
    const { address } = await listening(t, (request, response) => {
      calls++;
      hello(request, response);
    });
    const answer = await exchange(address, `${text}${GET}\r\n`);
    assert.deepEqual([statuses(answer), calls], [[400], 0]);
  });

test('a refusal is a problem document with a correlation id, and is reported', async (t) => {
  const { address, refused } = await listening(t);
  const [head = '', body = ''] = (await exchange(address, `${GET}Host: b\r\n\r\n`)).split(
    '\r\n\r\n',
  );
  assert.match(head, /\r\ncontent-type: application\/problem\+json\r\n/);
  assert.match(head, /\r\ncache-control: no-store\r\n/);
  const problem = JSON.parse(body) as Record<string, unknown>;
  assert.match(head, new RegExp(`\r\nx-corr-id: ${String(problem.corr_id)}\r\n`));
  const { code, status, detail, type } = problem;
  assert.deepEqual(
    { code, status, detail, type },
    {
      code: 'invalid_request',
      status: 400,
      detail: 'expected one host header, got 2',
      type: 'urn:quorate:problem:invalid_request',
    },
  );
  assert.deepEqual(refused, [{ status: 400, detail: 'expected one host header, got 2' }]);
});

/** Node counts names, values and the target; ends at the last line. */
const NAMES_AND_REST = '/HostaX'.length;
const ACCEPTED_BYTES = 16 * 1024 - 1;
const LAST = 'Connection: close\r\n\r\n';

test('headers up to 16 KiB are read, and one byte more is refused with 431', async (t) => {
  const { address } = await listening(t);
  const room = ACCEPTED_BYTES - NAMES_AND_REST;
  const ofSize = (bytes: number) => `${GET}X: ${'x'.repeat(bytes)}\r\n\r\n`;
  const socket = await connected(address);
  socket.end(ofSize(room));
  assert.deepEqual(statuses(await untilClosed(socket)), [200]);
  assert.deepEqual(statuses(await exchange(address, ofSize(room + 1))), [431]);
});

test('a target counts as a header: past 16 KiB it is refused with 431', async (t) => {
  const { address } = await listening(t);
  const ofSize = (bytes: number) => `GET /${'x'.repeat(bytes)} HTTP/1.1\r\nHost: a\r\n`;
  const room = ACCEPTED_BYTES - '/HostaConnectionclose'.length;
  assert.deepEqual(statuses(await exchange(address, ofSize(room) + LAST)), [200]);
  assert.deepEqual(statuses(await exchange(address, ofSize(room + 1) + LAST)), [431]);
});

test('a hundred headers are read, one more is refused with 431, and so are as many as fit', async (t) => {
  const { address, refused } = await listening(t, (request, response) =>
    response.end(`${Object.keys(request.headers).length}`),
  );
  const withLines = (count: number) =>
    `${GET}${Array.from({ length: count - 2 }, (_, i) => `x${i}:\r\n`).join('')}${LAST}`;
  assert.match(await exchange(address, withLines(100)), /^HTTP\/1\.1 200 .*\r\n100$/s);
  assert.deepEqual(statuses(await exchange(address, withLines(101))), [431]);
  assert.deepEqual(refused, [{ status: 431, detail: 'expected at most 100 headers, got 101' }]);
  // Node itself drops what is past 2,000 without a word.
  const tiny = `${GET}${'a:\r\n'.repeat(10_000)}${LAST}`;
  assert.deepEqual(statuses(await exchange(address, tiny)), [431]);
});

test('a get that says that it has no body has none', async (t) => {
  const { address } = await listening(t);
  const answer = await exchange(address, `${GET}Content-Length: 0\r\nConnection: close\r\n\r\n`);
  assert.deepEqual(statuses(answer), [200]);
});

test('an expectation that nobody can meet is refused, and what follows is not read', async (t) => {
  let calls = 0;
  const { address, refused } = await listening(t, () => calls++);
  const request =
    'POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nExpect: x\r\nContent-Length: 3\r\n\r\nabc';
  assert.deepEqual(statuses(await exchange(address, `${request}${GET}\r\n`)), [417]);
  assert.deepEqual([refused.length, calls], [1, 0]);
});

test('an offer to upgrade is an ordinary request', async (t) => {
  const { address } = await listening(t);
  const offer = `${GET}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: close, Upgrade\r\n\r\n`;
  assert.deepEqual(statuses(await exchange(address, offer)), [200]);
});

/** `count` requests for `/0`, `/1` ..., the last of which closes the connection. */
function pipelined(count: number): string {
  const requests = Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n`);
  return `${requests.join('\r\n')}Connection: close\r\n\r\n`;
}

test('sixteen pipelined requests are answered in their order, and never two at once', async (t) => {
  let working = 0;
  const { address, refused } = await listening(t, ({ url }, response) => {
    assert.equal(++working, 1, 'one at a time');
    setImmediate(() => {
      working--;
      response.end(`<${url}>`);
    });
  });
  const answer = await exchange(address, pipelined(16));
  const paths = [...answer.matchAll(/<\/(\d+)>/g)].map(([, path]) => Number(path));
  assert.deepEqual([paths, refused], [Array.from({ length: 16 }, (_, i) => i), []]);
});

test('a seventeenth request at once cuts the connection, and none after it is looked at', async (t) => {
  const asked: unknown[] = [];
  const { address, refused } = await listening(t, ({ url }) => asked.push(url));
  const answer = await exchange(address, pipelined(17) + pipelined(5000));
  assert.deepEqual([answer, asked], ['', ['/0']]);
  const detail = 'expected at most 16 requests at once on a connection, got more';
  assert.deepEqual(refused, [{ status: 400, detail }]);
});

test('who asks again and again, each time after the answer, is never cut', async (t) => {
  const { address } = await listening(t);
  const socket = await connected(address);
  for (let i = 0; i < 50; i++) {
    socket.write(`${GET}\r\n`);
    const [answer] = await once(socket, 'data');
    assert.deepEqual(statuses(String(answer)), [200]);
  }
  socket.destroy();
});

test('a stop in the midst of pipelined requests ends with the answer that is under way', async (t) => {
  const asked: ServerResponse[] = [];
  const begun = Promise.withResolvers<void>();
  const { server, address } = await listening(t, (_, response) => {
    asked.push(response);
    begun.resolve();
  });
  const answer = exchange(address, pipelined(3));
  await begun.promise;
  const closed = server.close(10_000);
  asked[0]?.end('finished');
  assert.deepEqual(statuses(await answer), [200]);
  await closed;
  assert.equal(asked.length, 1);
});

test('an answer whose reader does not read is cut after a time, and the reader who reads gets all', async (t) => {
  const body = Buffer.alloc(32 * 1024 * 1024);
  const closed = Promise.withResolvers<boolean>();
  const { address } = await listening(
    t,
    (request, response) => {
      response.end(body);
      if (request.url === '/unread')
        response.once('close', () => closed.resolve(response.writableFinished));
    },
    { ...DEFAULT_TIMEOUTS, stalledMs: 300 },
  );
  const unread = await connected(address);
  unread.pause().write('GET /unread HTTP/1.1\r\nHost: a\r\n\r\n');
  const read = await exchange(address, `${GET}Connection: close\r\n\r\n`);
  assert.ok(read.length > body.length);
  assert.equal(await closed.promise, false);
  unread.destroy();
});

test('garbage behind a request never lands in the middle of its answer', async (t) => {
  const begun = Promise.withResolvers<void>();
  const { address, refused } = await listening(t, (_, response) => {
    response.write('first half');
    begun.resolve();
  });
  const socket = await connected(address);
  socket.write(`${GET}\r\n`);
  const answer = untilClosed(socket);
  await begun.promise;
  socket.write('garbage\r\n\r\n');
  assert.deepEqual(statuses(await answer), [200]);
  assert.equal(refused.length, 1);
});

test('garbage behind a request that is being worked on is no answer to it', async (t) => {
  const begun = Promise.withResolvers<void>();
  const { address, refused } = await listening(t, () => begun.resolve());
  const socket = await connected(address);
  socket.write(`${GET}\r\n`);
  const answer = untilClosed(socket);
  await begun.promise;
  socket.write(`${GET}Host: b\r\n\r\n`);
  assert.equal(await answer, '');
  assert.equal(refused.length, 1);
});

test('a connection that is reset in the middle of a request is no refusal', async (t) => {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const { address, refused } = await listening(t, (request) => {
    begun.resolve();
    request.once('close', ended.resolve);
  });
  const socket = await connected(address);
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfive.');
  await begun.promise;
  socket.resetAndDestroy();
  await ended.promise;
  assert.deepEqual(refused, []);
});

test('an http/1.0 client, as a load balancer may be, needs no host header', async (t) => {
  const { address } = await listening(t);
  assert.deepEqual(statuses(await exchange(address, 'GET / HTTP/1.0\r\n\r\n')), [200]);
});

test('a client that half-closes after its request still gets the answer', async (t) => {
  const { address } = await listening(t, (_, response) => setImmediate(() => response.end('late')));
  const socket = await connected(address);
  socket.end(`${GET}\r\n`);
  assert.match(await untilClosed(socket), /late$/);
});

test('a port that is taken is named, with what to do', async (t) => {
  const { address } = await listening(t);
  const second = new HttpServer({
    timeouts: { headersMs: 1, requestMs: 1, keepAliveMs: 1 },
    listener: hello,
    onRefused: () => undefined,
    onError: () => undefined,
  });
  await assert.rejects(second.listen(address), {
    code: 'invalid_request',
    message: `expected to listen on 127.0.0.1:${address.port}, got EADDRINUSE: another process listens there: stop it, or choose another address`,
  });
});

test('closing lets an answer finish, takes no new connection, and ends idle ones', async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  const { server, address } = await listening(t, (_, response) => asked.resolve(response));
  const idle = untilClosed(await connected(address));
  const busy = await connected(address);
  busy.write(`${GET}\r\n`);
  const answer = untilClosed(busy);
  const response = await asked.promise;
  const closed = server.close(10_000);
  assert.equal(await idle, '');
  await assert.rejects(connected(address), { code: 'ECONNREFUSED' });
  response.end('finished');
  assert.match(await answer, /finished$/);
  await closed;
});

test('closing cuts what has not ended by the deadline', async (t) => {
  const asked = Promise.withResolvers<void>();
  const { server, address } = await listening(t, () => asked.resolve());
  const socket = await connected(address);
  socket.write(`${GET}\r\n`);
  await asked.promise;
  const [answer] = await Promise.all([untilClosed(socket), server.close(20)]);
  assert.equal(answer, '');
});

for (const [what, text] of Object.entries(SLOW))
  test(`a client that sends ${what} and then drips is answered 408 in time`, (t) =>
    assertCutInTime(t, text, { headersMs: 100, requestMs: 200 }));

test('a stream whose reader has closed is over soon, though it was only half-closed', async (t) => {
  const closed = Promise.withResolvers<void>();
  const { address } = await listening(t, (_, response) => {
    response.write('stream');
    response.once('close', () => closed.resolve());
  });
  const socket = await connected(address);
  socket.write(`${GET}\r\n`);
  await once(socket, 'data');
  socket.destroy();
  await closed.promise;
});

test('an answer that is long in the making is waited for, and an idle connection is closed', async (t) => {
  const timeouts = { ...DEFAULT_TIMEOUTS, keepAliveMs: 1, stalledMs: 50 };
  const { address } = await listening(
    t,
    (_, response) => setTimeout(() => response.end('late'), 300),
    timeouts,
  );
  const socket = await connected(address);
  socket.write(`${GET}\r\n`);
  assert.match(await untilClosed(socket), /late$/);
});
