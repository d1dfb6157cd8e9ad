import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAuditLog } from '../../../src/server/audit-log/open.ts';
import {
  event,
  MIB,
  makeInstruments,
  openTestAudit,
  readLog,
  segmentsIn,
  writeLog,
} from '../../support/audit-log.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const SEGMENT_BYTES = MIB / 8;
const wide = (i: number) => event({ corrId: `e-${i}`, reason: 'x'.repeat(900) });

function totalBytes(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
}

test('an event is in the file when record resolves, and start and stop are records too', async (t) => {
  const { audit, directory, logged } = await openTestAudit(t);
  await audit.record(event({ corrId: 'seen' }));
  const text = readFileSync(join(directory, '00000001.ndjson'), 'utf8');
  assert.match(text, /"corr_id":"seen".*\n$/);
  const at = audit.position();
  assert.equal(at?.seq, 3);
  await audit[Symbol.asyncDispose]();
  const { records, summary } = await readLog(directory, at?.hash ?? undefined);
  assert.deepEqual(
    records.map(({ act }) => act),
    ['segment', 'start', 'commit', 'stop'],
  );
  assert.equal(summary.sinceExpected, 1);
  assert.deepEqual(logged, ['info the audit log is open', 'info the audit log is closed']);
});

test('files are for their owner alone', async (t) => {
  const { directory } = await openTestAudit(t);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, '00000001.ndjson')).mode & 0o777, 0o600);
});

test('events that come at once are kept in their order, each once', async (t) => {
  const { audit, directory, counts } = await openTestAudit(t);
  const many = Array.from({ length: 500 }, (_, i) => audit.record(event({ corrId: `e-${i}` })));
  await Promise.all(many);
  const { records } = await readLog(directory);
  const kept = records.flatMap((record) => ('corr_id' in record ? [record.corr_id] : []));
  assert.deepEqual(
    kept.slice(1),
    many.map((_, i) => `e-${i}`),
  );
  assert.equal(counts.accepted, 501);
  assert.equal(counts.failed, 0);
});

test('a log goes on over restarts as one chain', async (t) => {
  const dataDir = await writeLog(t, [event()]);
  for (let i = 0; i < 3; i++) {
    const { audit } = await openTestAudit(t, { dataDir });
    await audit.record(event());
    await audit[Symbol.asyncDispose]();
  }
  const { summary } = await readLog(dataDir);
  assert.equal(summary.records, 1 + 4 * 3);
  assert.equal(summary.files, 1);
});

test('segments are begun at their size, the oldest go at the bound, and what went is on record', async (t) => {
  const { audit, directory, timers } = await openTestAudit(t);
  let highest = 0;
  for (let i = 0; i < 2_000; i++) {
    timers.advance(7);
    await audit.record(wide(i));
    if (i % 50 === 0) highest = Math.max(highest, totalBytes(directory));
  }
  assert.ok(highest > MIB / 2 && highest <= MIB, `${highest}`);
  for (const name of readdirSync(directory))
    assert.ok(statSync(join(directory, name)).size <= SEGMENT_BYTES, name);
  const { records, summary } = await readLog(directory);
  const deletions = records.flatMap((record) => (record.act === 'deleted' ? [record] : []));
  assert.ok(deletions.length > 0);
  const [first] = records;
  assert.equal(summary.deleted, (first?.seq ?? 0) - 1);
  assert.equal(deletions.at(-1)?.last_hash, first?.prev);
  assert.equal(deletions.at(-1)?.last_seq, summary.deleted);
  assert.equal(summary.last.seq, audit.position()?.seq);
});

test('a smaller bound is applied with the next record, and a larger one lets the log grow', async (t) => {
  const { audit, directory } = await openTestAudit(t, { maxBytes: 2 * MIB });
  for (let i = 0; i < 1_400; i++) await audit.record(wide(i));
  assert.ok(totalBytes(directory) > MIB);
  (await audit.prepare({ auditMaxBytes: MIB } as Parameters<typeof audit.prepare>[0]))();
  await audit.record(event());
  // The one that was being filled may be as large as it was allowed to be.
  assert.ok(totalBytes(directory) <= MIB + SEGMENT_BYTES, `${totalBytes(directory)}`);
  await readLog(directory);
  (await audit.prepare({ auditMaxBytes: 4 * MIB } as Parameters<typeof audit.prepare>[0]))();
  for (let i = 0; i < 1_400; i++) await audit.record(wide(i));
  assert.ok(totalBytes(directory) > 2 * MIB);
  await readLog(directory);
});

test('segments taken out, doubled, swapped or cut are refused', async (t) => {
  const dataDir = await writeLog(
    t,
    Array.from({ length: 600 }, (_, i) => wide(i)),
    MIB,
  );
  const whole = join(dataDir, 'audit');
  const names = segmentsIn(whole);
  assert.ok(names.length >= 4);
  const [one = '', two = '', three = ''] = names;
  const changed = (change: (directory: string) => void): string => {
    const copy = join(makeDirectory(), 'audit');
    mkdirSync(copy);
    for (const name of names) copyFileSync(join(whole, name), join(copy, name));
    change(copy);
    return copy;
  };
  await readLog(changed(() => undefined));
  const refused = (change: (directory: string) => void, expected: RegExp) =>
    assert.rejects(readLog(changed(change)), expected);
  await refused((d) => rmSync(join(d, two)), /expected \S+00000002\.ndjson between its neighbours/);
  await refused(
    (d) => rmSync(join(d, one)),
    /expected record 1, or an act deleted that ends with record/,
  );
  await refused(
    (d) => copyFileSync(join(d, one), join(d, two)),
    /00000002\.ndjson, line 1: expected record/,
  );
  await refused((d) => {
    renameSync(join(d, two), join(d, 'x'));
    renameSync(join(d, three), join(d, two));
    renameSync(join(d, 'x'), join(d, three));
  }, /00000002\.ndjson, line 1: expected record/);
  await refused(
    (d) => truncateSync(join(d, two), statSync(join(d, two)).size - 3),
    /expected a whole line before the next file/,
  );
  await refused((d) => writeFileSync(join(d, two), ''), /expected a record, got an empty file/);
  const last = names.at(-1) ?? '';
  const note = (await readLog(whole)).summary.last.hash ?? undefined;
  await assert.rejects(
    readLog(
      changed((d) => rmSync(join(d, last))),
      note,
    ),
    /expected a record with the hash/,
  );
});

test('a line that a crash cut short is cut off at the next start, and that is on record', async (t) => {
  const dataDir = await writeLog(t, [event()]);
  const path = join(dataDir, 'audit', '00000001.ndjson');
  appendFileSync(path, '{"act":"comm');
  const { audit, directory } = await openTestAudit(t, { dataDir });
  assert.equal(audit.refusal(), undefined);
  const { records, summary } = await readLog(directory);
  assert.deepEqual(
    records.slice(-3).map(({ act }) => act),
    ['stop', 'recovered', 'start'],
  );
  assert.deepEqual(
    records.flatMap((r) => (r.act === 'recovered' ? [r.bytes] : [])),
    [12],
  );
  assert.equal(summary.tornBytes, 0);
});

test('a crash while a segment is begun leaves nothing in the way', async (t) => {
  const dataDir = await writeLog(t, [event()]);
  for (const left of ['', '{"act":"segment"']) {
    writeFileSync(join(dataDir, 'audit', '00000002.ndjson'), left);
    const { audit, directory } = await openTestAudit(t, { dataDir });
    await audit.record(event());
    assert.deepEqual(segmentsIn(directory), ['00000001.ndjson']);
    const { summary } = await readLog(directory);
    assert.equal(summary.recovered, left === '' ? 0 : 1);
    await audit[Symbol.asyncDispose]();
  }
  const empty = makeDirectory();
  mkdirSync(join(empty, 'audit'));
  writeFileSync(join(empty, 'audit', '00000001.ndjson'), '{"act"');
  const { audit } = await openTestAudit(t, { dataDir: empty });
  assert.equal(audit.refusal(), undefined);
  assert.equal((await readLog(empty)).summary.records, 2);
});

test('a log whose end does not verify shuts the gate and stays as it is; moved away, a new one begins by itself', async (t) => {
  const dataDir = await writeLog(t, [event(), event()]);
  const path = join(dataDir, 'audit', '00000001.ndjson');
  const damaged = readFileSync(path, 'utf8').replace('"version":1', '"version":2');
  writeFileSync(path, damaged);
  const { audit, timers, counts, logged } = await openTestAudit(t, { dataDir });
  const refusal = audit.refusal();
  assert.equal(refusal?.code, 'not_ready');
  assert.match(refusal?.message ?? '', /moves it away/);
  await audit.record(event({ corrId: 'while-shut' }));
  assert.equal(counts.failed, 2);
  assert.equal(readFileSync(path, 'utf8'), damaged);
  assert.match(logged.join('\n'), /^error audit records are not kept/);
  renameSync(join(dataDir, 'audit'), join(dataDir, 'audit-damaged'));
  const kept = nextKept(audit);
  timers.advance(1_000);
  await kept;
  const { records } = await readLog(dataDir);
  assert.deepEqual(
    records.map((r) => ('corr_id' in r ? r.corr_id : r.act)),
    ['segment', null, 'while-shut', 'reopened'],
  );
});

/** Resolves once the gate is open again. */
async function nextKept(audit: {
  refusal(): unknown;
  record(e: ReturnType<typeof event>): Promise<void>;
}) {
  while (audit.refusal() !== undefined) await new Promise((resolve) => setImmediate(resolve));
  await audit.record(event({ corrId: 'reopened' }));
}

test('a file that is written, cut, moved or removed by others shuts the gate, and is never gone on with', async (t) => {
  const acts: [string, (path: string) => void][] = [
    ['written', (path) => appendFileSync(path, 'x\n')],
    ['cut', (path) => truncateSync(path, 10)],
    ['moved', (path) => renameSync(path, `${path}.old`)],
    [
      'replaced',
      (path) => {
        const bytes = readFileSync(path);
        rmSync(path);
        writeFileSync(path, bytes);
      },
    ],
  ];
  for (const [name, act] of acts) {
    const { audit, directory, counts } = await openTestAudit(t);
    act(join(directory, '00000001.ndjson'));
    await audit.record(event());
    assert.equal(audit.refusal()?.code, 'not_ready', name);
    assert.equal(counts.failed, 1, name);
    await audit[Symbol.asyncDispose]();
  }
});

test('links are not followed, for the directory nor for a segment', async (t) => {
  const elsewhere = makeDirectory();
  const linked = makeDirectory();
  symlinkSync(elsewhere, join(linked, 'audit'));
  const first = await openTestAudit(t, { dataDir: linked });
  assert.equal(first.audit.refusal()?.code, 'not_ready');
  assert.deepEqual(readdirSync(elsewhere), []);

  const dataDir = await writeLog(t, [event()]);
  const path = join(dataDir, 'audit', '00000001.ndjson');
  renameSync(path, join(elsewhere, 'log'));
  const before = readFileSync(join(elsewhere, 'log'));
  symlinkSync(join(elsewhere, 'log'), path);
  const second = await openTestAudit(t, { dataDir });
  assert.notEqual(second.audit.refusal(), undefined);
  assert.deepEqual(readFileSync(join(elsewhere, 'log')), before);

  symlinkSync(join(elsewhere, 'made'), join(dataDir, 'audit', '00000002.ndjson'));
  assert.ok(lstatSync(path).isSymbolicLink());
});

test('a micronode writes the same chain to standard output and no file', async () => {
  const lines: string[] = [];
  const made = makeInstruments();
  const dataDir = makeDirectory();
  const audit = await openAuditLog(
    { profile: 'micronode', dataDir, auditMaxBytes: MIB },
    { ...made, now: () => made.timers.now(), stdout: { write: (line) => void lines.push(line) } },
  );
  await audit.record(event());
  await audit[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(dataDir), []);
  const file = join(dataDir, 'kept.ndjson');
  writeFileSync(file, lines.join(''));
  const { records } = await readLog(file);
  assert.deepEqual(
    records.map(({ act }) => act),
    ['segment', 'start', 'commit', 'stop'],
  );
  assert.ok(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1));
});

test('an output that takes nothing shuts the gate of a micronode, and it opens by itself', async () => {
  const lines: string[] = [];
  let isGone = false;
  const made = makeInstruments();
  const write = (line: string): void => {
    if (isGone) throw Object.assign(new Error('broken pipe'), { code: 'EPIPE' });
    lines.push(line);
  };
  const audit = await openAuditLog(
    { profile: 'micronode', dataDir: 'unused', auditMaxBytes: MIB },
    { ...made, now: () => made.timers.now(), stdout: { write } },
  );
  isGone = true;
  await audit.record(event({ corrId: 'held' }));
  assert.equal(audit.refusal()?.code, 'not_ready');
  assert.match(audit.refusal()?.message ?? '', /EPIPE/);
  isGone = false;
  const kept = nextKept(audit);
  made.timers.advance(1_000);
  await kept;
  const [segment, start, held] = lines.map((line) => JSON.parse(line));
  assert.deepEqual([segment.act, start.act, held.corr_id], ['segment', 'start', 'held']);
  await audit[Symbol.asyncDispose]();
});
