/** What goes through a stream of zlib comes out right, and leaves no memory behind for others to collect. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createZstdCompress, createZstdDecompress, zstdCompressSync } from 'node:zlib';
import { throughZip } from '../../../src/server/snapshot/zip.ts';

const MEBIBYTE = 1024 * 1024;
const CONTENT = Buffer.concat([randomBytes(3 * MEBIBYTE), Buffer.alloc(2 * MEBIBYTE, 'quorate')]);

/** Each in memory of its own; `keep` gets them too. */
async function* inPieces(bytes: Uint8Array, length: number, keep: Uint8Array[] = []) {
  for (let at = 0; at < bytes.length; at += length) {
    const piece = new Uint8Array(bytes.subarray(at, at + length));
    keep.push(piece);
    yield piece;
  }
}

test('whatever the pieces, and however slowly they are taken, the bytes are the same', async () => {
  for (const length of [700, 16_384, 65_536, 300_000, MEBIBYTE, CONTENT.length]) {
    const packed: Buffer[] = [];
    await throughZip({
      chunks: inPieces(CONTENT, length),
      zip: createZstdCompress,
      take: async (chunk) => {
        await turn();
        packed.push(Buffer.from(chunk));
      },
    });
    const unpacked: Buffer[] = [];
    await throughZip({
      chunks: inPieces(Buffer.concat(packed), length),
      zip: createZstdDecompress,
      take: async (chunk) => {
        await turn();
        unpacked.push(Buffer.from(chunk));
      },
    });
    assert.ok(CONTENT.equals(Buffer.concat(unpacked)), `${length} bytes`);
  }
});

test('large pieces are empty when they were read, and what comes out when it was taken', async () => {
  const read: Uint8Array[] = [];
  const taken: Uint8Array[] = [];
  await throughZip({
    chunks: inPieces(zstdCompressSync(CONTENT), 256 * 1024, read),
    zip: createZstdDecompress,
    take: async (chunk) => void taken.push(chunk),
  });
  assert.ok(read.length > 10 && taken.length >= 5);
  // Of a piece that is not large, as the last one, nobody waits to hear.
  read.pop();
  assert.deepEqual(new Set(read.map(({ length }) => length)), new Set([0]));
  assert.deepEqual(new Set(taken.map(({ length }) => length)), new Set([0]));
});

interface Ended {
  readonly error: unknown;
  readonly isSourceEnded: boolean;
}

/** Over an endless source, until something fails. */
async function endOf(options: {
  readonly failSource?: Error;
  readonly failTake?: Error;
  readonly signal?: AbortSignal;
}): Promise<Ended> {
  let isSourceEnded = false;
  async function* source() {
    try {
      for (let count = 0; ; count++) {
        if (count === 5 && options.failSource !== undefined) throw options.failSource;
        yield new Uint8Array(randomBytes(100_000));
      }
    } finally {
      isSourceEnded = true;
    }
  }
  const take = async () => {
    if (options.failTake !== undefined) throw options.failTake;
  };
  const { signal } = options;
  const error = await throughZip({
    chunks: source(),
    zip: createZstdCompress,
    take,
    signal,
  }).catch((cause: unknown) => cause);
  // Told a turn or two later.
  for (let i = 0; i < 100 && !isSourceEnded; i++) await turn();
  return { error, isSourceEnded };
}

test('what fails on either side, or gives up, ends both and is what is thrown', async (t) => {
  const error = new Error('enough');
  assert.deepEqual(await endOf({ failSource: error }), { error, isSourceEnded: true });
  assert.deepEqual(await endOf({ failTake: error }), { error, isSourceEnded: true });
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 50);
  t.after(() => clearTimeout(timer));
  const { error: given, isSourceEnded } = await endOf({ signal: abort.signal });
  assert.equal(given instanceof Error && given.name, 'AbortError');
  assert.ok(isSourceEnded);
});
