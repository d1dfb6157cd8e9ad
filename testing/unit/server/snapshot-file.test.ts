/** The snapshot file: what it says, and that nothing but what it says comes out of it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { zstdCompressSync } from 'node:zlib';
import { canonicalBytes, parseCanonical } from '../../../src/core/canonical.ts';
import { RegistryError } from '../../../src/core/error.ts';
import { hashOf } from '../../../src/core/hash.ts';
import { SKEW_MS } from '../../../src/core/time.ts';
import { readFrom } from '../../../src/server/snapshot/directory-place.ts';
import {
  assertFacts,
  decodeHeader,
  encodeHeader,
  isSnapshotName,
  MAX_HEADER_BYTES,
  type SnapshotHeader,
  snapshotName,
} from '../../../src/server/snapshot/header.ts';
import { packDatabase } from '../../../src/server/snapshot/pack.ts';
import { type Chunks, openSnapshot, unpackSnapshot } from '../../../src/server/snapshot/unpack.ts';
import { unpackVerified } from '../../../src/server/snapshot/unpack-verified.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { makeRandom } from '../../support/random.ts';
import { openTestRegistry, put, type TestRegistry } from '../../support/registry.ts';
import { START } from '../../support/signers.ts';
import { packTest, type TestSnapshot, withHeader, written } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };
const { signal } = new AbortController();

let real: TestRegistry;
let database: string;
let snapshot: TestSnapshot;

before(async () => {
  database = join(makeDirectory(), 'registry.db');
  real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path: database }) });
  await real.change(put('a', { v: 1 }));
  await real.change(put('b', { text: 'x'.repeat(20_000) }));
  await real.registry[Symbol.asyncDispose]();
  snapshot = await packTest(database);
});

async function unpack(source: Chunks, to: string | null = join(makeDirectory(), 'out.db')) {
  await unpackSnapshot(await openSnapshot(source), { to, onProgress: () => undefined, signal });
  return to ?? '';
}

/** Pieces of one byte, of a few, or all at once. */
async function* inPieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

function splitAt(path: string): { line: Uint8Array; body: Uint8Array } {
  const file = readFileSync(path);
  const end = file.indexOf(0x0a);
  return { line: file.subarray(0, end), body: file.subarray(end + 1) };
}

test('a snapshot is a line of canonical json, and the database compressed after it', async () => {
  const { line, body } = splitAt(snapshot.path);
  const head = real.registry.head()?.object;
  const bytes = readFileSync(database);
  assert.deepEqual(parseCanonical(line), {
    bytes: bytes.length,
    checkpoint: real.registry.checkpoint()?.note,
    content: hashOf(bytes),
    created_at: '2026-11-21T09:00:00.000Z',
    entry_hash: head?.entry_hash,
    format: 'quorate/snapshot/v1',
    governance_version: 1,
    oldest: 0,
    origin: head?.origin,
    packed_bytes: String(body.length).padStart(16, '0'),
    program: '1.2.3',
    proposals: 0,
    registry: real.registryHash,
    schema_version: snapshot.header.schemaVersion,
    set_root: head?.set_root,
    set_size: 2,
    tree_root: real.registry.checkpoint()?.note.split('\n')[2],
    tree_size: 3,
    version: 2,
  });
  assert.equal(snapshot.id, hashOf(line));
  assert.deepEqual(decodeHeader(line), snapshot.header);
  assert.equal(
    snapshotName({ version: 2, id: snapshot.id }),
    `2-${snapshot.id.slice(3, 19)}.qsnap`,
  );
  assert.ok(body.length < bytes.length / 4, `${body.length} of ${bytes.length}`);
});

test('the database comes out as it went in, whatever the pieces', async () => {
  const file = readFileSync(snapshot.path);
  for (const length of [1, 7, 4_096, file.length]) {
    const to = await unpack(inPieces(file, length));
    assert.deepEqual(readFileSync(to), readFileSync(database), `pieces of ${length}`);
    assert.equal(statSync(to).mode & 0o777, 0o600);
  }
  assert.deepEqual(readFileSync(await unpack(readFrom(snapshot.path, 0))), readFileSync(database));
});

test('progress counts the bytes of the database, to the last', async () => {
  const told: number[][] = [];
  const opened = await openSnapshot(readFrom(snapshot.path, 0));
  const onProgress = (done: number, total: number) => void told.push([done, total]);
  await unpackSnapshot(opened, { to: null, onProgress, signal });
  const { length } = readFileSync(database);
  assert.deepEqual(told.at(-1), [length, length]);
});

test('a file that is cut short anywhere is damaged, and its end is missed', async () => {
  const file = readFileSync(snapshot.path);
  const end = file.indexOf(0x0a);
  const cuts = [0, 1, end - 1, end, end + 1, end + 2, end + 4, end + 9, file.length - 1];
  for (let i = 1; i < 16; i++) cuts.push(end + Math.floor(((file.length - end) * i) / 16));
  for (const cut of cuts)
    await assert.rejects(
      unpack(inPieces(file.subarray(0, cut), 1_000)),
      (error: unknown) => {
        assert.ok(error instanceof RegistryError, `${cut}: ${error}`);
        assert.equal(error.code, 'storage_damaged', `cut at ${cut}`);
        return true;
      },
      `cut at ${cut}`,
    );
});

test('what stands after the end is refused', async () => {
  const file = readFileSync(snapshot.path);
  for (const more of [Uint8Array.of(0), zstdCompressSync('x'), file])
    await assert.rejects(unpack(inPieces(Buffer.concat([file, more]), 4_096)), {
      code: 'storage_damaged',
      message: /bytes after the header, got more/,
    });
});

test('what hides behind the compressed database, as long as the header says, is refused', async () => {
  const { body } = splitAt(snapshot.path);
  const packed_bytes = String(body.length + 3).padStart(16, '0');
  const longer = readFileSync(withHeader(snapshot.path, { packed_bytes }));
  for (const length of [1, 4_096, 65_536])
    await assert.rejects(unpack(inPieces(Buffer.concat([longer, Buffer.from('abc')]), length)), {
      code: 'storage_damaged',
      message: /do not decompress/,
    });
});

test('one flipped bit anywhere in the compressed database is found', async (t) => {
  const seed = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const random = makeRandom(seed);
  const file = readFileSync(snapshot.path);
  const begin = file.indexOf(0x0a) + 1;
  const places = Array.from({ length: 12 }, (_, i) => begin + i);
  for (let i = 0; i < 60; i++)
    places.push(begin + Math.floor(random() * (file.length - begin)), file.length - 1 - (i % 8));
  let unfound = 0;
  for (const at of places) {
    const flipped = Uint8Array.from(file);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    const to = join(makeDirectory(), 'out.db');
    try {
      await unpack(inPieces(flipped, 4_096), to);
      // A bit of the frame that decides nothing, such as an unused one: then the database is the same.
      assert.deepEqual(readFileSync(to), readFileSync(database), `byte ${at}`);
      unfound++;
    } catch (error) {
      assert.ok(error instanceof RegistryError, `byte ${at}: ${error}`);
      assert.equal(error.code, 'storage_damaged', `byte ${at}`);
    }
  }
  assert.ok(unfound <= places.length / 4, `${unfound} of ${places.length} changed nothing`);
});

test('a database that expands beyond what the header says is not written on', async () => {
  const bytes = 64 * 1024 * 1024;
  const bomb = zstdCompressSync(new Uint8Array(bytes));
  assert.ok(bomb.length < 20_000);
  const { line } = splitAt(snapshot.path);
  const header = {
    ...(parseCanonical(line) as object),
    packed_bytes: String(bomb.length).padStart(16, '0'),
  };
  const file = Buffer.concat([canonicalBytes(header), Uint8Array.of(0x0a), bomb]);
  const to = join(makeDirectory(), 'out.db');
  await assert.rejects(unpack(inPieces(file, 4_096), to), {
    code: 'storage_damaged',
    message: /bytes of database, got more/,
  });
  assert.ok(statSync(to).size <= snapshot.header.bytes, `${statSync(to).size} bytes were written`);
});

test('a window that would take gigabytes of memory is refused', async () => {
  const { line } = splitAt(snapshot.path);
  // A frame that asks for a window of 2^31 bytes: magic, descriptor, window byte, an empty last block.
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00);
  const header = {
    ...(parseCanonical(line) as object),
    packed_bytes: String(frame.length).padStart(16, '0'),
  };
  const file = Buffer.concat([canonicalBytes(header), Uint8Array.of(0x0a), frame]);
  await assert.rejects(unpack(inPieces(file, 4_096)), {
    code: 'storage_damaged',
    message: /ZSTD_error/,
  });
});

test('a header without an end is read for 1 MiB and no further', async () => {
  let given = 0;
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) {
      given += 10_000;
      yield new Uint8Array(10_000).fill(0x61);
    }
  };
  await assert.rejects(openSnapshot(endless()), {
    code: 'storage_damaged',
    message: /a header line of at most 1048576 bytes/,
  });
  assert.ok(given <= MAX_HEADER_BYTES + 10_000, `${given} bytes were read`);
});

test('what is no snapshot says so', async () => {
  for (const bytes of ['', 'hello', 'hello\n', '{}\n', '[]\n', '{"format":1}\n', '\n\n'])
    await assert.rejects(unpack(inPieces(Buffer.from(bytes), 3)), { code: 'storage_damaged' });
  await assert.rejects(unpack(readFrom(database, 0)), { code: 'storage_damaged' });
  await assert.rejects(unpack(readFrom(join(makeDirectory(), 'none.qsnap'), 0)), {
    code: 'not_found',
  });
  await assert.rejects(unpack(readFrom(makeDirectory(), 0)), { code: 'storage_failed' });
});

test('a newer format and a newer schema are a newer program, not damage', async () => {
  for (const members of [
    { format: 'quorate/snapshot/v2', something: 'else' },
    { schema_version: snapshot.header.schemaVersion + 1 },
  ])
    await assert.rejects(unpack(readFrom(withHeader(snapshot.path, members), 0)), {
      code: 'storage_newer',
      message: /a newer program wrote it/,
    });
});

const WRONG: readonly (readonly [string, unknown])[] = [
  ['bytes', 0],
  ['bytes', 2 ** 52],
  ['bytes', '1'],
  ['checkpoint', 1],
  ['content', 'b3:xyz'],
  ['created_at', 'yesterday'],
  ['entry_hash', null],
  ['format', 'quorate/bundle/v1'],
  ['governance_version', 0],
  ['oldest', -1],
  ['oldest', 3],
  ['origin', '../etc passwd'],
  ['packed_bytes', 12],
  ['packed_bytes', '1'],
  ['packed_bytes', '9999999999999999'],
  ['program', 7],
  ['proposals', 1.5],
  ['registry', ''],
  ['schema_version', 0],
  ['set_root', 'b3:'],
  ['set_size', -1],
  ['tree_root', 'AAAA'],
  ['tree_size', 2],
  ['version', 2 ** 53],
  ['more', 1],
];

test('every member of the header is read strictly, and no other is let in', () => {
  const { line } = splitAt(snapshot.path);
  const whole = parseCanonical(line) as Record<string, unknown>;
  for (const [name, value] of WRONG)
    assert.throws(
      () => decodeHeader(canonicalBytes({ ...whole, [name]: value })),
      { code: 'storage_damaged' },
      `${name}: ${value}`,
    );
  for (const name of Object.keys(whole)) {
    const { [name]: _, ...others } = whole;
    assert.throws(() => decodeHeader(canonicalBytes(others)), { code: 'storage_damaged' }, name);
  }
});

test('a header about another database is found, whatever it lies about', () => {
  const { header } = snapshot;
  assertFacts(header, header);
  for (const [name, value] of [
    ['version', 1],
    ['setSize', 3],
    ['checkpoint', null],
    ['treeRoot', new Uint8Array(32)],
    ['proposals', 1],
    ['registry', header.content],
  ] as const)
    assert.throws(() => assertFacts({ ...header, [name]: value }, header), {
      code: 'storage_damaged',
      message: new RegExp(name),
    });
});

/** The line with each of its bits changed in turn. */
function* flips(line: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < line.length * 8; bit++) {
    const at = bit >> 3;
    yield line.with(at, (line[at] ?? 0) ^ (1 << (bit & 7)));
  }
}

test('under its name, or its id, no bit of the header is another', async () => {
  const { line } = splitAt(snapshot.path);
  const { id } = snapshot;
  const open = (changed: Uint8Array, wanted: string) =>
    openSnapshot(inPieces(Buffer.concat([changed, Uint8Array.of(0x0a)]), line.length + 1), wanted);
  for (const wanted of [id, snapshotName({ version: 2, id })]) {
    assert.equal((await open(line, wanted)).id, id);
    for (const changed of flips(line))
      await assert.rejects(
        open(changed, wanted),
        ({ code }: RegistryError) => code === 'storage_damaged' || code === 'storage_newer',
      );
  }
});

test('of a header without its id, all is held against the database but when and by what it was made', async () => {
  const { line } = splitAt(snapshot.path);
  const { header, path } = snapshot;
  const verify = (changed: Uint8Array) =>
    unpackVerified(
      inPieces(Buffer.concat([changed, Uint8Array.of(0x0a), splitAt(path).body]), 4_096),
      {
        directory: makeDirectory(),
        registry: undefined,
        now: () => START,
        onProgress: () => undefined,
        signal,
      },
    );
  const [free, held] = [new Set<string>(), new Set<string>()];
  for (const changed of flips(line)) {
    const read = headerIn(changed);
    if (read === undefined) continue;
    const names = (Object.keys(header) as (keyof SnapshotHeader)[]).filter(
      (name) => !isDeepStrictEqual(read[name], header[name]),
    );
    const [name] = names;
    assert.ok(name !== undefined && names.length === 1, 'one bit changes one member');
    const isFree = name === 'program' || Date.parse(read.createdAt) <= START + SKEW_MS;
    if (isFree && ['program', 'createdAt'].includes(name)) free.add(name);
    else if (!held.has(name)) {
      // Each member is compared whole: one bit of it is enough to see that it is.
      held.add(name);
      await assert.rejects(verify(changed), { code: 'storage_damaged' }, name);
    }
  }
  assert.deepEqual([...free].sort(), ['createdAt', 'program']);
  // `tree_size` says the version again.
  const never = ['program', 'version'];
  assert.deepEqual(
    Object.keys(header).filter((name) => !held.has(name)),
    Object.keys(header).filter((name) => never.includes(name)),
  );
});

/** `undefined`: none is read in it. */
function headerIn(line: Uint8Array): SnapshotHeader | undefined {
  try {
    return decodeHeader(line);
  } catch {
    return undefined;
  }
}

test('a header that does not fit is not written', async () => {
  const to = join(makeDirectory(), 'large.qsnap');
  const header = { ...snapshot.header, program: 'x'.repeat(MAX_HEADER_BYTES) };
  await assert.rejects(packDatabase({ database, to, header, onProgress: () => undefined }), {
    code: 'too_large',
  });
  assert.ok(encodeHeader(header).length > MAX_HEADER_BYTES);
});

test('names are told from what they should be, and lead nowhere', () => {
  assert.ok(isSnapshotName('0-0123456789abcdef.qsnap'));
  for (const name of [
    '../0-0123456789abcdef.qsnap',
    '0-0123456789ABCDEF.qsnap',
    '00-0123456789abcdef.qsnap',
    '0-0123456789abcdef.qsnap\n',
    '0-0123456789abcdef',
    '-1-0123456789abcdef.qsnap',
    '',
  ])
    assert.equal(isSnapshotName(name), false, JSON.stringify(name));
});

test('one that is given up ends at once, and the stream with it', async () => {
  const given = new AbortController();
  let isEnded = false;
  const slow = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of inPieces(readFileSync(snapshot.path), 500)) {
        yield piece;
        given.abort(new RegistryError('unavailable', 'given up'));
      }
    } finally {
      isEnded = true;
    }
  };
  const opened = await openSnapshot(inPieces(readFileSync(snapshot.path), 50));
  await opened.body.return();
  const unpacking = openSnapshot(slow()).then((source) =>
    unpackSnapshot(source, { to: null, onProgress: () => undefined, signal: given.signal }),
  );
  await assert.rejects(unpacking, { message: 'given up' });
  assert.ok(isEnded);
});

test('whoever ends a snapshot ends its source, read from or not', async () => {
  const file = readFileSync(snapshot.path);
  let ended = 0;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* inPieces(file, 4_096);
    } finally {
      ended++;
    }
  };
  const open = async () => openSnapshot(source());
  await (await open()).body.return();
  assert.equal(ended, 1, 'nothing was read');
  const { body } = await open();
  assert.equal((await body.next()).done, false);
  await body.return();
  assert.equal(ended, 2, 'some was read');
  const unpacking = { onProgress: () => undefined, signal };
  const there = written(new Uint8Array());
  await assert.rejects(unpackSnapshot(await open(), { ...unpacking, to: there }), {
    code: 'EEXIST',
  });
  assert.equal(ended, 3, 'there was no file to write to');
  const aborted = { ...unpacking, to: null, signal: AbortSignal.abort(new Error('given up')) };
  await assert.rejects(unpackSnapshot(await open(), aborted), /given up/);
  assert.equal(ended, 4, 'it was given up before');
});

test('a file that is there already is not written over', async () => {
  const to = join(makeDirectory(), 'out.db');
  writeFileSync(to, 'mine');
  await assert.rejects(unpack(readFrom(snapshot.path, 0), to), { code: 'EEXIST' });
  assert.equal(readFileSync(to, 'utf8'), 'mine');
  assert.ok(existsSync(written(new Uint8Array())));
});
