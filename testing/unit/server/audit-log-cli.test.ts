/** `quorate audit`, over directories, files and standard input. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { changedCopy, event, readLog, strangers, writeLog } from '../../support/audit-log.ts';
import { runCli } from '../../support/cli-io.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

/** Of several segments; answers its data directory. */
function writeWide(t: TestContext, count = 1_000): Promise<string> {
  const events = Array.from({ length: count }, (_, i) =>
    event({ corrId: `e-${i}`, reason: 'x'.repeat(900) }),
  );
  return writeLog(t, [...events, strangers('198.51.100.7'), event({ act: 'freeze' })]);
}

test('verify takes a directory, a data directory, a file and standard input, and says the same of each', async (t) => {
  const dataDir = await writeLog(t, [event(), strangers('198.51.100.7')]);
  const directory = join(dataDir, 'audit');
  const file = join(directory, '00000001.ndjson');
  const { summary } = await readLog(file);
  for (const path of [dataDir, directory, file, '-']) {
    const stdin = path === '-' ? readFileSync(file, 'utf8') : '';
    const { code, stderr, json } = await runCli(['audit', 'verify', path, '--json'], { stdin });
    assert.equal(code, 0, stderr);
    const { files, last, first, ...rest } = json()[0] ?? {};
    assert.equal(files, 1);
    assert.deepEqual(last, { ...summary.last });
    assert.deepEqual(first, { ...summary.first });
    assert.deepEqual(rest, {
      log: summary.log,
      records: 5,
      accepted: 3,
      refused: 1,
      suppressed: 0,
      lost: 0,
      deleted: 0,
      recovered: 0,
      torn_bytes: 0,
      since_expected: null,
    });
  }
});

test('what does not verify ends with code 3 and names file, line and what was expected', async (t) => {
  const dataDir = await writeLog(t, [event()]);
  const path = join(dataDir, 'audit', '00000001.ndjson');
  const changed = changedCopy(path, (bytes) =>
    Buffer.from(bytes.toString().replace('"version":1', '"version":2')),
  );
  const { code, stdout, stderr } = await runCli(['audit', 'verify', changed]);
  assert.equal(code, 3);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /copy\.ndjson, line 4: expected prev of record 4 to be b3:[0-9a-f]{64}.*got b3:/,
  );
  const piped = await runCli(['audit', 'verify', '-'], { stdin: readFileSync(changed, 'utf8') });
  assert.equal(piped.code, 3);
  assert.match(piped.stderr, /standard input, line 4: /);
  for (const stdin of ['', 'nonsense', '\n'])
    assert.equal((await runCli(['audit', 'verify', '-'], { stdin })).code, 3, stdin);
});

test('a hash noted elsewhere is asked for with --expect-last', async (t) => {
  const dataDir = await writeLog(t, [event()]);
  const { summary } = await readLog(dataDir);
  const verify = (hash: string) => runCli(['audit', 'verify', dataDir, '--expect-last', hash]);
  const found = await verify(String(summary.last.hash));
  assert.equal(found.code, 0);
  assert.match(found.stdout, /found, 0 records before the last/);
  assert.equal((await verify(`b3:${'0'.repeat(64)}`)).code, 3);
  assert.equal((await verify('b3:00')).code, 2);
});

test('a noted hash still counts when it was the last that was deleted, and no longer when more was', async (t) => {
  const dataDir = await writeWide(t);
  const { records } = await readLog(dataDir);
  const hashes = records.flatMap((record) => (record.act === 'deleted' ? [record.last_hash] : []));
  assert.equal(records[0]?.prev, hashes.at(-1));
  assert.ok((await readLog(dataDir, hashes.at(-1))).summary.sinceExpected);
  await assert.rejects(readLog(dataDir, `b3:${'1'.repeat(64)}`), /expected a record with the hash/);
});

test('what is missing is told apart from what cannot be verified', async () => {
  const directory = makeDirectory();
  assert.equal((await runCli(['audit', 'verify', join(directory, 'none')])).code, 1);
  const empty = await runCli(['audit', 'verify', directory]);
  assert.equal(empty.code, 3);
  assert.match(empty.stderr, /expected an audit record, got none in a directory without segments/);
  writeFileSync(join(directory, '00000001.ndjson'), '');
  assert.equal((await runCli(['audit', 'verify', directory])).code, 3);
});

test('export prints the lines as they are kept, and what it prints verifies', async (t) => {
  const dataDir = await writeWide(t);
  const whole = await runCli(['audit', 'export', dataDir]);
  assert.equal(whole.code, 0, whole.stderr);
  const { records } = await readLog(dataDir);
  assert.deepEqual(
    whole.json().map(({ seq }) => seq),
    records.map(({ seq }) => seq),
  );
  assert.equal((await runCli(['audit', 'verify', '-'], { stdin: whole.stdout })).code, 0);
  const from = records[40]?.seq ?? assert.fail();
  const later = await runCli(['audit', 'export', dataDir, '--from', String(from)]);
  assert.equal(later.json()[0]?.seq, from);
  assert.equal((await runCli(['audit', 'verify', '-'], { stdin: later.stdout })).code, 0);
  const freezes = await runCli(['audit', 'export', dataDir, '--act', 'freeze']);
  assert.equal(freezes.json().length, 1);
  const refused = await runCli(['audit', 'export', dataDir, '--decision', 'refused']);
  assert.deepEqual(
    refused.json().map(({ client }) => client),
    ['198.51.100.7'],
  );
  for (const wrong of ['0', '-1', 'x', '1e3', '99999999999999999'])
    assert.equal((await runCli(['audit', 'export', dataDir, '--from', wrong])).code, 2, wrong);
  assert.equal((await runCli(['audit', 'export', dataDir, '--decision', 'maybe'])).code, 2);
});

test('export ends with code 3 at the first line that does not verify', async (t) => {
  const dataDir = await writeLog(t, [event(), event(), event()]);
  const path = join(dataDir, 'audit', '00000001.ndjson');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"seq":4', '"seq":5'));
  const { code, stdout } = await runCli(['audit', 'export', dataDir]);
  assert.equal(code, 3);
  assert.equal(stdout.trimEnd().split('\n').length, 3);
});
