/** What a server for S3 may answer instead of what it was asked: no such answer fills the memory, or stands for another. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { isSound, listSnapshots } from '../../../src/server/snapshot/catalogue.ts';
import type { SnapshotPlace } from '../../../src/server/snapshot/place.ts';
import { openS3Place } from '../../../src/server/snapshot/s3/place.ts';
import { openPlainServer } from '../../support/plain-server.ts';

const NAMES = ['1-0123456789abcdef.qsnap', '2-0123456789abcdef.qsnap'];
const PIECE = Buffer.alloc(1024 * 1024, ' ');
const MOST_PIECES = 256;
const LIST = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>';

async function openPlace(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<SnapshotPlace> {
  const env = {
    AWS_ENDPOINT_URL_S3: await openPlainServer(t, answer),
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
  };
  const { signal } = new AbortController();
  return openS3Place('s3://bucket/deep', { env, signal, now: Date.now, maxAttempts: 1 });
}

function isList({ url = '' }: IncomingMessage): boolean {
  return url.includes('list-type=2');
}

/** Answers how many MiB were taken. */
async function endlessly(response: ServerResponse, status: number, begin: string): Promise<number> {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.write(begin);
  const closed = once(response, 'close');
  let pieces = 0;
  while (!response.destroyed && pieces < MOST_PIECES) {
    pieces++;
    if (!response.write(PIECE)) await Promise.race([once(response, 'drain'), closed]);
  }
  response.end();
  return pieces;
}

for (const [what, status, begin] of [
  ['a list', 200, LIST],
  ['a refusal', 400, '<Error><Code>Some</Code>'],
] as const)
  test(`${what} without end is read no further than any that is one`, async (t) => {
    const taken: Promise<number>[] = [];
    const place = await openPlace(t, (_, response) => {
      taken.push(endlessly(response, status, begin));
    });
    await assert.rejects(place.list(), { code: 'unexpected_answer', message: /AnswerTooLarge/ });
    const [pieces = MOST_PIECES, ...more] = await Promise.all(taken);
    assert.deepEqual(more, []);
    assert.ok(pieces < MOST_PIECES / 4, `${pieces} MiB were taken`);
  });

test('an object is no answer that is read whole', async (t) => {
  const pieces = 40;
  const place = await openPlace(t, (_, response) => {
    response.writeHead(200, { 'content-length': pieces * PIECE.length });
    for (let i = 0; i < pieces; i++) response.write(PIECE);
    response.end();
  });
  let bytes = 0;
  for await (const chunk of await place.read(NAMES[0] ?? '', { offset: 0 })) bytes += chunk.length;
  assert.equal(bytes, pieces * PIECE.length);
});

test('a page of somebody else is not taken for an empty list', async (t) => {
  for (const page of ['<html><body>please log in</body></html>', '<Other/>']) {
    const place = await openPlace(t, (_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(page);
    });
    await assert.rejects(place.list(), {
      code: 'unexpected_answer',
      message:
        /expected the names in s3:\/\/bucket\/deep from the server for S3, got something else/,
    });
  }
});

test('one object that cannot be read as one hides no other', async (t) => {
  const place = await openPlace(t, (request, response) => {
    const contents = NAMES.map(
      (name) => `<Contents><Key>deep/${name}</Key><Size>9</Size></Contents>`,
    );
    if (isList(request)) response.end(`${LIST}${contents.join('')}</ListBucketResult>`);
    // In pieces: nothing says how long it is.
    else if (request.url?.includes('/1-')) response.write('part', () => response.end('more'));
    else response.end('no header');
  });
  const listed = await listSnapshots(place);
  assert.deepEqual(
    listed.map((one) => [one.name, isSound(one) ? null : one.damage.code]),
    [
      [NAMES[1], 'storage_damaged'],
      [NAMES[0], 'unexpected_answer'],
    ],
  );
});
