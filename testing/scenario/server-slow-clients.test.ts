/**
 * Clients that take their time, against a whole server with its default settings. Real time, for that is
 * what is promised: all of them at once, so the file takes as long as the slowest, 12 seconds.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Address } from '../../src/server/config-values.ts';
import { openCertificates } from '../support/server-certificates.ts';
import { connected, statuses, untilClosed } from '../support/server-socket.ts';
import { startTestServer } from '../support/server-start.ts';

const HEADERS_SECONDS = 7;
const BODY_SECONDS = 12;
const DRIP_MS = 250;

const HOST = 'Host: localhost\r\n';
const POST = `POST /registry/proposals HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;
const GET = `GET /version HTTP/1.1\r\n${HOST}`;

interface Slow {
  /** Sent at once. */
  readonly first: string;
  /** Sent again and again afterwards. */
  readonly drip: string;
  /** Status codes until the end. */
  readonly answers: readonly number[];
  readonly withinSeconds: number;
}

const HEADERS = { answers: [408], withinSeconds: HEADERS_SECONDS };
const BODY = { answers: [408], withinSeconds: BODY_SECONDS };

const SLOW: Readonly<Record<string, Slow>> = {
  'nothing at all': { ...HEADERS, first: '', drip: '' },
  'a target, a byte at a time': { ...HEADERS, first: 'GET /', drip: 'x' },
  'a header, a byte at a time': { ...HEADERS, first: `${GET}X: `, drip: 'x' },
  'one header after another': { ...HEADERS, first: GET, drip: 'a:\r\n' },
  'half a header and then nothing': { ...HEADERS, first: `${GET}X`, drip: '' },
  'a second request, a byte at a time': {
    first: `${GET}\r\n${GET}X: `,
    drip: 'x',
    answers: [200, 408],
    withinSeconds: HEADERS_SECONDS,
  },
  'a body with its length told': {
    ...BODY,
    first: `${POST}Content-Length: 1000\r\n\r\n`,
    drip: ' ',
  },
  'a body in one chunk': {
    ...BODY,
    first: `${POST}Transfer-Encoding: chunked\r\n\r\nffff\r\n`,
    drip: ' ',
  },
  'a body of many chunks': {
    ...BODY,
    first: `${POST}Transfer-Encoding: chunked\r\n\r\n`,
    drip: '1\r\n \r\n',
  },
  'trailers without an end': {
    ...BODY,
    first: `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\nX: `,
    drip: 'x',
  },
  'no body that was promised': { ...BODY, first: `${POST}Content-Length: 9\r\n\r\n`, drip: '' },
};

/** Everything that came, and after how many seconds the connection was closed. */
async function suffer(address: Address, { first, drip }: Pick<Slow, 'first' | 'drip'>) {
  const socket = await connected(address);
  const startedMs = performance.now();
  if (first !== '') socket.write(first);
  const dripping = setInterval(() => drip !== '' && socket.write(drip), DRIP_MS);
  const answer = await untilClosed(socket);
  clearInterval(dripping);
  return { answer, seconds: (performance.now() - startedMs) / 1000 };
}

async function assertCut(address: Address, name: string, slow: Slow): Promise<void> {
  const { answer, seconds } = await suffer(address, slow);
  assert.deepEqual(statuses(answer), slow.answers, name);
  // Not early either: 5 and 10 seconds are what a client is given.
  const leastSeconds = slow.withinSeconds === HEADERS_SECONDS ? 4.9 : 9.9;
  assert.ok(seconds >= leastSeconds && seconds <= slow.withinSeconds, `${name}: ${seconds} s`);
}

/** Slow, but within what is given. */
async function assertServed(address: Address, parts: readonly string[], stepMs: number) {
  const socket = await connected(address);
  const answer = untilClosed(socket);
  for (const part of parts) {
    socket.write(part);
    await delay(stepMs);
  }
  const [status] = statuses(await answer);
  assert.ok(status !== undefined && status !== 408, `${status}`);
}

/** A handshake has no words for a timeout. */
async function assertHandshakeCut(t: TestContext): Promise<void> {
  const files = openCertificates(t)?.make('slow');
  if (files === undefined) return;
  const settings = { tls_cert: files.certPath, tls_key: files.keyPath };
  const { address } = await startTestServer(t, settings);
  const begun = { first: '\x16\x03\x01\x20\x00', drip: '\0' };
  for (const { answer, seconds } of await Promise.all([
    suffer(address, { first: '', drip: '' }),
    suffer(address, begun),
  ])) {
    assert.equal(answer, '');
    assert.ok(seconds >= 4.9 && seconds <= HEADERS_SECONDS, `${seconds} s`);
  }
}

test('slow headers end within 7 s, slow bodies within 12 s, and who is only slow is served', async (t) => {
  const { address } = await startTestServer(t);
  const end = 'Connection: close\r\n\r\n';
  const told = `${POST}Content-Length: 4\r\n${end}`;
  await Promise.all([
    ...Object.entries(SLOW).map(([name, slow]) => assertCut(address, name, slow)),
    assertServed(address, [GET, 'X: 1\r\n', 'Y: 2\r\n', end], 1300),
    assertServed(address, [told, 'n', 'u', 'l', 'l'], 2200),
    assertHandshakeCut(t),
  ]);
});
