/** The token of a client: with writes alone, asked for before each, and in no error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BearerToken } from '../../../src/client/bearer.ts';
import { Transport } from '../../../src/client/transport.ts';
import { DrivenClock } from '../../support/client-clock.ts';
import { type Fetch, URL_BASE } from '../../support/client-server.ts';

const ANSWER = { maxBytes: 1_000 };

function transportWith(token: BearerToken | undefined, answer: (n: number) => Response) {
  const sent: (string | null)[] = [];
  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init);
    sent.push(request.headers.get('authorization'));
    return answer(sent.length);
  };
  const clock = new DrivenClock();
  const options = { url: URL_BASE, fetch, clock, timeoutMs: 30_000, maxAttempts: 3, token };
  return { transport: new Transport(options), sent, clock };
}

const ok = () => new Response('{}', { headers: { 'content-type': 'application/json' } });

test('a token goes with writes and not with reads', async () => {
  const { transport, sent } = transportWith('abc', ok);
  await transport.get('/a', { ...ANSWER, accept: 'json' });
  await transport.post('/b', ANSWER);
  await transport.post('/b', { ...ANSWER, body: new Uint8Array() });
  assert.deepEqual(sent, [null, 'Bearer abc', 'Bearer abc']);
  const without = transportWith(undefined, ok);
  await without.transport.post('/b', ANSWER);
  assert.deepEqual(without.sent, [null]);
});

test('a function is asked before each write, so that a token may be replaced while a program runs', async () => {
  let asked = 0;
  const { transport, sent } = transportWith(async () => `token-${++asked}`, ok);
  await transport.get('/a', { ...ANSWER, accept: 'json' });
  assert.equal(asked, 0);
  await transport.post('/b', ANSWER);
  await transport.post('/b', ANSWER);
  assert.deepEqual(sent, [null, 'Bearer token-1', 'Bearer token-2']);
});

test('what is no token is refused before anything is sent, and not quoted', async () => {
  for (const token of ['', 'two words', 'line\nend', 'ümlaut', 'a'.repeat(4_097), 'a,b', 'a"']) {
    const { transport, sent } = transportWith(token, ok);
    await assert.rejects(transport.post('/b', ANSWER), ({ code, message }) => {
      assert.equal(code, 'invalid_request');
      assert.equal(
        message,
        `expected a token: 1 to 4096 of [A-Za-z0-9_=-], got ${token.length} other characters`,
      );
      return true;
    });
    assert.deepEqual(sent, []);
  }
  const { transport } = transportWith(() => Promise.reject(new Error('no vault')), ok);
  await assert.rejects(transport.post('/b', ANSWER), { message: 'no vault' });
});

test('a refusal that says the token back is told without it, however long it is', async () => {
  const token = 'secret'.repeat(200);
  const answer = () =>
    new Response(
      JSON.stringify({
        code: 'forbidden',
        detail: `no ${token}`,
        details: { echoed: [{ authorization: `Bearer ${token}` }] },
      }),
      { status: 403, headers: { 'content-type': 'application/problem+json' } },
    );
  const { transport } = transportWith(token, answer);
  await assert.rejects(transport.post('/b', ANSWER), (error: Error & { details: unknown }) => {
    assert.equal(error.message, 'no [token]');
    assert.ok(!JSON.stringify(error.details).includes('secret'));
    assert.match(JSON.stringify(error.details), /Bearer \[token\]/);
    return true;
  });
});
