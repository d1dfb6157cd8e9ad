/**
 * The 33 requests that h1spec sends (github.com/uNetworking/h1spec, `http_test.ts`), and what it expects
 * of a server that answers every method with the body it got. Named as there; the API is held to the same.
 */
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { test } from 'node:test';
import type { Address } from '../../../src/server/config-values.ts';
import { listening } from '../../support/server-listening.ts';
import { connected, exchange, statuses, untilClosed } from '../../support/server-socket.ts';
import { startTestServer } from '../../support/server-start.ts';

const HOST = 'Host: example.com\r\n';
const BEGUN = 'GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Cut off where they stand, these are the beginning of a good request: it is waited for. */
const WAITED: Readonly<Record<string, number>> = {
  'Fragmented method': BEGUN.indexOf('ET '),
  'Fragmented URL 1': BEGUN.indexOf('/hello'),
  'Fragmented URL 2': BEGUN.indexOf(' HTTP'),
  'Fragmented URL 3': BEGUN.indexOf('HTTP'),
  'Fragmented HTTP version': BEGUN.indexOf('/1.1'),
  'Fragmented request line': BEGUN.indexOf('\r\n'),
  'Fragmented request line newline 1': BEGUN.indexOf('\nHost'),
  'Fragmented request line newline 2': BEGUN.indexOf('Host'),
  'Fragmented field name': BEGUN.indexOf('t: '),
  'Fragmented field value 1': BEGUN.indexOf(' localhost'),
  'Fragmented field value 2': BEGUN.indexOf('localhost'),
  'Fragmented field value 3': BEGUN.indexOf('\r\n\r\n'),
  'Fragmented field value 4': BEGUN.indexOf('\n\r\n'),
  'Fragmented request': BEGUN.indexOf('\r\n\r\n') + 2,
  'Fragmented request termination': BEGUN.length - 1,
};

const REFUSED: Readonly<Record<string, string>> = {
  'Request without HTTP version': 'GET / \r\n\r\n',
  'Invalid header characters': `GET / HTTP/1.1\r\n${HOST}X-Invalid[]: test\r\n\r\n`,
  'Missing Host header': 'GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n',
  'Multiple Host headers': `GET / HTTP/1.1\r\n${HOST}Host: example.org\r\n\r\n`,
  'Overflowing negative Content-Length header': `GET / HTTP/1.1\r\n${HOST}Content-Length: -${'123456789'.repeat(3)}\r\n\r\n`,
  'Negative Content-Length header': `GET / HTTP/1.1\r\n${HOST}Content-Length: -1234\r\n\r\n`,
  'Non-numeric Content-Length header': `GET / HTTP/1.1\r\n${HOST}Content-Length: abc\r\n\r\n`,
  'Header containing invalid control character': `GET / HTTP/1.1\r\n${HOST}X-Bad-Control-Char: test\x07\r\n\r\n`,
  'Invalid HTTP version': `GET / HTTP/9.9\r\n${HOST}\r\n`,
  'Invalid prefix of request': `Extra lineGET / HTTP/1.1\r\n${HOST}\r\n`,
  'Invalid line ending': `GET / HTTP/1.1\r\n${HOST}\rSome-Header: Test\r\n\r\n`,
  'Conflicting Transfer-Encoding and Content-Length in varying case': `POST / HTTP/1.1\r\n${HOST}content-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n`,
};

const ANSWERED: Readonly<Record<string, string>> = {
  'Request with Expect header': `GET / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\n\r\n`,
  'Valid GET request': `GET / HTTP/1.1\r\n${HOST}\r\n`,
  'Valid GET request with edge cases': 'GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n',
  'Empty header value': `GET / HTTP/1.1\r\n${HOST}X-Empty-Header: \r\n\r\n`,
  'Valid POST request with body': `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
  'Chunked Transfer-Encoding': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n`,
};

const echo: RequestListener = (request, response) => {
  request.pipe(response);
};

test('they are 33', () => {
  assert.equal([WAITED, REFUSED, ANSWERED].flatMap((cases) => Object.keys(cases)).length, 33);
});

/** The final status of each request, in order. */
async function statusesOf(address: Address, requests: readonly string[]): Promise<number[]> {
  const answers = requests.map(async (text) => {
    const socket = await connected(address);
    socket.end(text);
    return statuses(await untilClosed(socket)).at(-1) ?? 0;
  });
  return Promise.all(answers);
}

/** That the answer comes after the rest, and not before: what is sent in between is read in between. */
async function completed(address: Address, text: string, cuts: readonly number[]) {
  const sockets = await Promise.all(cuts.map(() => connected(address)));
  const answers = sockets.map(untilClosed);
  for (const [i, socket] of sockets.entries()) socket.setNoDelay().write(text.slice(0, cuts[i]));
  await exchange(address, text.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.deepEqual(
    sockets.map(({ bytesRead, closed }) => [bytesRead, closed]),
    cuts.map(() => [0, false]),
    'each waits',
  );
  for (const [i, socket] of sockets.entries()) socket.end(text.slice(cuts[i]));
  return (await Promise.all(answers)).map(statuses);
}

test('what h1spec sends to a server is waited for, refused or answered as it expects: 33 of 33', async (t) => {
  const { address, refused } = await listening(t, echo);
  const waited = await completed(address, BEGUN, Object.values(WAITED));
  assert.deepEqual(
    waited,
    Object.keys(WAITED).map(() => [200]),
  );
  assert.deepEqual(refused, []);
  const refusals = await statusesOf(address, Object.values(REFUSED));
  assert.deepEqual(
    refusals,
    Object.keys(REFUSED).map(() => 400),
  );
  assert.equal(refused.length, 12);
  const answers = await statusesOf(address, Object.values(ANSWERED));
  assert.deepEqual(
    answers,
    Object.keys(ANSWERED).map(() => 200),
  );
});

test('the API treats them alike', async (t) => {
  const { address } = await startTestServer(t);
  const toVersion = (text: string) => text.replace(/ \/(hello)? /, ' /version ');
  const begun = toVersion(BEGUN);
  const cuts = Object.values(WAITED).map((cut) => Math.min(cut, begun.length - 1));
  assert.deepEqual(
    await completed(address, begun, cuts),
    cuts.map(() => [200]),
  );
  const refusals = await statusesOf(address, Object.values(REFUSED).map(toVersion));
  assert.deepEqual(
    refusals,
    Object.keys(REFUSED).map(() => 400),
  );
  const answers = await statusesOf(address, Object.values(ANSWERED).map(toVersion));
  assert.deepEqual(answers, [200, 200, 200, 200, 405, 405]);
});
