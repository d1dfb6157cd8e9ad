/** Blobs as files, apart from what HTTP makes of them: memory, crashes, full disks, two at once. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RegistryError } from '../../../src/core/error.ts';
import { blobAddress } from '../../../src/server/blobs/blob-paths.ts';
import { BlobRoom } from '../../../src/server/blobs/blob-room.ts';
import { FileBlobs } from '../../../src/server/blobs/file-blobs.ts';
import { IncomingFile, writeAll } from '../../../src/server/blobs/incoming-file.ts';
import { giveBack } from '../../../src/server/give-back.ts';
import { inPieces, makeBlob, openTestBlobs, type TestBlobs } from '../../support/blobs.ts';
import { mountSmall } from '../../support/mount.ts';
import { until } from '../../support/operator.ts';
import { SILENT_LOG } from '../../support/registry.ts';
import { makeDataDir } from '../../support/server-start.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const MEBIBYTE = 1024 * 1024;

async function readAll(
  { blobs }: Pick<TestBlobs, 'blobs'>,
  address: `b3:${string}`,
): Promise<Uint8Array> {
  const blob = await blobs.open(address);
  assert.ok(blob);
  const body = await blob.read({ range: undefined, onEnd: () => {}, onBroken: () => {} });
  return body instanceof Uint8Array ? body : new Response(body).bytes();
}

test('of a blob that arrives no more than two megabytes are held, however large it is', async () => {
  const { blobs, paths } = await openTestBlobs();
  const blob = makeBlob(48 * MEBIBYTE);
  let most = 0;
  async function* watched() {
    let given = 0;
    for await (const piece of inPieces(blob.bytes)) {
      const [name = ''] = readdirSync(paths.incoming);
      most = Math.max(most, given - statSync(join(paths.incoming, name)).size);
      given += piece.length;
      yield piece;
    }
  }
  await blobs.put(blob.address, { parts: watched(), declaredBytes: blob.bytes.length });
  assert.ok(most > 0 && most <= 2 * MEBIBYTE, `${most} bytes`);
});

test('of a blob that is read no more is read than its reader takes, and two pieces', async () => {
  const kept = await openTestBlobs();
  const blob = makeBlob(8 * MEBIBYTE);
  await kept.blobs.put(blob.address, { parts: inPieces(blob.bytes), declaredBytes: undefined });
  const open = await kept.blobs.open(blob.address);
  let ends = 0;
  const body = await open?.read({ range: undefined, onEnd: () => ends++, onBroken: () => {} });
  assert.ok(body instanceof ReadableStream);
  const reader = body.getReader();
  const { value } = await reader.read();
  assert.equal(value?.length, 256 * 1024);
  await reader.cancel();
  assert.equal(ends, 1);
  assert.deepEqual(await readAll(kept, blob.address), blob.bytes);
});

test('pieces of a byte each are taken, and cost no more than larger ones', async () => {
  const kept = await openTestBlobs();
  const blob = makeBlob(20_000);
  await kept.blobs.put(blob.address, { parts: inPieces(blob.bytes, 1), declaredBytes: undefined });
  assert.deepEqual(new Uint8Array(await readAll(kept, blob.address)), blob.bytes);
});

test('the same blob from two at once is one blob, new for one of them', async () => {
  const kept = await openTestBlobs({ settings: { blob_quota: '10MiB' } });
  const blob = makeBlob(3 * MEBIBYTE);
  const upload = () => ({ parts: inPieces(blob.bytes), declaredBytes: blob.bytes.length });
  const both = await Promise.all([
    kept.blobs.put(blob.address, upload()),
    kept.blobs.put(blob.address, upload()),
  ]);
  assert.deepEqual(both.map(({ isNew }) => isNew).sort(), [false, true]);
  assert.equal(kept.files().length, 1);
  assert.equal(await kept.metric('registry_blobs'), 1);
  assert.equal(await kept.metric('registry_blob_bytes'), blob.bytes.length);
});

test('only its owner can read a blob, or see that there is one', async () => {
  const kept = await openTestBlobs();
  const blob = makeBlob(10);
  await kept.blobs.put(blob.address, { parts: inPieces(blob.bytes), declaredBytes: undefined });
  assert.equal(statSync(kept.pathOf(blob.address)).mode & 0o777, 0o600);
  for (const path of [kept.paths.root, kept.paths.incoming, ...kept.paths.shelves])
    assert.equal(statSync(path).mode & 0o777, 0o700);
});

test('a start removes what was arriving, counts what is there, and tells of files that are no blobs', async () => {
  const dataDir = makeDataDir();
  const first = await openTestBlobs({ dataDir });
  const blob = makeBlob(1_000);
  await first.blobs.put(blob.address, { parts: inPieces(blob.bytes), declaredBytes: undefined });
  const unfinished = await IncomingFile.create(first.paths.incoming, ({ path }) =>
    assert.fail(path),
  );
  await unfinished.add(blob.bytes);
  await unfinished.end();
  writeFileSync(join(first.paths.shelves[7] ?? '', 'notes.txt'), 'x');
  assert.equal(first.files().length, 3);
  const second = await openTestBlobs({ dataDir });
  assert.deepEqual([...second.files()].sort(), [blob.address.slice(3), 'notes.txt'].sort());
  assert.equal(await second.metric('registry_blobs'), 1);
  assert.equal(await second.metric('registry_blob_bytes'), 1_000);
  assert.deepEqual(second.complaints, ['no blob has this name']);
  assert.deepEqual(new Uint8Array(await readAll(second, blob.address)), blob.bytes);
  await assert.rejects(unfinished.place(second.pathOf(blob.address)), { code: 'ENOENT' });
  await unfinished[Symbol.asyncDispose]();
});

test('what its sender breaks off leaves nothing, wherever it breaks', async () => {
  const kept = await openTestBlobs();
  const blob = makeBlob(2 * MEBIBYTE);
  for (const after of [0, 1, 10, 31]) {
    async function* broken() {
      let pieces = 0;
      for await (const piece of inPieces(blob.bytes)) {
        if (pieces++ === after) throw new RegistryError('malformed', 'gone');
        yield piece;
      }
    }
    await assert.rejects(
      kept.blobs.put(blob.address, { parts: broken(), declaredBytes: undefined }),
      { code: 'malformed' },
    );
    assert.deepEqual(kept.files(), [], `after ${after} pieces`);
  }
});

test('who is refused hears why, also when what was left of the blob cannot be removed: that is logged', async () => {
  const kept = await openTestBlobs();
  const blob = makeBlob(2 * MEBIBYTE);
  /** Its file becomes a directory, which is not removed as a file is. */
  async function* undermined() {
    yield* inPieces(blob.bytes);
    for (const name of readdirSync(kept.paths.incoming)) {
      rmSync(join(kept.paths.incoming, name));
      mkdirSync(join(kept.paths.incoming, name));
    }
  }
  const other = makeBlob(10).address;
  const put = kept.blobs.put(other, { parts: undermined(), declaredBytes: undefined });
  await assert.rejects(put, { code: 'hash_mismatch' });
  assert.deepEqual(kept.complaints, ['what is left of a blob that was put cannot be removed']);
  assert.equal(await kept.metric('blob_puts_total{result="refused"}'), 1);
});

test('a full disk is said to be one, and leaves nothing', async (t) => {
  const directory = mountSmall(t, '4m');
  if (directory === undefined) return;
  const kept = await openTestBlobs({ dataDir: join(directory, 'data') });
  const blob = makeBlob(8 * MEBIBYTE);
  const put = (declaredBytes: number | undefined) =>
    kept.blobs.put(blob.address, { parts: inPieces(blob.bytes), declaredBytes });
  // What is announced is compared with the disk before anything is written.
  await assert.rejects(put(blob.bytes.length), { code: 'read_only' });
  await assert.rejects(put(undefined), { code: 'read_only' });
  const filler = join(directory, 'filler');
  const half = makeBlob(MEBIBYTE);
  /** Somebody else takes all there is while it arrives. */
  async function* overtaken() {
    yield* inPieces(half.bytes.slice(0, MEBIBYTE / 2));
    assert.throws(() => writeFileSync(filler, new Uint8Array(4 * MEBIBYTE)), { code: 'ENOSPC' });
    yield* inPieces(half.bytes.slice(MEBIBYTE / 2));
  }
  const full = kept.blobs.put(half.address, { parts: overtaken(), declaredBytes: MEBIBYTE });
  await assert.rejects(full, (error) => {
    assert.ok(error instanceof RegistryError && error.code === 'read_only');
    // The disk said so: the fault was there.
    assert.ok(error.cause instanceof Error && 'code' in error.cause);
    assert.equal(error.cause.code, 'ENOSPC');
    return true;
  });
  rmSync(filler);
  assert.deepEqual(kept.files(), []);
  const small = makeBlob(MEBIBYTE);
  assert.ok(
    (
      await kept.blobs.put(small.address, {
        parts: inPieces(small.bytes),
        declaredBytes: undefined,
      })
    ).isNew,
  );
});

test('uploads leave free what is to be left free', async (t) => {
  const directory = mountSmall(t, '64m');
  if (directory === undefined) return;
  const settings = { min_free_space: '32MiB' };
  const kept = await openTestBlobs({ dataDir: join(directory, 'data'), settings });
  const blob = makeBlob(60 * MEBIBYTE);
  let given = 0;
  async function* counted() {
    for await (const piece of inPieces(blob.bytes)) {
      given += piece.length;
      yield piece;
    }
  }
  await assert.rejects(
    kept.blobs.put(blob.address, { parts: counted(), declaredBytes: undefined }),
    { code: 'read_only' },
  );
  assert.ok(given < 50 * MEBIBYTE, `${given} bytes`);
  assert.deepEqual(kept.files(), []);
});

for (const isAnnounced of [true, false])
  test(`uploads at once, ${isAnnounced ? '' : 'not '}announced, leave free together what is to be left free`, async (t) => {
    const directory = mountSmall(t, '64m');
    if (directory === undefined) return;
    const settings = { min_free_space: '32MiB' };
    const kept = await openTestBlobs({ dataDir: join(directory, 'data'), settings });
    let least = Number.POSITIVE_INFINITY;
    const puts = Array.from({ length: 16 }, async (_, seed) => {
      const blob = makeBlob(5 * MEBIBYTE, seed);
      async function* watched(path = directory ?? '') {
        for await (const piece of inPieces(blob.bytes)) {
          const { bavail, bsize } = statfsSync(path);
          least = Math.min(least, bavail * bsize);
          yield piece;
        }
      }
      const declaredBytes = isAnnounced ? blob.bytes.length : undefined;
      return kept.blobs.put(blob.address, { parts: watched(), declaredBytes });
    });
    const ends = await Promise.allSettled(puts);
    const refused = ends.filter((end) => end.status === 'rejected');
    for (const { reason } of refused) assert.equal(reason.code, 'read_only');
    assert.ok(refused.length >= 10, `${refused.length} refused: 32 MiB are free for 80`);
    assert.ok(least >= 32 * MEBIBYTE, `${least} bytes were left`);
    // What was refused has given back its share.
    const small = makeBlob(MEBIBYTE, 99);
    const upload = { parts: inPieces(small.bytes), declaredBytes: small.bytes.length };
    assert.ok((await kept.blobs.put(small.address, upload)).isNew);
  });

for (const isAnnounced of [true, false])
  test(`a blob that was cut short on the disk is not taken for the one that is put again, ${isAnnounced ? '' : 'not '}announced`, async () => {
    const blob = makeBlob(MEBIBYTE);
    const declaredBytes = isAnnounced ? blob.bytes.length : undefined;
    const put = ({ blobs }: TestBlobs) =>
      blobs.put(blob.address, { parts: inPieces(blob.bytes), declaredBytes });
    const before = await openTestBlobs();
    await put(before);
    truncateSync(before.pathOf(blob.address), 1000);
    const kept = await openTestBlobs(before);
    // Whose length is known only at its end is told to put it again.
    if (!isAnnounced) await assert.rejects(put(kept), { code: 'storage_damaged' });
    assert.ok((await put(kept)).isNew);
    assert.deepEqual(await readAll(kept, blob.address), blob.bytes);
    assert.equal(await kept.metric('registry_blobs'), 1);
    assert.equal(await kept.metric('registry_blob_bytes'), blob.bytes.length);
    assert.equal(await kept.metric('blobs_damaged_total'), 1);
    assert.equal(kept.complaints.length, 1);
  });

test('a changed blob that is read before all are counted is not taken off what was never added', async () => {
  const kept = await openTestBlobs();
  const blob = makeBlob(1_000);
  await kept.blobs.put(blob.address, { parts: inPieces(blob.bytes), declaredBytes: undefined });
  writeFileSync(kept.pathOf(blob.address), makeBlob(1_000, 1).bytes);
  const limits = { maxBlobBytes: 1, quotaBytes: 1, graceMs: 1, minFreeBytes: 1 };
  const parts = { ...kept, limits: () => limits, log: SILENT_LOG, now: Date.now };
  const blobs = new FileBlobs(parts);
  await assert.rejects(readAll({ blobs }, blob.address), { code: 'storage_damaged' });
  await until(async () => (await kept.metric('blobs_damaged_total')) === 1);
  await blobs.count();
  assert.equal(await kept.metric('registry_blobs'), 0);
  assert.equal(await kept.metric('registry_blob_bytes'), 0);
});

test('whether a blob is removed that is put again at that moment is decided when it is young', async () => {
  let onRenewed = () => {};
  const now = () => {
    onRenewed();
    return Date.now();
  };
  const { blobs, pathOf } = await openTestBlobs({ now });
  const { address, bytes } = makeBlob(1_000);
  const put = () => blobs.put(address, { parts: inPieces(bytes), declaredBytes: bytes.length });
  await put();
  utimesSync(pathOf(address), 1, 1);
  const seen: number[] = [];
  const isNamed = () => seen.push(statSync(pathOf(address)).mtimeMs) > 0;
  const removing: unknown[] = [];
  // It has been looked for, and its time is not written yet.
  onRenewed = () => removing.push(blobs.remove(address, { beforeMs: Infinity, isNamed }));
  assert.ok(!(await put()).isNew);
  assert.deepEqual(await Promise.all(removing), [undefined]);
  assert.equal(seen.length, 1);
  assert.ok((seen[0] ?? 0) > 1_000, `it was last put at ${seen[0]}`);
});

test('a blob that is kept is counted once, no longer as one that arrives', async () => {
  const kept = await openTestBlobs({ settings: { blob_quota: '3MiB' } });
  const room = new BlobRoom({ quota: () => 3 * MEBIBYTE, metrics: kept.metrics });
  using first = room.promise();
  first.atLeast(2 * MEBIBYTE);
  first.keep(2 * MEBIBYTE);
  using second = room.promise();
  second.atLeast(MEBIBYTE);
  assert.throws(() => second.atLeast(MEBIBYTE + 1), { code: 'no_room' });
});

test('where no directory can be made, a start says what to do', async () => {
  const dataDir = makeDirectory();
  writeFileSync(join(dataDir, 'blobs'), 'a file');
  await assert.rejects(openTestBlobs({ dataDir }), {
    code: 'storage_failed',
    message: /turn blobs off/,
  });
});

test('a directory in the place of a blob is none, and a link leads nowhere', async () => {
  const kept = await openTestBlobs();
  const { address } = makeBlob(5);
  mkdirSync(kept.pathOf(address));
  await assert.rejects(kept.blobs.open(address), { code: 'storage_failed' });
  assert.ok(existsSync(kept.pathOf(address)));
});

test('a file name is an address or it is none', () => {
  const { address } = makeBlob(1);
  assert.equal(blobAddress(address.slice(3)), address);
  for (const name of [
    '',
    '..',
    'x',
    address,
    address.slice(3).toUpperCase(),
    `${address.slice(3)}.tmp`,
  ])
    assert.equal(blobAddress(name), undefined, name);
});

test('pieces of all sizes are one file', async () => {
  const directory = makeDirectory();
  const blob = makeBlob(3 * MEBIBYTE);
  await using incoming = await IncomingFile.create(directory, ({ path }) => assert.fail(path));
  // Pieces of all sizes, empty ones among them, over several batches.
  for (let at = 0, size = 0; at < blob.bytes.length; at += size, size = (size * 7 + 13) % 90_001)
    await incoming.add(blob.bytes.subarray(at, at + size));
  const rest = await incoming.end();
  const path = join(directory, 'placed');
  await incoming.place(path);
  assert.equal(rest, blob.address);
  assert.deepEqual(new Uint8Array(readFileSync(path)), blob.bytes);
});

test('a file system that takes a part of what it is given gets the rest too', async () => {
  const { bytes } = makeBlob(1_000);
  const taken: number[] = [];
  const writev = async <T extends readonly NodeJS.ArrayBufferView[]>(buffers: T) => {
    const all = Buffer.concat(
      buffers.map(
        ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
      ),
    );
    const bytesWritten = Math.min(all.length, 77);
    taken.push(...all.subarray(0, bytesWritten));
    return { bytesWritten, buffers };
  };
  const ends = [0, 1, 1, 78, 500, 501, 1_000];
  await writeAll(
    { writev },
    ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end)),
  );
  assert.deepEqual(Uint8Array.from(taken), bytes);
});

test('what has memory of its own gives it back, and a part of something larger does not', () => {
  const whole = new Uint8Array(100).fill(1);
  giveBack(whole);
  assert.deepEqual([whole.length, whole.buffer.byteLength], [0, 0]);
  const larger = new Uint8Array(100).fill(1);
  giveBack(larger.subarray(0, 99));
  assert.deepEqual([larger.length, larger[99]], [100, 1]);
});

test('pieces that arrive are emptied when they are written, so that nobody has to collect them', async () => {
  const { blobs } = await openTestBlobs();
  const blob = makeBlob(4 * MEBIBYTE);
  const given: Uint8Array[] = [];
  async function* kept() {
    for await (const piece of inPieces(blob.bytes)) {
      given.push(piece);
      yield piece;
    }
  }
  await blobs.put(blob.address, { parts: kept(), declaredBytes: undefined });
  const left = given.filter(({ length }) => length > 0);
  assert.equal(given.length, 64);
  // The last two batches went with the file.
  assert.ok(left.length <= 16, `${left.length} of ${given.length}`);
});

test('the quota is told beside what is kept of it, as it is since the last reload', async () => {
  const { metric, reload } = await openTestBlobs({ settings: { blob_quota: '1MiB' } });
  assert.equal(await metric('registry_blob_quota_bytes'), 1024 ** 2);
  await reload({ blob_quota: '3MiB' });
  assert.equal(await metric('registry_blob_quota_bytes'), 3 * 1024 ** 2);
});
