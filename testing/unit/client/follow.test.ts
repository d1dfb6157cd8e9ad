/** Following an honest server over connections that are not: each version once, in order, saved before it is seen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client, Update } from '../../../src/client/client.ts';
import { memoryTrust } from '../../../src/client/memory-trust.ts';
import { decodeTrustedState } from '../../../src/client/trusted-text.ts';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { errorOf, type Lie, openClient, openStage } from '../../support/client-server.ts';
import { put } from '../../support/registry.ts';

/** The next updates, as versions. */
async function take(updates: AsyncIterator<Update, void>, count: number): Promise<number[]> {
  const versions: number[] = [];
  while (versions.length < count) {
    const { value } = await updates.next();
    versions.push(value?.head.version ?? assert.fail('expected an update, got an end'));
  }
  return versions;
}

function followed(client: Client, signal?: AbortSignal): AsyncIterator<Update, void> {
  return client.follow(signal === undefined ? {} : { signal })[Symbol.asyncIterator]();
}

/** The honest stream, ended after its first chunks. */
function cutStreams(chunks: number): Lie {
  return async (path, honest) => {
    const response = await honest();
    if (!path.startsWith('/registry/stream') || response.body === null) return response;
    const reader = response.body.getReader();
    let left = chunks;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (left-- === 0) {
          await reader.cancel();
          controller.error(new TypeError('terminated'));
          return;
        }
        const { value } = await reader.read();
        if (value !== undefined) controller.enqueue(value);
      },
      cancel: () => reader.cancel(),
    });
    return new Response(body, { headers: response.headers });
  };
}

/** A stream that says what it likes, when it likes, and then stays silent. */
function lyingStream(text: string, when: Promise<unknown> = Promise.resolve()): Lie {
  const start = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    await when;
    controller.enqueue(encodeUtf8(text));
  };
  return (path, honest) =>
    path.startsWith('/registry/stream')
      ? new Response(new ReadableStream({ start }), {
          headers: { 'content-type': 'text/event-stream' },
        })
      : honest();
}

const noStream: Lie = (path, honest) =>
  path.startsWith('/registry/stream') ? new Response('', { status: 502 }) : honest();

test('following yields every version after genesis, then what is committed', async () => {
  const stage = await openStage();
  await stage.grow(3);
  const updates = followed(openClient(stage).client);
  assert.deepEqual(await take(updates, 3), [1, 2, 3]);
  const live = take(updates, 2);
  await stage.grow(2);
  assert.deepEqual(await live, [4, 5]);
  await updates.return?.();
});

test('an update is the verified head and entry of its version', async () => {
  const stage = await openStage();
  await stage.grow(2);
  const { client } = openClient(stage);
  const updates = followed(client);
  const { value } = await updates.next();
  assert.ok(value);
  assert.equal(value.entry.version, 1);
  assert.equal(value.head.entryHash, value.entry.entryHash);
  assert.equal(value.head.setSize, 1);
  assert.deepEqual(value.head.governance, stage.governance);
  assert.equal(value.head.registry, stage.registryHash);
  assert.equal(value.entry.approvals.length, 2);
  await updates.return?.();
});

test('trusted state is saved before its version is seen, and no further', async () => {
  const stage = await openStage();
  await stage.grow(3);
  const { client, saved } = openClient(stage);
  let seen = 0;
  for await (const { head } of client.follow()) {
    assert.equal(decodeTrustedState((await saved()) ?? '').chain.version, head.version);
    if (++seen === 3) break;
  }
});

test('after a restart in the middle of catching up, following goes on with the next version', async () => {
  const stage = await openStage();
  await stage.grow(5);
  const trust = memoryTrust();
  const seen: number[] = [];
  for (let run = 0; run < 5; run++)
    for await (const { head } of openClient(stage, { trust }).client.follow()) {
      seen.push(head.version);
      break;
    }
  assert.deepEqual(seen, [1, 2, 3, 4, 5]);
});

test('following begins after what the client trusts, and head beside it makes it skip nothing', async () => {
  const stage = await openStage();
  await stage.grow(2);
  const { client } = openClient(stage);
  await client.head();
  const updates = followed(client);
  const first = take(updates, 1);
  await stage.grow(1);
  assert.deepEqual(await first, [3]);
  await stage.grow(3);
  assert.equal((await client.head()).version, 6);
  assert.deepEqual(await take(updates, 3), [4, 5, 6]);
  await updates.return?.();
});

test('followers of one client each see everything', async () => {
  const stage = await openStage();
  await stage.grow(4);
  const { client } = openClient(stage);
  const [a, b] = [followed(client), followed(client)];
  assert.deepEqual(await Promise.all([take(a, 4), take(b, 4)]), [
    [1, 2, 3, 4],
    [1, 2, 3, 4],
  ]);
  await Promise.all([a.return?.(), b.return?.()]);
});

test('a broken stream is opened again, and nothing is lost or repeated', async () => {
  const stage = await openStage();
  stage.lie(cutStreams(2));
  const updates = followed(openClient(stage).client);
  for (let version = 1; version <= 6; version++) {
    const next = take(updates, 1);
    await stage.grow(1);
    assert.deepEqual(await next, [version]);
  }
  assert.ok(stage.requests.filter((request) => request.includes('/stream')).length > 2);
  await updates.return?.();
});

test('a stream resumes after the last version that was seen', async () => {
  const stage = await openStage();
  await stage.grow(2);
  const updates = followed(openClient(stage).client);
  const three = take(updates, 3);
  while (!stage.requests.includes('GET /registry/stream?after=2')) await new Promise(setImmediate);
  await stage.grow(1);
  assert.deepEqual(await three, [1, 2, 3]);
  await updates.return?.();
});

test('a version that the stream left out comes with the heartbeat', async () => {
  const stage = await openStage();
  const { promise: beat, resolve } = Promise.withResolvers<void>();
  stage.lie(lyingStream('event: registry.progress\ndata: {"version":2}\n\n', beat));
  const updates = followed(openClient(stage).client);
  const two = take(updates, 2);
  while (!stage.requests.some((request) => request.includes('/stream')))
    await new Promise(setImmediate);
  await stage.grow(2);
  assert.equal(stage.requests.filter((request) => request === 'GET /checkpoint').length, 1);
  resolve();
  assert.deepEqual(await two, [1, 2]);
  await updates.return?.();
});

test('events that repeat, run ahead or go back yield nothing by themselves', async () => {
  const stage = await openStage();
  await stage.grow(2);
  const event = (version: number) =>
    `event: registry.update\nid: ${version}\ndata: {"version":${version}}\n\n`;
  stage.lie(lyingStream([2, 2, 1, 1000, 0, 2, 999].map(event).join('')));
  const left = new AbortController();
  const seen: number[] = [];
  const { client } = openClient(stage);
  const done = (async () => {
    for await (const { head } of client.follow({ signal: left.signal })) seen.push(head.version);
  })();
  // Twice it asked whether the versions that were talked about exist.
  const asked = () => stage.requests.filter((request) => request === 'GET /checkpoint').length;
  while (asked() < 3) await new Promise(setImmediate);
  left.abort();
  await done;
  assert.deepEqual(seen, [1, 2]);
});

test('after a reset the heads are compared, and following goes on', async () => {
  const stage = await openStage();
  await stage.grow(1);
  let lied = 0;
  stage.lie((path, honest, request) => {
    if (!path.startsWith('/registry/stream') || lied++ > 0) return honest();
    return lyingStream('event: registry.reset\ndata: {"head":0,"oldest":0}\n\n')(
      path,
      honest,
      request,
    );
  });
  const updates = followed(openClient(stage).client);
  const two = take(updates, 2);
  while (lied < 2) await new Promise(setImmediate);
  await stage.grow(1);
  assert.deepEqual(await two, [1, 2]);
  await updates.return?.();
});

test('a server that closes its streams is asked again', async () => {
  const stage = await openStage();
  const updates = followed(openClient(stage).client);
  const next = take(updates, 1);
  const streams = () => stage.requests.filter((request) => request.includes('/stream')).length;
  while (streams() < 1) await new Promise(setImmediate);
  // Older than a stream may become.
  stage.timers.advance(60 * 60_000);
  while (streams() < 2) await new Promise(setImmediate);
  await stage.grow(1);
  assert.deepEqual(await next, [1]);
  await updates.return?.();
});

test('without streams heads are polled, and after a while the stream is tried again', async () => {
  const stage = await openStage();
  stage.lie(noStream);
  const updates = followed(openClient(stage).client);
  for (let version = 1; version <= 3; version++) {
    const next = take(updates, 1);
    while (!stage.requests.includes(`GET /registry/head?after=${version - 1}&wait=30`))
      await new Promise(setImmediate);
    await stage.grow(1);
    assert.deepEqual(await next, [version]);
  }
  assert.equal(stage.requests.filter((request) => request.includes('/stream')).length, 2);
  stage.lie(undefined);
  const more = take(updates, 20);
  await stage.grow(8);
  const streams = () => stage.requests.filter((request) => request.includes('/stream')).length;
  while (streams() < 3) {
    await stage.grow(1);
    await new Promise(setImmediate);
  }
  await stage.grow(20);
  assert.deepEqual(
    await more,
    Array.from({ length: 20 }, (_, i) => i + 4),
  );
  await updates.return?.();
});

test('a server that asks to be left alone is, and one that asks for haste is not hurried', async () => {
  const stage = await openStage();
  const busy = new Response('', { status: 503, headers: { 'retry-after': '7' } });
  stage.lie((path, honest) => (path === '/checkpoint' ? busy.clone() : honest()));
  const { client, clock } = openClient(stage);
  const left = new AbortController();
  const done = errorOf(take(followed(client, left.signal), 1));
  await clock.running(7_000);
  assert.equal(stage.requests.length, 1);
  const hasty = 'retry: 0\n\nevent: registry.closing\ndata: {"reason":"age"}\n\n';
  stage.lie(lyingStream(hasty));
  clock.chance = 0.5;
  clock.advance(7_000);
  await clock.running(250);
  left.abort();
  await done;
  assert.deepEqual(clock.pending, []);
});

test('a server that does not wait when it is asked to is polled once a second', async () => {
  const stage = await openStage();
  stage.lie((path, honest, request) =>
    path.includes('wait=') ? honest('/registry/head') : noStream(path, honest, request),
  );
  const { client, clock } = openClient(stage);
  const left = new AbortController();
  const done = errorOf(take(followed(client, left.signal), 1));
  const polls = () => stage.requests.filter((request) => request.includes('wait=')).length;
  for (let round = 1; round <= 3; round++) {
    await clock.running(1_000);
    assert.equal(polls(), round);
    clock.advance(1_000);
  }
  left.abort();
  await done;
  assert.deepEqual(clock.pending, []);
});

test('an abort ends the loop at once, and leaves no timer and no stream', async () => {
  const stage = await openStage();
  await stage.grow(1);
  const { client, clock } = openClient(stage);
  const left = new AbortController();
  const seen: number[] = [];
  const done = (async () => {
    for await (const { head } of client.follow({ signal: left.signal })) seen.push(head.version);
  })();
  while (stage.registry.feed.subscribers === 0) await new Promise(setImmediate);
  left.abort();
  await done;
  assert.deepEqual(seen, [1]);
  assert.deepEqual(clock.pending, []);
  assert.equal(stage.registry.feed.subscribers, 0);
});

test('an abort before the first step, and one while an update is handled, end it too', async () => {
  const stage = await openStage();
  await stage.grow(3);
  const { client, clock } = openClient(stage);
  for await (const _ of client.follow({ signal: AbortSignal.abort() }))
    assert.fail('expected no update');
  const left = new AbortController();
  let seen = 0;
  for await (const _ of client.follow({ signal: left.signal })) {
    seen++;
    left.abort();
  }
  assert.equal(seen, 1);
  assert.deepEqual(clock.pending, []);
});

test('leaving the loop leaves the stream', async () => {
  const stage = await openStage();
  const { client, clock } = openClient(stage);
  const updates = followed(client);
  const next = take(updates, 1);
  while (stage.registry.feed.subscribers === 0) await new Promise(setImmediate);
  await stage.grow(1);
  await next;
  await updates.return?.();
  assert.equal(stage.registry.feed.subscribers, 0);
  assert.deepEqual(clock.pending, []);
});

test('a consumer that is slow is waited for: nothing is asked and nothing is queued', async () => {
  const stage = await openStage();
  const { client, clock } = openClient(stage);
  const updates = followed(client);
  const first = take(updates, 1);
  while (stage.registry.feed.subscribers === 0) await new Promise(setImmediate);
  await stage.grow(1);
  await first;
  const asked = stage.requests.length;
  await stage.grow(30);
  // Longer than a silence that would be stale.
  clock.advance(10 * 60_000);
  for (let i = 0; i < 10; i++) await new Promise(setImmediate);
  assert.equal(stage.requests.length, asked);
  assert.deepEqual(
    await take(updates, 30),
    Array.from({ length: 30 }, (_, i) => i + 2),
  );
  await updates.return?.();
});

test('when nothing comes for too long it is stale, and the cause says why', async () => {
  const stage = await openStage();
  await stage.grow(1);
  const { client, clock } = openClient(stage, { staleAfterMs: 60_000 });
  const updates = followed(client);
  await take(updates, 1);
  let failures = 0;
  stage.lie(() => {
    failures++;
    throw new TypeError('fetch failed');
  });
  const error = errorOf(take(updates, 1));
  while (failures < 10) await new Promise(setImmediate);
  clock.advance(59_999);
  while (failures < 20) await new Promise(setImmediate);
  clock.advance(1);
  const stale = await error;
  assert.ok(stale instanceof RegistryError);
  assert.equal(stale.code, 'stale');
  assert.ok(stale.cause instanceof RegistryError && stale.cause.code === 'unavailable');
  assert.deepEqual(clock.pending, []);
});

test('a server whose heads answer but whose entries do not becomes stale too', async () => {
  const stage = await openStage();
  await stage.grow(1);
  const { client, clock } = openClient(stage);
  let failures = 0;
  stage.lie((path, honest) => {
    if (!path.startsWith('/registry/entries')) return honest();
    failures++;
    return new Response('<html>', { headers: { 'content-type': 'text/html' } });
  });
  const error = errorOf(take(followed(client), 1));
  while (failures < 3) await new Promise(setImmediate);
  clock.advance(120_000);
  const stale = await error;
  assert.ok(stale instanceof RegistryError && stale.code === 'stale', String(stale));
});

test('an empty registry is waited for until it begins', async () => {
  const stage = await openStage({ isBegun: false });
  let honest = false;
  const begun = await openStage();
  await begun.grow(1);
  const fetch: typeof globalThis.fetch = (input, init) =>
    (honest ? begun : stage).fetch(input, init);
  const updates = followed(openClient({ fetch, registryHash: begun.registryHash }).client);
  const next = take(updates, 1);
  while (stage.requests.length < 3) await new Promise(setImmediate);
  honest = true;
  assert.deepEqual(await next, [1]);
  await updates.return?.();
});

test('a server that lost entries is a rollback, told when it is connected to again', async () => {
  const stage = await openStage();
  const restored = await openStage();
  await stage.grow(3);
  let current = stage;
  const fetch: typeof globalThis.fetch = (input, init) => current.fetch(input, init);
  const { client } = openClient({ fetch, registryHash: stage.registryHash });
  const updates = followed(client);
  assert.deepEqual(await take(updates, 3), [1, 2, 3]);
  current = restored;
  await assert.rejects(take(updates, 1), { code: 'rollback' });
  assert.equal(client.trusted()?.version, 3);
});

test('another history that the log key signed ends following with a fork, and with evidence of it', async () => {
  const stage = await openStage();
  const other = await openStage();
  await stage.grow(1);
  await other.change(put('y', {}));
  await other.grow(1);
  let current = stage;
  const fetch: typeof globalThis.fetch = (input, init) => current.fetch(input, init);
  const evidence: string[] = [];
  const { client, saved } = openClient(
    { fetch, registryHash: stage.registryHash },
    { onFork: (text) => void evidence.push(text) },
  );
  const updates = followed(client);
  await take(updates, 1);
  current = other;
  await assert.rejects(take(updates, 1), { code: 'fork' });
  assert.equal(
    decodeTrustedState((await saved()) ?? '').chain.entryHash,
    client.trusted()?.entryHash,
  );
  assert.equal(client.trusted()?.version, 1);
  assert.equal((await updates.next()).done, true);
  assert.equal(evidence.length, 1);
});
