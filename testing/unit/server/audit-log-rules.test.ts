/** Rules of a log that only a well-made forgery can break: every line is canonical, and chained to the one before. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { canonicalBytes } from '../../../src/core/canonical.ts';
import { type Hash, hashOf } from '../../../src/core/hash.ts';
import {
  event,
  MIB,
  openTestAudit,
  readBytes,
  readLog,
  segmentsIn,
  writeLog,
} from '../../support/audit-log.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const TIME = '2026-11-21T09:30:00.000Z';
const LOG = '0'.repeat(32);

interface Forged {
  readonly seq?: number;
  readonly time?: string;
  readonly prev?: Hash | null;
  readonly [member: string]: unknown;
}

/** Chained and numbered, unless a record says otherwise. */
function forge(...records: readonly Forged[]): Buffer {
  let prev: Hash | null = null;
  const lines: Uint8Array[] = [];
  for (const [i, record] of records.entries()) {
    const line = canonicalBytes({
      schema: 'quorate-audit/1',
      seq: i + 1,
      time: TIME,
      prev,
      ...record,
    });
    prev = hashOf(line);
    lines.push(line, Uint8Array.of(0x0a));
  }
  return Buffer.concat(lines);
}

const segment = (number: number, change: Forged = {}): Forged => ({
  act: 'segment',
  log: LOG,
  segment: number,
  ...change,
});
const recovered = (change: Forged = {}): Forged => ({ act: 'recovered', bytes: 1, ...change });

test('a chain whose hashes fit is still refused when time goes back, or a segment or the log is another', async () => {
  assert.equal((await readBytes(forge(segment(1), recovered(), segment(2)))).summary.records, 3);
  const refused = (bytes: Buffer, expected: RegExp) => assert.rejects(readBytes(bytes), expected);
  const before = recovered({ time: '2026-11-21T09:29:59.999Z' });
  await refused(forge(segment(1), before), /line 2: expected a time not before/);
  await refused(forge(segment(1), segment(3)), /line 2: expected segment 2, got 3/);
  await refused(forge(segment(2)), /line 1: expected segment 1, got 2/);
  await refused(
    forge(segment(1), segment(2, { log: '1'.repeat(32) })),
    /line 2: expected log 0{32}/,
  );
  const prev = hashOf(new Uint8Array(0));
  await refused(forge(segment(1, { prev })), /line 1: expected prev to be null in record 1/);
  await refused(forge(recovered({ seq: 7 })), /line 1: expected prev to be null in record 1/);
});

test('a segment record stands in the first line of its own file and nowhere else', async () => {
  const read = (name: string, bytes: Buffer) => {
    const directory = makeDirectory();
    writeFileSync(join(directory, name), bytes);
    return readLog(directory);
  };
  await read('00000001.ndjson', forge(segment(1), recovered()));
  const two = forge(segment(1), segment(2));
  await assert.rejects(read('00000001.ndjson', two), /line 2: expected act segment in line 1/);
  await assert.rejects(read('00000002.ndjson', forge(segment(1))), /line 1: expected segment 2/);
  const prev = hashOf(new Uint8Array(0));
  const later = forge(recovered({ seq: 9, prev }));
  await assert.rejects(read('00000001.ndjson', later), /line 1: expected act segment in line 1/);
});

test('a start goes on from no segment that does not hang on the one before, or has another number', async (t) => {
  const refusalOf = async (files: Readonly<Record<string, Buffer>>) => {
    const dataDir = makeDirectory();
    mkdirSync(join(dataDir, 'audit'));
    for (const [name, bytes] of Object.entries(files))
      writeFileSync(join(dataDir, 'audit', name), bytes);
    return (await openTestAudit(t, { dataDir })).audit.refusal()?.code;
  };
  const first = forge(segment(1), recovered());
  const end = hashOf(first.subarray(first.indexOf(0x0a) + 1, -1));
  const files = (second: Forged) => ({
    '00000001.ndjson': first,
    '00000002.ndjson': forge(second),
  });
  assert.equal(await refusalOf(files(segment(2, { seq: 3, prev: end }))), undefined);
  const other = hashOf(new Uint8Array(0));
  assert.equal(await refusalOf(files(segment(2, { seq: 3, prev: other }))), 'not_ready');
  assert.equal(await refusalOf(files(segment(2, { seq: 4, prev: end }))), 'not_ready');
  assert.equal(await refusalOf(files(segment(3, { seq: 3, prev: end }))), 'not_ready');
  assert.equal(await refusalOf(files(recovered({ seq: 3, prev: end }))), 'not_ready');
  const dataDir = await writeLog(t, [event()]);
  const directory = join(dataDir, 'audit');
  renameSync(join(directory, '00000001.ndjson'), join(directory, '00000002.ndjson'));
  const before = readFileSync(join(directory, '00000002.ndjson'));
  const { audit } = await openTestAudit(t, { dataDir });
  assert.equal(audit.refusal()?.code, 'not_ready');
  assert.deepEqual(readFileSync(join(directory, '00000002.ndjson')), before);
});

test('events that come at once are parted where a segment ends', async (t) => {
  const { audit, directory } = await openTestAudit(t);
  const wide = event({ reason: 'x'.repeat(900) });
  await Promise.all(Array.from({ length: 300 }, () => audit.record(wide)));
  const names = segmentsIn(directory);
  assert.ok(names.length >= 4);
  for (const name of names) assert.ok(statSync(join(directory, name)).size <= MIB / 8, name);
  assert.equal((await readLog(directory)).summary.accepted, 301);
});
