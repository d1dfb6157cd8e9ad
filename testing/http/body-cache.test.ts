import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BodyCache } from '../../src/http/body-cache.ts';

const bytes = (length: number, fill = 0): Uint8Array => new Uint8Array(length).fill(fill);

test('whoever asks while a body is made gets the same one', async () => {
  const cache = new BodyCache(10_000);
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  let made = 0;
  const make = () => {
    made++;
    return promise;
  };
  const asked = [cache.get('a', make), cache.get('a', make), cache.get('a', make)];
  resolve(bytes(10, 7));
  const [first, ...others] = await Promise.all(asked);
  for (const other of others) assert.equal(other, first);
  assert.equal(await cache.get('a', make), first);
  assert.equal(made, 1);
});

test('a failure reaches all who wait and is not kept', async () => {
  const cache = new BodyCache(10_000);
  const fail = () => Promise.reject(new Error('gone'));
  const asked = [cache.get('a', fail), cache.get('a', fail)];
  for (const one of asked) await assert.rejects(one, /gone/);
  assert.equal((await cache.get('a', async () => bytes(1))).length, 1);
});

test('the least recently used body goes first', async () => {
  const cache = new BodyCache(3_800);
  const made: string[] = [];
  const get = (key: string) =>
    cache.get(key, async () => {
      made.push(key);
      return bytes(1_000);
    });
  for (const key of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) await get(key);
  assert.deepEqual(made, ['a', 'b', 'c', 'd', 'b']);
});

test('a body larger than the cache is given and not kept', async () => {
  const cache = new BodyCache(1_000);
  await cache.get('small', async () => bytes(500));
  const held = cache.bytes;
  assert.equal((await cache.get('large', async () => bytes(1_001))).length, 1_001);
  assert.equal(cache.bytes, held);
});

test('bodies without a byte are bounded too', async () => {
  const cache = new BodyCache(1_000);
  let made = 0;
  const make = async () => {
    made++;
    return bytes(0);
  };
  for (let i = 0; i < 100; i++) await cache.get(`${i}`, make);
  assert.ok(cache.bytes <= 1_000);
  await cache.get('0', make);
  assert.equal(made, 101);
});

test('it never holds more than its bound, and always answers what was made for the key', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(9), fc.nat(3)), { maxLength: 60 }), async (asked) => {
      const cache = new BodyCache(4_000);
      await Promise.all(
        asked.map(async ([key, delay]) => {
          for (let i = 0; i < delay; i++) await undefined;
          const body = await cache.get(`${key}`, async () => bytes(key * 300, key));
          assert.ok(body.length === key * 300 && body.every((byte) => byte === key));
          assert.ok(cache.bytes <= 4_000);
        }),
      );
    }),
  );
});
