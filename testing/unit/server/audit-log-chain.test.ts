import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashOf } from '../../../src/core/hash.ts';
import {
  BEFORE_FIRST,
  eventDraft,
  parseRecord,
  sealRecord,
} from '../../../src/server/audit-log/record.ts';
import {
  changedCopy,
  event,
  readBytes,
  readLog,
  START,
  strangers,
  writeLog,
} from '../../support/audit-log.ts';

const SEGMENT = '00000001.ndjson';

/** A log of a segment record, a start, four events and a stop; answers its only file. */
async function writeSmall(t: TestContext): Promise<string> {
  const events = [
    event(),
    strangers('198.51.100.9'),
    event({ act: 'freeze', reason: 'audit of the keys', proposal: null, version: null }),
    event({ act: 'approve', signer: 'org:acme#alice', version: null }),
  ];
  return join(await writeLog(t, events), 'audit', SEGMENT);
}

const linesIn = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n');

test('a line is canonical json of all members, and its hash is that of its bytes', () => {
  const draft = eventDraft(event(), START);
  const { bytes, position } = sealRecord(draft, BEFORE_FIRST);
  const line = new TextDecoder().decode(bytes);
  assert.equal(
    line,
    `{"act":"commit","client":"192.0.2.7","code":null,"corr_id":"test-1","decision":"accepted","prev":null,"proposal":"b3:${'5'.repeat(64)}","reason":null,"schema":"quorate-audit/1","seq":1,"signer":null,"time":"2026-11-21T09:30:00.000Z","token":"${'a1'.repeat(32)}","version":1}\n`,
  );
  assert.equal(position.hash, hashOf(bytes.subarray(0, -1)));
  assert.equal(
    JSON.parse(new TextDecoder().decode(sealRecord(draft, position).bytes)).prev,
    position.hash,
  );
});

test('time does not go back in a log, whatever the clock says', () => {
  const after = { seq: 8, hash: null, time: '2026-11-21T09:30:00.000Z' };
  for (const at of [START - 1, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 8.64e15])
    assert.equal(sealRecord(eventDraft(event(), at), after).position.time, after.time, `${at}`);
  const later = sealRecord(eventDraft(event(), START + 1), after).position.time;
  assert.equal(later, '2026-11-21T09:30:00.001Z');
});

test('nothing that an event holds makes a record that does not verify', () => {
  const texts = [
    '',
    '\ud800',
    `${'x'.repeat(1_023)}\ud83d\ude00`,
    '\n{"act":"commit"}\n',
    '\u202e\u0000',
    '"\\',
  ];
  const longest = '\u0001'.repeat(100_000);
  for (const text of [...texts, longest]) {
    const said = {
      code: text,
      reason: text,
      client: text,
      token: text,
      signer: text,
      corrId: text,
    };
    for (const version of [-1, 0.5, Number.NaN, 2 ** 53, 7]) {
      const draft = eventDraft(event({ ...said, version }), START);
      const { bytes } = sealRecord(draft, BEFORE_FIRST);
      assert.equal(bytes.indexOf(0x0a), bytes.length - 1);
      const record = parseRecord(bytes.subarray(0, -1));
      assert.ok('version' in record && record.version === (version === 7 ? 7 : null));
    }
  }
});

test('a log of every kind of event verifies, and says what it holds', async (t) => {
  const path = await writeSmall(t);
  const { records, summary } = await readLog(path);
  const acts = ['segment', 'start', 'commit', 'commit', 'freeze', 'approve', 'stop'];
  assert.deepEqual(
    records.map(({ act }) => act),
    acts,
  );
  assert.equal(summary.accepted, 5);
  assert.equal(summary.refused, 1);
  assert.equal(summary.last.seq, 7);
  assert.equal(summary.last.hash, hashOf(new TextEncoder().encode(linesIn(path).at(-1) ?? '')));
});

test('every byte of every line is covered: another one is noticed', async (t) => {
  const path = await writeSmall(t);
  const bytes = readFileSync(path);
  const lastLine = bytes.lastIndexOf(0x0a, -2) + 1;
  const { summary } = await readLog(path);
  const expected = summary.last.hash ?? undefined;
  let torn = 0;
  for (let i = 0; i < bytes.length; i++)
    for (const change of [0x01, 0x10, 0x80]) {
      const copy = Buffer.from(bytes);
      copy[i] = (copy[i] ?? 0) ^ change;
      const place = `byte ${i} ^ ${change}`;
      // Alone, the chain says nothing of its last line; of every other it does.
      if (i < lastLine) await assert.rejects(readBytes(copy), { code: 'invalid_entry' }, place);
      await assert.rejects(readBytes(copy, expected), { code: 'invalid_entry' }, place);
      if (i === bytes.length - 1) {
        torn++;
        assert.ok((await readBytes(copy)).summary.tornBytes > 0, place);
      }
    }
  assert.equal(torn, 3);
});

test('a line taken out, put in twice, moved or added is refused with its place', async (t) => {
  const path = await writeSmall(t);
  const lines = linesIn(path);
  const refused = (changed: readonly (string | undefined)[], line: number) =>
    assert.rejects(
      readLog(changedCopy(path, () => Buffer.from(`${changed.join('\n')}\n`))),
      (error) => {
        assert.ok(error instanceof Error && 'details' in error);
        assert.match(error.message, new RegExp(`copy\\.ndjson, line ${line}: expected `));
        assert.equal((error.details as { line: number }).line, line);
        return true;
      },
    );
  // Taken out at the beginning it is a log that begins later: only its directory tells.
  for (let i = 1; i < lines.length - 1; i++) await refused(lines.toSpliced(i, 1), i + 1);
  for (let i = 0; i < lines.length; i++)
    await refused(lines.toSpliced(i, 0, lines[i] ?? ''), i + 2);
  for (let i = 0; i < lines.length - 1; i++)
    await refused(
      lines.with(i, lines[i + 1] ?? '').with(i + 1, lines[i] ?? ''),
      i === 0 ? 2 : i + 1,
    );
  const forged = sealRecord(eventDraft(event(), START), BEFORE_FIRST);
  await refused([...lines, new TextDecoder().decode(forged.bytes).trimEnd()], lines.length + 1);
  await refused(lines.with(2, ''), 3);
});

test('a chain that was made anew from a changed record on is refused by a hash noted before', async (t) => {
  const path = await writeSmall(t);
  const noted = (await readLog(path)).records[4]?.prev;
  assert.ok(noted);
  await readLog(path, noted);
  let position = BEFORE_FIRST;
  const forged = linesIn(path).map((line, i) => {
    const { schema: _s, seq: _q, time, prev: _p, ...members } = JSON.parse(line);
    if (i === 2) members.proposal = `b3:${'6'.repeat(64)}`;
    const sealed = sealRecord({ members, at: Date.parse(time) }, position);
    position = sealed.position;
    return new TextDecoder().decode(sealed.bytes);
  });
  const copy = changedCopy(path, () => Buffer.from(forged.join('')));
  assert.equal((await readLog(copy)).summary.records, 7);
  await assert.rejects(readLog(copy, noted), /expected a record with the hash/);
});

test('a tail that was cut off is noticed by a noted hash, and by nothing else', async (t) => {
  const path = await writeSmall(t);
  const { records, summary } = await readLog(path);
  const lines = linesIn(path);
  const cut = changedCopy(path, () => Buffer.from(`${lines.slice(0, 5).join('\n')}\n`));
  assert.equal((await readLog(cut)).summary.records, 5);
  await assert.rejects(readLog(cut, summary.last.hash ?? undefined), { code: 'invalid_entry' });
  const before = records[4]?.prev ?? undefined;
  assert.equal((await readLog(cut, before)).summary.sinceExpected, 1);
  assert.equal((await readLog(path, summary.last.hash ?? undefined)).summary.sinceExpected, 0);
});

test('a last line without its end is said, not refused; one that no line feed ends is none', async (t) => {
  const path = await writeSmall(t);
  const whole = readFileSync(path);
  const lastLine = whole.lastIndexOf(0x0a, -2) + 1;
  for (const end of [lastLine + 1, lastLine + 40, whole.length - 1]) {
    const { summary } = await readLog(changedCopy(path, (bytes) => bytes.subarray(0, end)));
    assert.equal(summary.tornBytes, end - lastLine);
    assert.equal(summary.last.seq, 6);
  }
  const endless = changedCopy(path, (bytes) =>
    Buffer.concat([bytes, Buffer.alloc(1_000_000, 0x7b)]),
  );
  assert.ok((await readLog(endless)).summary.tornBytes > 0);
  const noRecord = changedCopy(path, (bytes) => bytes.subarray(0, 20));
  await assert.rejects(readLog(noRecord), /expected an audit record, got none/);
});

test('records that do not fit the schema are refused, also when they are chained', () => {
  const seal = (members: object): Uint8Array =>
    sealRecord(
      { members, at: START } as Parameters<typeof sealRecord>[0],
      BEFORE_FIRST,
    ).bytes.subarray(0, -1);
  const good = eventDraft(event(), START).members;
  parseRecord(seal(good));
  const changes: object[] = [
    { act: 'erase' },
    { decision: 'maybe' },
    { version: -1 },
    { version: '1' },
    { client: 7 },
    { extra: null },
    { reason: 'x'.repeat(1_025) },
    { code: undefined },
  ];
  for (const change of changes)
    assert.throws(
      () => parseRecord(seal({ ...good, ...change })),
      { code: 'invalid_entry' },
      JSON.stringify(change),
    );
  for (const members of [
    { act: 'segment', log: 'ABC', segment: 1 },
    { act: 'segment', log: '0'.repeat(32), segment: 0 },
    { act: 'recovered', bytes: 0 },
    { act: 'suppressed', since: 'now', clients: 1, codes: {} },
    { act: 'suppressed', since: '2026-11-21T09:30:00.000Z', clients: 1, codes: { forbidden: 0 } },
    { act: 'lost', since: '2026-11-21T09:30:00.000Z', accepted: -1, refused: 0 },
    { act: 'deleted', segment: 1, first_seq: 1, last_seq: 2, last_hash: 'b3:00' },
  ])
    assert.throws(
      () => parseRecord(seal(members)),
      { code: 'invalid_entry' },
      JSON.stringify(members),
    );
});

test('a log begins with its segment record, and a segment stands in its own file', async (t) => {
  const path = await writeSmall(t);
  const [, start = ''] = linesIn(path);
  const alone = JSON.parse(start);
  const { bytes } = sealRecord(
    { members: (({ schema, seq, time, prev, ...rest }) => rest)(alone), at: START },
    BEFORE_FIRST,
  );
  await assert.rejects(
    readLog(changedCopy(path, () => bytes)),
    /expected a log to begin with act segment/,
  );
  const dataDir = join(path, '..');
  writeFileSync(join(dataDir, '00000002.ndjson'), readFileSync(path));
  await assert.rejects(
    readLog(dataDir),
    /00000002\.ndjson, line 1: expected record 8, got record 1/,
  );
});

test('the example of docs/audit-log.md verifies, and ends with the hash that stands below it', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/audit-log.md'), 'utf8');
  const [, example = ''] = /```ndjson\n(.*?)```/s.exec(page) ?? [];
  const [, hash] = /The hash of the last record is `(b3:[0-9a-f]{64})`/.exec(page) ?? [];
  const { records, summary } = await readBytes(new TextEncoder().encode(example));
  assert.equal(records.length, 5);
  assert.equal(summary.last.hash, hash);
  assert.equal(summary.suppressed, 953);
});
