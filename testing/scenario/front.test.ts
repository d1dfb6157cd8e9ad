/**
 * Nobody can tell whether the front, node:http or the app answered. The same bytes go to all three, whole,
 * in pieces and one after another on a connection, and everything that comes back is compared.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, drawRequest, get, HOST, oddRequests } from '../support/front-requests.ts';
import { answersTo, type Heard, openTargets, type Target } from '../support/front-targets.ts';
import { makeRandom } from '../support/random.ts';
import { exchange } from '../support/server-socket.ts';

const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const SEED = Number(process.env.QUORATE_TEST_SEED ?? 1);
const AT_ONCE = 48;
/** Ends a connection whatever came before, unless that was refused or is still unfinished. */
const LAST = get('/livez', `${HOST}Connection: close\r\n`);

async function etags({ address }: Target): Promise<(target: string) => string> {
  const known = new Map<string, string>();
  for (const target of ['/registry/head', '/registry/0', '/registry/1', '/checkpoint']) {
    const answer = await exchange(address, get(target, `${HOST}Connection: close\r\n`));
    known.set(target, /^etag: (.*)\r$/m.exec(answer)?.[1] ?? assert.fail(answer));
  }
  return (target) => known.get(target) ?? '"none"';
}

/** Answers how many conversations were compared to their last byte. */
async function assertSame(
  targets: readonly Target[],
  conversations: readonly (readonly string[])[],
): Promise<number> {
  const left = conversations.values();
  let whole = 0;
  const work = async (): Promise<void> => {
    for (const pieces of left) {
      let compared = await compare(targets, pieces);
      // What differs differs again; what was late once, on a busy machine, is not.
      for (let tries = 0; compared.difference !== undefined && tries < 3; tries++)
        compared = await compare(targets, pieces);
      if (compared.difference !== undefined) throw compared.difference;
      whole += Number(compared.isWhole);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    // Whoever is still at work stops too.
    left.return?.();
  }
  return whole;
}

async function compare(
  targets: readonly Target[],
  pieces: readonly string[],
): Promise<{ readonly isWhole: boolean; readonly difference: unknown }> {
  const heard = await Promise.all(targets.map((target) => heardFrom(target, pieces)));
  const isWhole = !isRacy(pieces, heard) && heard.every(({ isCut }) => !isCut);
  const shortest = Math.min(...heard.map(({ text }) => text.length));
  const texts = heard.map(({ text }) => (isWhole ? text : text.slice(0, shortest)));
  try {
    for (const [i, { name }] of targets.entries())
      assert.equal(texts[i], texts.at(-1), `${name}: ${JSON.stringify(pieces)}`);
    return { isWhole, difference: undefined };
  } catch (difference) {
    return { isWhole, difference };
  }
}

/** Asks again when the answer was cut: mostly it is whole then. */
async function heardFrom(target: Target, pieces: readonly string[]): Promise<Heard> {
  let heard = await answersTo(target, pieces);
  for (let tries = 0; heard.isCut && tries < 3; tries++) heard = await answersTo(target, pieces);
  return heard;
}

/**
 * What follows a request that ends the connection may meet it open, closing or closed; and what is refused
 * before the answer to the request ahead of it was made takes that answer with it.
 */
function isRacy(pieces: readonly string[], heard: readonly Heard[]): boolean {
  const text = pieces.join('');
  if (!text.endsWith(LAST)) return false;
  const before = text.slice(0, -LAST.length);
  const isEnded = /HTTP\/[12]\.0|close/i.test(before);
  const isRefused = heard.some(({ text }) => !text.endsWith('ok\n'));
  return isEnded || (isPipelined(pieces) && isRefused);
}

/** Whether a piece brings the end of a request and goes on after it. */
function isPipelined(pieces: readonly string[]): boolean {
  const ends = Array.from(pieces.join('').matchAll(/(?<=\n\r?\n)/g), ({ index }) => index);
  let begin = 0;
  return pieces.some((piece) => {
    const from = begin;
    begin += piece.length;
    return ends.some((end) => from < end && end < begin);
  });
}

test('odd and hostile requests get the same bytes from the front, node:http and the app', async (t) => {
  const targets = await openTargets(t);
  const [front] = targets;
  assert.ok(front);
  const requests = oddRequests(await etags(front));
  const plain = get('/registry/head');
  const whole = await assertSame(targets, [
    ...requests.map((request) => [request, LAST]),
    ...requests.map((request) => [request + LAST]),
    // The front has the connection when the oddity comes.
    ...requests.map((request) => [plain, request, LAST]),
  ]);
  assert.ok(whole > 2 * requests.length, `${whole} of ${3 * requests.length}`);
  assert.ok(front.ready() > requests.length, `${front.ready()}`);
});

test('a plain request split at any byte gets the same bytes', async (t) => {
  const targets = await openTargets(t);
  const etag = (await etags(targets[0] as Target))('/registry/head');
  const requests = [
    get('/registry/head'),
    get('/registry/0', `${HOST}X-Corr-ID: mine\r\n`),
    get('/registry/head', `${HOST}If-None-Match: ${etag}\r\n`),
  ];
  const splits = requests.flatMap((request) =>
    Array.from(request, (_, i) => [request.slice(0, i), request.slice(i)]),
  );
  const whole = await assertSame(targets, [
    ...splits.map((pieces) => [...pieces, LAST]),
    ...splits.map((pieces) => [get('/registry/1'), ...pieces, LAST]),
  ]);
  assert.equal(whole, 2 * splits.length);
});

test('streams begin with the same bytes, and what is asked during one waits for its end', async (t) => {
  const targets = await openTargets(t);
  const begins = [
    '',
    'Accept: text/event-stream\r\nCache-Control: no-cache\r\n',
    'Last-Event-ID: 0\r\n',
    'Last-Event-ID: 1\r\n',
    'Last-Event-ID: 7\r\n',
    'Last-Event-ID: 00\r\n',
    'Last-Event-ID: -1\r\n',
    'Last-Event-ID: 99999999999999999999\r\n',
    'Last-Event-ID: a, b\r\n',
    'X-Corr-ID: mine\r\n',
    'Connection: keep-alive\r\n',
    'Connection: close\r\n',
    'If-None-Match: *\r\n',
  ].map((headers) => get('/registry/stream', HOST + headers));
  const others = [
    get('/registry/stream?after=0'),
    get('/registry/stream?mode=latest'),
    `GET /registry/stream HTTP/1.0\r\n${HOST}\r\n`,
    `HEAD /registry/stream HTTP/1.1\r\n${HOST}\r\n`,
  ];
  const conversations = [...begins, ...others].flatMap((request) => [
    [request],
    [get('/registry/head'), request],
    [request, get('/registry/head')],
  ]);
  assert.equal(await assertSame(targets, conversations), conversations.length);
  assert.ok((targets[0]?.ready() ?? 0) > begins.length);
});

test('whatever is drawn, in whatever pieces, gets the same bytes', async (t) => {
  const targets = await openTargets(t);
  const random = makeRandom(SEED);
  const etagOf = await etags(targets[0] as Target);
  const draw = (): readonly string[] => {
    const requests = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
      drawRequest(random, etagOf),
    );
    if (random() < 0.5) return [...requests, LAST];
    return cut(random, requests.join('') + LAST, 1 + Math.floor(random() * 6));
  };
  await assertSame(targets, Array.from({ length: IS_LONG ? 50_000 : 1_500 }, draw));
  t.diagnostic(`seed ${SEED}: the front answered ${targets[0]?.ready()}`);
  assert.ok((targets[0]?.ready() ?? 0) > 400);
});

test('a difference of one header is seen', async (t) => {
  const [front] = await openTargets(t);
  const [, , other] = await openTargets(t, {
    headersMs: 5000,
    requestMs: 10_000,
    keepAliveMs: 64_000,
  });
  assert.ok(front && other);
  await assert.rejects(assertSame([front, other], [[get('/registry/head'), LAST]]), /timeout=64/);
});
