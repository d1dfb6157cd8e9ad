import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { COMPRESS } from '../../../src/server/compress.ts';

const DECODE = { br: brotliDecompressSync, zstd: zstdDecompressSync, gzip: gunzipSync };

test('every coding gives the body back, and the same bytes each time, for its ETag is strong', async () => {
  const text = new TextEncoder().encode('{"id":"a","kind":"service","spec":{}}'.repeat(5000));
  for (const body of [text, new Uint8Array(randomBytes(100_000)), new Uint8Array()])
    for (const coding of ['br', 'zstd', 'gzip'] as const) {
      const coded = await COMPRESS[coding](body);
      assert.ok(DECODE[coding](coded).equals(body), coding);
      assert.deepEqual(await COMPRESS[coding](body), coded, coding);
      if (body === text) assert.ok(coded.length < body.length / 50, `${coding} ${coded.length}`);
    }
});
