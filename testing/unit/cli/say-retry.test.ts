import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createClient } from '../../../src/client/create.ts';
import type { CliRun } from '../../support/cli-io.ts';
import { openCliStage } from '../../support/cli-stage.ts';
import { DrivenClock } from '../../support/client-clock.ts';
import { URL_BASE } from '../../support/client-server.ts';

/** `head` of a registry whose first answer is another; the clock goes on by what is waited for. */
async function head(
  first: (signal: AbortSignal) => Response | Promise<Response>,
  waits: readonly number[],
  ...argv: readonly string[]
): Promise<CliRun> {
  const stage = await openCliStage();
  const clock = new DrivenClock(stage.timers.now());
  let asked = 0;
  stage.lie((_path, honest, request) => (asked++ === 0 ? first(request.signal) : honest()));
  const world = {
    connect: (given: Parameters<typeof createClient>[0]) =>
      createClient({ ...given, fetch: stage.fetch }, clock),
  };
  const running = stage.cliIn(world, 'head', '--registry', stage.registryHash, ...argv);
  for (const ms of waits) {
    await clock.running(ms);
    clock.advance(ms);
  }
  return running;
}

const busy = (headers: Record<string, string>) => () =>
  new Response('{"code":"overloaded","detail":"too \\u001b[31mmuch"}', {
    status: 503,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });

test('who has to wait for another attempt is told why, and for how long', async () => {
  const { code, stderr } = await head(busy({ 'retry-after': '5' }), [5_000]);
  assert.equal(code, 0);
  // What a stranger wrote cannot act on a terminal.
  const line = `quorate: ${URL_BASE}: too \\u{1b}[31mmuch; attempt 2 of 4 in 5 s\n`;
  assert.equal(stderr, line);
});

test('a registry that says nothing is told of after one attempt, not after all', async () => {
  const silent = (signal: AbortSignal) =>
    new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
    );
  const { code, stderr } = await head(silent, [30_000]);
  assert.equal(code, 0);
  assert.match(stderr, /within 30000 ms, got none; attempt 2 of 4 now\n$/);
});

test('an attempt that follows at once is not worth a word, nor any with --quiet', async () => {
  assert.deepEqual(await head(busy({}), []).then(({ code, stderr }) => [code, stderr]), [0, '']);
  const { stderr } = await head(busy({ 'retry-after': '5' }), [5_000], '--quiet');
  assert.equal(stderr, '');
});

test('a service that is asked for its checkpoint is named in what is said of it', async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    if (asked++ === 0) response.writeHead(503, { 'retry-after': '1' }).end();
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const stage = await openCliStage();
    const { stderr } = await stage.cliIn(
      { fetch: globalThis.fetch },
      '--url',
      url,
      'proof',
      '0',
      '-o',
      stage.file('0.proof'),
    );
    assert.match(stderr, new RegExp(`^quorate: ${url}: .*; attempt 2 of 4 in 1 s$`, 'm'));
  } finally {
    server.close();
  }
});
