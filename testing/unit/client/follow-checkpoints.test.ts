/** Following by the checkpoints that the stream carries: what is short of them is waited for, what is wrong ends it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client, Update } from '../../../src/client/client.ts';
import { encodeUtf8 } from '../../../src/core/bytes.ts';
import { canonicalText } from '../../../src/core/canonical.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { DEMANDS, NOW_SECONDS, WITNESSES } from '../../support/client-campaign.ts';
import { plain } from '../../support/client-lies.ts';
import { errorOf, openClient, openStage, type Stage } from '../../support/client-server.ts';
import { withSignatures } from '../../support/client-tree.ts';

/** A stage whose stream says what the test says; its checkpoint is cosigned when the test wants it to be. */
interface Told {
  readonly stage: Stage;
  readonly say: (event: 'update' | 'progress', data: object) => void;
  /** The newest checkpoint as it is served, with cosignatures or without. */
  note(isCosigned: boolean): Promise<string>;
  /** Seconds ago; `undefined`: `GET /checkpoint` has no cosignatures. */
  cosignedAgo: number | undefined;
  readonly asked: () => number;
}

async function openTold(): Promise<Told> {
  const stage = await openStage();
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  const waiting: Uint8Array[] = [];
  const cosign = (note: string, secondsAgo: number): string => {
    const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
    const [one, two] = WITNESSES.map((witness) => witness.cosign(text, NOW_SECONDS - secondsAgo));
    return withSignatures(note, one && two ? [one, two] : []);
  };
  const honest = async () => (await stage.get('/checkpoint')).text();
  const told: Told = {
    stage,
    cosignedAgo: 0,
    say: (event, data) => {
      const bytes = encodeUtf8(`event: registry.${event}\ndata: ${canonicalText(data)}\n\n`);
      if (stream === undefined) waiting.push(bytes);
      else stream.enqueue(bytes);
    },
    note: async (isCosigned) => (isCosigned ? cosign(await honest(), 0) : honest()),
    asked: () => stage.requests.filter((request) => request === 'GET /checkpoint').length,
  };
  stage.lie(async (path, ask) => {
    if (path === '/checkpoint') {
      const note = await (await ask()).text();
      return plain(told.cosignedAgo === undefined ? note : cosign(note, told.cosignedAgo));
    }
    if (!path.startsWith('/registry/stream')) return ask();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        stream = controller;
        for (const bytes of waiting.splice(0)) controller.enqueue(bytes);
      },
      cancel: () => {
        stream = undefined;
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  });
  return told;
}

function followed(client: Client): AsyncIterator<Update, void> {
  return client.follow()[Symbol.asyncIterator]();
}

async function versionOf(next: Promise<IteratorResult<Update, void>>): Promise<number> {
  const { value } = await next;
  return value?.head.version ?? assert.fail('expected an update, got an end');
}

/** Until the follower listens. */
async function listening({ stage }: Told): Promise<void> {
  while (!stage.requests.some((request) => request.includes('/stream')))
    await new Promise(setImmediate);
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
}

async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

test('the checkpoint on the stream is the claim: none is asked for', async () => {
  const told = await openTold();
  const updates = followed(openClient(told.stage, DEMANDS).client);
  const next = updates.next();
  await listening(told);
  await told.stage.grow(1);
  told.say('update', { version: 1, checkpoint: await told.note(true) });
  const { value } = await next;
  assert.equal(value?.head.version, 1);
  assert.equal(value?.head.checkpoint.note, await told.note(true));
  assert.equal(value?.head.checkpoint.freshAt, NOW_SECONDS);
  assert.equal(told.asked(), 1);
  await updates.return?.();
});

test('a checkpoint that waits for its cosigners is waited for, and believed when the stream brings them', async () => {
  const told = await openTold();
  const { client, clock } = openClient(told.stage, DEMANDS);
  const updates = followed(client);
  const next = updates.next();
  await listening(told);
  await told.stage.grow(1);
  told.cosignedAgo = undefined;
  told.say('update', { version: 1, checkpoint: await told.note(false) });
  await clock.running(1_000);
  assert.equal(client.trusted()?.version, 0);
  told.say('progress', { version: 1, checkpoint: await told.note(true) });
  assert.equal(await versionOf(next), 1);
  assert.equal(told.asked(), 1);
  await updates.return?.();
  assert.deepEqual(clock.pending, []);
});

test('where the stream does not bring the cosigners, they are asked for', async () => {
  const told = await openTold();
  const { client, clock } = openClient(told.stage, DEMANDS);
  const updates = followed(client);
  const next = updates.next();
  await listening(told);
  await told.stage.grow(1);
  told.cosignedAgo = undefined;
  told.say('update', { version: 1, checkpoint: await told.note(false) });
  for (let round = 1; round <= 3; round++) {
    await clock.running(1_000);
    assert.equal(told.asked(), round);
    if (round === 3) told.cosignedAgo = 0;
    clock.advance(1_000);
    if (round < 3) while (told.asked() === round) await new Promise(setImmediate);
  }
  assert.equal(await versionOf(next), 1);
  assert.equal(told.asked(), 4);
  await updates.return?.();
  assert.deepEqual(clock.pending, []);
});

test('cosigners that never come end following as unwitnessed, and following again goes on', async () => {
  const told = await openTold();
  const { client, clock } = openClient(told.stage, { ...DEMANDS, staleAfterMs: 5_000 });
  const updates = followed(client);
  const error = errorOf(updates.next());
  await listening(told);
  await told.stage.grow(1);
  told.cosignedAgo = undefined;
  told.say('update', { version: 1, checkpoint: await told.note(false) });
  for (let round = 0; round < 5; round++) {
    await clock.running(1_000);
    clock.advance(1_000);
    // Heartbeats go on.
    told.say('progress', { version: 1, checkpoint: await told.note(false) });
    await turns();
  }
  const found = await error;
  assert.ok(found instanceof RegistryError && found.code === 'unwitnessed', String(found));
  assert.equal(client.trusted()?.version, 0);
  assert.deepEqual(clock.pending, []);
  told.cosignedAgo = 0;
  const again = followed(client);
  assert.equal(await versionOf(again.next()), 1);
  await again.return?.();
});

test('a server that has no cosigners from the start is unwitnessed, not stale', async () => {
  const told = await openTold();
  told.cosignedAgo = undefined;
  const { client, clock } = openClient(told.stage, DEMANDS);
  const error = errorOf(followed(client).next());
  while (told.asked() < 5) await new Promise(setImmediate);
  clock.advance(119_999);
  const before = told.asked();
  while (told.asked() < before + 5) await new Promise(setImmediate);
  clock.advance(1);
  const found = await error;
  assert.ok(found instanceof RegistryError && found.code === 'unwitnessed', String(found));
  assert.equal(client.trusted(), undefined);
  assert.deepEqual(clock.pending, []);
});

test('a version whose checkpoint is not signed yet comes with the checkpoint', async () => {
  const told = await openTold();
  const { client, clock } = openClient(told.stage);
  const updates = followed(client);
  const next = updates.next();
  await listening(told);
  const old = await told.note(false);
  await told.stage.grow(1);
  told.say('update', { version: 1, checkpoint: old });
  await clock.running(1_000);
  clock.advance(1_000);
  assert.equal(await versionOf(next), 1);
  await updates.return?.();
});

test('a server that freezes its head while heartbeats go on becomes stale', async () => {
  const told = await openTold();
  const { client, clock } = openClient(told.stage, DEMANDS);
  const updates = followed(client);
  const error = errorOf(updates.next());
  await listening(told);
  const frozen = await told.note(true);
  for (let beat = 0; beat < 40; beat++) {
    told.say('progress', { version: 0, checkpoint: frozen });
    await turns();
    clock.advance(15_000);
    assert.equal(told.asked(), 1);
  }
  clock.advance(1);
  told.say('progress', { version: 0, checkpoint: frozen });
  const found = await error;
  assert.ok(found instanceof RegistryError && found.code === 'stale', String(found));
  assert.equal(client.trusted()?.version, 0);
  assert.equal(told.asked(), 2);
  assert.deepEqual(clock.pending, []);
});

test('heartbeats without a checkpoint do not hide that nobody vouches any more', async () => {
  const told = await openTold();
  const { client, clock } = openClient(told.stage, DEMANDS);
  const error = errorOf(followed(client).next());
  await listening(told);
  for (let beat = 0; beat < 41; beat++) {
    told.say('progress', { version: 0, checkpoint: null });
    await turns();
    clock.advance(15_000);
  }
  told.say('progress', { version: 0 });
  const found = await error;
  assert.ok(found instanceof RegistryError && found.code === 'stale', String(found));
});

test('heartbeats with newer cosignatures keep a quiet log fresh, and are remembered', async () => {
  const told = await openTold();
  const { client, clock, saves } = openClient(told.stage, DEMANDS);
  const updates = followed(client);
  const next = updates.next();
  await listening(told);
  const before = saves();
  const note = await told.note(false);
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
  for (let beat = 1; beat <= 80; beat++) {
    clock.advance(15_000);
    const seen = WITNESSES.map((witness) => witness.cosign(text, clock.now() / 1000)).slice(0, 2);
    told.say('progress', { version: 0, checkpoint: withSignatures(note, seen) });
    // Each is kept.
    while (saves() < before + beat) await new Promise(setImmediate);
  }
  await told.stage.grow(1);
  told.cosignedAgo = -20 * 60;
  told.say('update', { version: 1, checkpoint: null });
  assert.equal(await versionOf(next), 1);
  await updates.return?.();
});

test('an old event may carry an old checkpoint: the newest is asked for before anything is called stale', async () => {
  const told = await openTold();
  await told.stage.grow(1);
  const { client, clock } = openClient(told.stage, DEMANDS);
  clock.advance(700_000);
  told.cosignedAgo = -700;
  const updates = followed(client);
  assert.equal(await versionOf(updates.next()), 1);
  const next = updates.next();
  await listening(told);
  await told.stage.grow(1);
  told.say('update', { version: 2, checkpoint: await told.note(true) });
  assert.equal(await versionOf(next), 2);
  assert.equal(told.asked(), 2);
  await updates.return?.();
});

test('what is no note ends following as what it is', async () => {
  const told = await openTold();
  const { client } = openClient(told.stage);
  const error = errorOf(followed(client).next());
  await listening(told);
  told.say('progress', { version: 0, checkpoint: 'no note' });
  const found = await error;
  assert.ok(found instanceof RegistryError && found.code === 'invalid_checkpoint', String(found));
});
