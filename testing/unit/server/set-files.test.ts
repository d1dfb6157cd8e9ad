/** Prepared sets: the bytes that the registry would stream, or none. */
import assert from 'node:assert/strict';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PreparedSet } from '../../../src/http/prepared-sets.ts';
import { CHUNK_BYTES } from '../../../src/server/prepared-sets/chunks.ts';
import { type SetOutcome, writeSet } from '../../../src/server/prepared-sets/write-set.ts';
import { erase, openChanged } from '../../support/letting-go.ts';
import { lying } from '../../support/lying-store.ts';
import { put, type TestRegistry } from '../../support/registry.ts';
import {
  openLargeSet,
  openSetFiles,
  streamedSet,
  textOf,
  wholeSet,
} from '../../support/set-files.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

function flipByte(path: string, at: number): void {
  const byte = readFileSync(path)[at];
  assert.ok(byte !== undefined, 'nothing stands there');
  const fd = openSync(path, 'r+');
  writeSync(fd, Uint8Array.of(byte ^ 1), 0, 1, at);
  closeSync(fd);
}

function only(names: readonly string[]): string {
  assert.equal(names.length, 1);
  return names[0] ?? '';
}

test('a prepared set is byte for byte what the registry streams, in a file for its owner alone', async () => {
  const real = await openLargeSet();
  const { files, directory, names } = await openSetFiles(real);
  const prepared = await files.open(await wholeSet(real.registry, 1));
  const streamed = await streamedSet(real.registry, 1);
  assert.equal(prepared?.bytes, streamed.length);
  assert.ok(streamed.length > 2 * CHUNK_BYTES, 'one chunk shows little');
  assert.equal(await textOf(prepared), streamed);
  const path = join(directory, only(names()));
  assert.equal(readFileSync(path, 'utf8'), streamed);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
});

test('an empty set is prepared too', async () => {
  const real = await openLargeSet();
  const { files } = await openSetFiles(real);
  const prepared = await files.open(await wholeSet(real.registry, 0));
  assert.equal(await textOf(prepared), await streamedSet(real.registry, 0));
});

test('a set is written once, however many ask and when', async () => {
  const real = await openLargeSet();
  const { files, orders, lines } = await openSetFiles(real);
  const set = await wholeSet(real.registry, 1);
  const texts = await Promise.all(
    Array.from({ length: 5 }, async () => textOf(await files.open(set))),
  );
  texts.push(await textOf(await files.open(set)));
  assert.deepEqual([new Set(texts).size, orders.length], [1, 1]);
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['a whole set was prepared'],
  );
});

test('while one set is written another is left to the registry', async () => {
  const real = await openLargeSet();
  await real.change(put('more', {}));
  const { files, orders } = await openSetFiles(real);
  const [first, second] = await Promise.all([
    files.open(await wholeSet(real.registry, 1)),
    wholeSet(real.registry, 2).then((set) => files.open(set)),
  ]);
  assert.ok(first !== undefined);
  assert.equal(second, undefined);
  assert.ok(await files.open(await wholeSet(real.registry, 2)));
  assert.deepEqual(
    orders.map(({ set }) => set.version),
    [1, 2],
  );
});

test('who waits too long is left to the registry, and the next gets the file', async () => {
  const real = await openLargeSet();
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const { files, timers } = await openSetFiles(real, {
    write: async (order) => {
      asked.resolve();
      await gate.promise;
      return writeSet(real.store, order);
    },
  });
  const set = await wholeSet(real.registry, 1);
  const impatient = files.open(set);
  await asked.promise;
  timers.advance(10_000);
  assert.equal(await impatient, undefined);
  const patient = files.open(set);
  gate.resolve();
  assert.ok(await patient);
  assert.equal(timers.pending, 0);
});

// --- what the disk does ---

test('a byte that changed on the disk is never sent: at the beginning the registry answers', async () => {
  const real = await openLargeSet();
  const { files, directory, names, orders, lines } = await openSetFiles(real);
  const set = await wholeSet(real.registry, 1);
  await textOf(await files.open(set));
  flipByte(join(directory, only(names())), 17);
  assert.equal(await files.open(set), undefined);
  assert.match(lines.at(-1)?.message ?? '', /is not what was written/);
  assert.equal(await textOf(await files.open(set)), await streamedSet(real.registry, 1));
  assert.equal(orders.length, 2);
});

for (const [what, change] of [
  ['changed', (path: string) => flipByte(path, 2 * CHUNK_BYTES + 5)],
  ['cut off', (path: string) => truncateSync(path, 2 * CHUNK_BYTES + 5)],
] as const)
  test(`a later part that is ${what} breaks the body off before it`, async () => {
    const real = await openLargeSet();
    const { files, directory, names, lines } = await openSetFiles(real);
    const set = await wholeSet(real.registry, 1);
    const prepared = await files.open(set);
    change(join(directory, only(names())));
    const reader = prepared?.body.getReader();
    assert.ok(reader);
    const parts: Uint8Array[] = [];
    await assert.rejects(
      async () => {
        for (;;) {
          const { done, value } = await reader.read();
          assert.ok(!done, 'the body came to an end');
          parts.push(value);
        }
      },
      { code: 'storage_damaged' },
    );
    const text = Buffer.concat(parts).toString();
    assert.equal(text.length, 2 * CHUNK_BYTES);
    assert.ok((await streamedSet(real.registry, 1)).startsWith(text));
    assert.equal(lines.filter(({ message }) => message.includes('not what was written')).length, 1);
    assert.equal(await textOf(await files.open(set)), await streamedSet(real.registry, 1));
  });

test('rows that do not give the set root are not prepared, and nothing is left', async () => {
  const real = await openLargeSet();
  const set = await wholeSet(real.registry, 1);
  const lies = [
    { ...set, setRoot: (await wholeSet(real.registry, 0)).setRoot },
    { ...set, size: set.size + 1 },
  ];
  for (const lie of lies) {
    const { files, names, lines } = await openSetFiles(real);
    assert.equal(await files.open(lie), undefined);
    assert.deepEqual(names(), []);
    assert.match(`${lines.at(-1)?.fields?.cause}`, /expected the 4[01] descriptors at version 1/);
  }
  const store = lying(real.store, {
    set: async function* (version) {
      for await (const page of real.store.set(version)) yield page.slice(1);
    },
  });
  const { files, names } = await openSetFiles({ store });
  assert.equal(await files.open(set), undefined);
  assert.deepEqual(names(), []);
});

test('after a set that could not be written it rests for a minute', async () => {
  const real = await openLargeSet();
  let isBroken = true;
  const { files, timers, orders } = await openSetFiles(real, {
    write: async (order) => {
      if (isBroken) throw new Error('a thread that ended');
      return writeSet(real.store, order);
    },
  });
  const set = await wholeSet(real.registry, 1);
  assert.equal(await files.open(set), undefined);
  isBroken = false;
  assert.equal(await files.open(set), undefined);
  assert.equal(orders.length, 1);
  timers.advance(60_000);
  assert.ok(await files.open(set));
});

for (const [what, letGo] of [
  ['pruned', (real) => real.store.setOldest(3).then(() => real.store.prune())],
  ['erased', (real) => erase(real, 1)],
] as const satisfies readonly [string, (real: TestRegistry) => Promise<void>][])
  test(`a set that is ${what} while it is written is dropped, and the next is written at once`, async () => {
    const real = await openChanged();
    const set = await wholeSet(real.registry, 1);
    const store = lying(real.store, {
      set: async function* (version) {
        if (version === 1) await letGo(real);
        yield* real.store.set(version);
      },
    });
    const { files, names, lines, orders } = await openSetFiles({ store });
    assert.equal(await files.open(set), undefined);
    assert.deepEqual([names(), lines.at(-1)?.fields?.reason], [[], 'let_go']);
    assert.ok(await files.open(await wholeSet(real.registry, 4)));
    assert.equal(orders.length, 2);
  });

test('room that others need is left to them', async () => {
  const real = await openLargeSet();
  const { files, names, lines, timers, orders } = await openSetFiles(real, {
    minFreeBytes: () => Number.MAX_SAFE_INTEGER,
  });
  const set = await wholeSet(real.registry, 1);
  for (let i = 0; i < 2; i++) assert.equal(await files.open(set), undefined);
  assert.deepEqual([names(), orders.length, lines.at(-1)?.fields?.reason], [[], 1, 'no_room']);
  timers.advance(60_000);
  await files.open(set);
  assert.equal(orders.length, 2);
});

// --- how many are kept ---

test('a set larger than half of the room is tried once, until there is more room', async () => {
  const real = await openLargeSet();
  let maxBytes = 1_000_000;
  const { files, names, orders } = await openSetFiles(real, { maxBytes: () => maxBytes });
  const set = await wholeSet(real.registry, 1);
  for (let i = 0; i < 2; i++) assert.equal(await files.open(set), undefined);
  assert.deepEqual([names(), orders.length], [[], 1]);
  assert.ok(await files.open(await wholeSet(real.registry, 0)), 'a small one is prepared');
  maxBytes = 2_000_000;
  assert.ok(await files.open(set));
  maxBytes = 0;
  await real.change(put('more', {}));
  assert.equal(await files.open(await wholeSet(real.registry, 2)), undefined);
});

test('what was used longest ago goes first, but not from under who reads it', async () => {
  const real = await openLargeSet();
  await real.change(put('more', {}));
  await real.change(put('still-more', {}));
  const { files, names } = await openSetFiles(real, { maxBytes: () => 2_400_000 });
  const open = async (version: number) => files.open(await wholeSet(real.registry, version));
  await textOf(await open(1));
  const reading = await open(2);
  await textOf(await open(1));
  await textOf(await open(3));
  assert.deepEqual(
    names()
      .map((name) => name.split('-')[0])
      .sort(),
    ['1', '3'],
  );
  assert.equal(await textOf(reading), await streamedSet(real.registry, 2));
});

test('what is dropped and still read is counted: beyond the cap nothing is written', async () => {
  const real = await openLargeSet();
  for (const id of ['a', 'b', 'c']) await real.change(put(id, {}));
  const { files, names, orders, lines, timers } = await openSetFiles(real, {
    maxBytes: () => 2_000_000,
  });
  const open = async (version: number) => files.open(await wholeSet(real.registry, version));
  const reading = [await open(1), await open(2)];
  const [{ bytes = 0 } = {}] = reading;
  assert.ok(2 * bytes <= 2_000_000 && 3 * bytes > 2_000_000, 'room for two, not for three');
  // The first has no name any more, and its bytes are there.
  assert.deepEqual([await open(3), names().map((name) => name.split('-')[0])], [undefined, ['2']]);
  assert.equal(lines.at(-1)?.fields?.reason, 'no_room');
  assert.ok(orders.every(({ maxBytes }) => maxBytes <= 1_000_000));
  // It is not tried again at each request.
  assert.equal(await open(3), undefined);
  assert.equal(orders.length, 3);
  assert.equal(await textOf(reading[0]), await streamedSet(real.registry, 1));
  timers.advance(60_000);
  assert.equal(await textOf(await open(3)), await streamedSet(real.registry, 3));
  assert.equal(await textOf(reading[1]), await streamedSet(real.registry, 2));
});

test('files that are dropped and still read count among the open ones', async () => {
  const real = await openLargeSet();
  const { files, timers } = await openSetFiles(real);
  const set = await wholeSet(real.registry, 0);
  const reading: (PreparedSet | undefined)[] = [];
  for (let i = 0; i < 16; i++) {
    reading.push(await files.open(set));
    await files.forget();
  }
  assert.ok(reading.every((prepared) => prepared !== undefined));
  assert.equal(await files.open(set), undefined);
  await reading[0]?.body.cancel();
  timers.advance(60_000);
  assert.ok(await files.open(set));
});

test('files that another process left are removed, and others are not', async () => {
  const real = await openLargeSet();
  const directory = join(makeDirectory(), 'sets');
  mkdirSync(directory);
  writeFileSync(join(directory, `12-${'a'.repeat(16)}-0.json`), 'left');
  writeFileSync(join(directory, 'notes.txt'), 'mine');
  const { names } = await openSetFiles(real, { directory });
  assert.deepEqual(names(), ['notes.txt']);
});

test('a directory that cannot be used costs a warning, and no answer', async () => {
  const real = await openLargeSet();
  const directory = join(makeDirectory(), 'sets');
  writeFileSync(directory, 'a file');
  const { files, lines } = await openSetFiles(real, { directory });
  assert.equal(await files.open(await wholeSet(real.registry, 1)), undefined);
  assert.equal(lines.length, 2);
});

// --- what must not be kept ---

test('what is forgotten is gone from the disk at once, also for who reads it', async () => {
  const real = await openLargeSet();
  const { files, directory, names, orders } = await openSetFiles(real);
  const set = await wholeSet(real.registry, 1);
  const reading = await files.open(set);
  const fd = openSync(join(directory, only(names())), 'r');
  await files.forget();
  const { size } = fstatSync(fd);
  closeSync(fd);
  assert.deepEqual([names(), size], [[], 0]);
  await assert.rejects(textOf(reading), { code: 'storage_damaged' });
  assert.ok(await files.open(set));
  assert.equal(orders.length, 2);
});

test('a set that is being written when all are forgotten is given up', async () => {
  const real = await openLargeSet();
  const { files, names, lines } = await openSetFiles(real, {
    write: (order, signal) =>
      new Promise<SetOutcome>((_, reject) => {
        writeFileSync(order.path, 'half of it');
        signal.addEventListener('abort', () => reject(new Error('given up')));
      }),
  });
  const opened = files.open(await wholeSet(real.registry, 1));
  while (names().length === 0) await new Promise((resolve) => setImmediate(resolve));
  await files.forget();
  assert.deepEqual([await opened, names(), lines], [undefined, [], []]);
});

test('nothing is left behind, and nothing new is begun, after the end', async () => {
  const real = await openLargeSet();
  const { files, names, orders } = await openSetFiles(real);
  const set = await wholeSet(real.registry, 1);
  const [read, unread] = [await files.open(set), await files.open(set)];
  await textOf(read);
  await unread?.body.cancel();
  await files[Symbol.asyncDispose]();
  assert.deepEqual(names(), []);
  assert.equal(await files.open(set), undefined);
  assert.equal(orders.length, 1);
});
