/**
 * Our log read by code that nobody here wrote: Go's golang.org/x/mod/sumdb opens the checkpoints, holds
 * every tile and every entry bundle against them, and makes the same proofs.
 */
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { encodeBase64, encodeUtf8 } from '../../src/core/bytes.ts';
import { encodeCheckpoint } from '../../src/core/tlog/checkpoint.ts';
import { cosignedMessage, encodeCosignature } from '../../src/core/tlog/cosignature.ts';
import { type NodePlace, proveConsistency, proveInclusion } from '../../src/core/tlog/merkle.ts';
import { encodeNote, type NoteSignature } from '../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../src/core/tlog/note-signatures.ts';
import {
  encodeBundle,
  formatTileName,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TileName,
  tileWidth,
} from '../../src/core/tlog/tiles.ts';
import { createPortableVerifier } from '../../src/core/verifier.ts';
import { encodeVerifierKey, parseVerifierKey } from '../../src/core/vkey.ts';
import { makeSigner } from '../support/core-registry.ts';
import { type GrownTree, growTree } from '../support/core-tlog.ts';
import { goReader, isGoMissing } from '../support/go-reader.ts';
import { beginOver, clientOf, commitService, startTestServer } from '../support/server-start.ts';
import { LOG_SIGNER, ORIGIN as SERVER_ORIGIN } from '../support/signers.ts';

const ORIGIN = 'registry.example/main';
const WITNESS = 'witness.example/w1';
const SIZES = [1, 2, 255, 256, 257, 600, 70_000];
const [log, witness] = [makeSigner(ORIGIN, 7), makeSigner(WITNESS, 9)];
const LOG_KEY = encodeVerifierKey({ name: ORIGIN, publicKey: log.publicKey });
const WITNESS_KEY = encodeVerifierKey({
  name: WITNESS,
  type: 'cosigner',
  publicKey: witness.publicKey,
});

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface WrittenLog {
  readonly folder: string;
  readonly tree: GrownTree;
  readonly checkpoints: readonly string[];
}

interface GoReport {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly signers: readonly string[];
  readonly leaves: number;
  readonly inclusion: readonly { place: number; hashes: readonly string[] }[];
  readonly consistency: readonly { place: number; hashes: readonly string[] }[] | null;
}

/** As a server would have published it at each of these sizes, every partial tile kept. */
async function writeLog(sizes: readonly number[], x = 'x'): Promise<WrittenLog> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-tiles-'));
  folders.push(folder);
  // Of every length from nothing to some hundred bytes.
  const records = Array.from({ length: Math.max(...sizes) }, (_, i) =>
    encodeUtf8(i === 3 ? '' : `{"version":${i},"x":"${x.repeat((i % 300) + 1)}"}`),
  );
  const tree = growTree(records);
  const write = (path: string, bytes: string | Uint8Array): void => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  };
  const written = new Set<string>();
  for (const size of sizes) {
    for (const name of tilesOf(size)) {
      const path = `tile/${formatTileName(name)}`;
      if (written.has(path)) continue;
      written.add(path);
      write(path, await bytesOf(name, { tree, records }));
    }
    write(`checkpoint-${size}`, signedAt(size, tree));
  }
  return { folder, tree, checkpoints: sizes.map((size) => `checkpoint-${size}`) };
}

function tilesOf(size: number): readonly TileName[] {
  return [...([0, 1, 2, 3] as const), 'entries' as const].flatMap((level) => {
    const names: TileName[] = [];
    for (let index = 0; tileWidth({ level, index }, size) > 0; index++)
      names.push({ level, index, width: tileWidth({ level, index }, size) });
    return names;
  });
}

async function bytesOf(
  { level, index, width }: TileName,
  { tree, records }: { tree: GrownTree; records: readonly Uint8Array[] },
): Promise<Uint8Array> {
  const begin = index * TILE_WIDTH;
  if (level === 'entries') return encodeBundle(records.slice(begin, begin + width));
  const places = Array.from(
    { length: width },
    (_, i): NodePlace => ({ level: level * TILE_HEIGHT, index: begin + i }),
  );
  return Buffer.concat([...(await tree.read(places))]);
}

function signedAt(size: number, { trees }: GrownTree): string {
  const text = encodeCheckpoint({ origin: ORIGIN, size, root: trees[size]!.root });
  const timestamp = 1_763_683_200 + size;
  const cosignature = encodeCosignature({
    timestamp,
    signature: Uint8Array.from(sign(null, cosignedMessage(text, timestamp), witness.privateKey)),
  });
  const signature = Uint8Array.from(sign(null, encodeUtf8(text), log.privateKey));
  const signatures: NoteSignature[] = [
    { ...parseVerifierKey(LOG_KEY)!, signature },
    { ...parseVerifierKey(WITNESS_KEY)!, signature: cosignature },
    // By somebody whom the reader does not know.
    { name: 'witness.example/w9', keyId: '00000000', signature: new Uint8Array(72) },
  ];
  return encodeNote({ text, signatures });
}

const read = ({ folder, checkpoints }: WrittenLog, cosigner = WITNESS_KEY) =>
  goReader<GoReport>([folder, LOG_KEY, cosigner, ...checkpoints]);

test("go's sumdb reads the log at each size, leaf by leaf, and makes the same proofs", async (t) => {
  if (isGoMissing(t)) return;
  const written = await writeLog(SIZES);
  const reports = await read(written);
  assert.deepEqual(
    reports.map(({ size }) => size),
    SIZES,
  );
  for (const [i, report] of reports.entries()) {
    const { size } = report;
    assert.equal(report.origin, ORIGIN);
    assert.equal(report.root, encodeBase64(written.tree.trees[size]!.root));
    assert.deepEqual(report.signers, [ORIGIN, WITNESS]);
    assert.equal(report.leaves, size);
    assert.ok(report.inclusion.length >= Math.min(size, 3));
    for (const { place: index, hashes } of report.inclusion) {
      const ours = await proveInclusion({ index, size }, written.tree.read);
      assert.deepEqual(ours.map(encodeBase64), hashes ?? [], `${index} of ${size}`);
    }
    assert.equal(report.consistency?.length ?? 0, i);
    for (const { place: from, hashes } of report.consistency ?? []) {
      const ours = await proveConsistency({ from, size }, written.tree.read);
      assert.deepEqual(ours.map(encodeBase64), hashes ?? [], `${from} to ${size}`);
    }
  }
});

test("go's sumdb opens a checkpoint with the log's key alone", async (t) => {
  if (isGoMissing(t)) return;
  const [report] = await read(await writeLog([5]), 'none');
  assert.deepEqual(report?.signers, [ORIGIN]);
});

/** The line's character there becomes another one of base64. */
function respelt(note: string, { line, at }: { line: number; at: number }): string {
  const lines = note.split('\n');
  const old = lines.at(line)!;
  const character = old.at(at) === 'A' ? 'B' : 'A';
  return lines.with(line, old.slice(0, at) + character + old.slice(at + 1)).join('\n');
}

test("go's sumdb refuses a byte changed in any kind of file, so it looks at all of them", async (t) => {
  if (isGoMissing(t)) return;
  const written = await writeLog([600, 700]);
  const tries = async (path: string, change: (bytes: Buffer) => Uint8Array | string) => {
    const file = join(written.folder, path);
    const bytes = readFileSync(file);
    writeFileSync(file, change(Buffer.from(bytes)));
    try {
      return (await read(written)).length;
    } finally {
      writeFileSync(file, bytes);
    }
  };
  const flip = (at: number) => (bytes: Buffer) => bytes.fill(bytes[at]! ^ 1, at, at + 1);
  const NOT_THE_LEAVES = /inconsistent tile|is not that of the leaves/;
  for (const [path, at, says] of [
    ['tile/0/000', 5, NOT_THE_LEAVES],
    ['tile/0/001', 8191, NOT_THE_LEAVES],
    ['tile/0/002.p/88', 0, NOT_THE_LEAVES],
    ['tile/1/000.p/2', 40, NOT_THE_LEAVES],
    ['tile/entries/001', 9, /the entry bundles have another root/],
    ['tile/entries/002.p/188', 60, /the entry bundles have another root/],
    ['tile/entries/000', 0, /tile\/entries\/000/],
  ] as const)
    await assert.rejects(tries(path, flip(at)), says, path);

  // From the end: nothing, who is not known, the witness, the log.
  const respell = (line: number, at = -40) => {
    return (bytes: Buffer) => respelt(bytes.toString(), { line, at });
  };
  await assert.rejects(tries('checkpoint-700', respell(-4)), /invalid signature/);
  await assert.rejects(tries('checkpoint-700', respell(-3)), /invalid signature/);
  await assert.rejects(tries('checkpoint-700', respell(0, 3)), /invalid signature/);
  assert.equal(await tries('checkpoint-700', respell(-2)), 2);
  assert.equal((await read(written)).length, 2);
});

test("go's sumdb refuses a log that was rewritten below an older checkpoint", async (t) => {
  if (isGoMissing(t)) return;
  const [older, newer] = [await writeLog([5]), await writeLog([6], 'rewritten')];
  for (const each of [older, newer]) assert.equal((await read(each)).length, 1);
  cpSync(newer.folder, older.folder, { recursive: true });
  const checkpoints = [...older.checkpoints, ...newer.checkpoints];
  await assert.rejects(read({ ...older, checkpoints }), /checkpoint-6: size 5: /);
});

test("go's sumdb reads a running server over http, as it grows", async (t) => {
  if (isGoMissing(t)) return;
  const { url } = await startTestServer(t);
  const client = clientOf(url);
  const registry = await beginOver(client);
  const grow = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i += 10)
      await Promise.all(
        Array.from({ length: Math.min(10, to - i) }, (_, k) =>
          commitService(client, registry, `d${i + k}`),
        ),
      );
  };
  await grow(1, 40);
  const folder = mkdtempSync(join(tmpdir(), 'quorate-tiles-'));
  folders.push(folder);
  const older = join(folder, 'checkpoint');
  writeFileSync(older, await (await fetch(`${url}/checkpoint`)).text());
  await grow(40, 300);
  const vkey = encodeVerifierKey({ name: SERVER_ORIGIN, publicKey: LOG_SIGNER.publicKey });
  const reports = await goReader<GoReport>([url, vkey, 'none', `file:${older}`, 'checkpoint']);
  assert.deepEqual(
    reports.map(({ origin, size, leaves }) => [origin, size, leaves]),
    [
      [SERVER_ORIGIN, 40, 40],
      [SERVER_ORIGIN, 300, 300],
    ],
  );
  assert.equal(reports[1]?.consistency?.[0]?.place, 40);
});

test('a note signed by go is opened by us, and refused when a byte of it changes', async (t) => {
  if (isGoMissing(t)) return;
  const text = encodeCheckpoint({ origin: 'go.example', size: 3, root: new Uint8Array(32) });
  const [signed] = await goReader<{ vkey: string; note: string }>(['sign', 'go.example', text]);
  const key = parseVerifierKey(signed!.vkey);
  assert.ok(key);
  const checkpoint = readSignedCheckpoint(signed!.note);
  assert.equal(checkpoint.text, text);
  const found = await signersOf(checkpoint, [key], createPortableVerifier());
  assert.deepEqual([...found.keys()], [key]);
  const changed = readSignedCheckpoint(signed!.note.replace('\n3\n', '\n4\n'));
  await assert.rejects(signersOf(changed, [key], createPortableVerifier()), /does not verify/);
});
