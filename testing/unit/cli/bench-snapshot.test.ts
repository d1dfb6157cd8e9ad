/** `quorate bench snapshot`: over a registry made up for it, and over one that is there. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

const MEBIBYTE = 1024 * 1024;
const IDLE = { metrics: { fsync() {}, checkpointed() {} }, onFatal: assert.fail };

test('a registry is made up, and a snapshot of it made, read and restored', async () => {
  const scratch = makeDirectory();
  const size = ['--size', '256KiB', '--spec', '1KiB', '--scratch', scratch];
  const { code, json, stderr } = await runCli(['bench', 'snapshot', ...size, '--json']);
  assert.equal(code, 0, stderr);
  const [result] = json();
  const { snapshot } = Object(result?.loads);
  assert.deepEqual([result?.bench, result?.server_version], ['snapshot', null]);
  assert.ok(result !== undefined && !('url' in result));
  assert.ok(snapshot.entries > 1 && snapshot.database_bytes >= 256 * 1024);
  assert.ok(snapshot.file_bytes < snapshot.database_bytes);
  for (const step of ['create', 'read', 'restore']) {
    const { seconds, cpu_seconds, mb_per_second } = snapshot[step];
    assert.ok(seconds > 0 && cpu_seconds > 0 && mb_per_second > 0, step);
    const expected = snapshot.database_bytes / 1e6 / seconds;
    assert.ok(Math.abs(mb_per_second - expected) < 0.01, `${step}: ${mb_per_second}`);
  }
  assert.deepEqual(readdirSync(scratch), []);
});

test('a registry that is made up is about as large as was asked for', async () => {
  const { json, stderr } = await runCli(['bench', 'snapshot', '--size', '1MiB', '--json']);
  const { database_bytes: bytes } = Object(json()[0]?.loads).snapshot ?? {};
  assert.ok(bytes >= MEBIBYTE && bytes < MEBIBYTE * 1.25, `${bytes} bytes; ${stderr}`);
});

test('a database that is there is read, and stays as it is', async () => {
  const directory = makeDirectory();
  const path = join(directory, 'registry.db');
  const real = await openTestRegistry({ store: await openSqliteStore({ ...IDLE, path }) });
  await real.change(put('a', {}));
  await real.registry[Symbol.asyncDispose]();
  const before = readFileSync(path);
  const { code, stdout } = await runCli(['bench', 'snapshot', '--data', directory]);
  assert.equal(code, 0);
  assert.match(stdout, /^snapshot: quorate \d\S*; data \/\S+$/m);
  assert.match(stdout, /^snapshot: 2 entries in .* of database, .* packed$/m);
  assert.match(stdout, /^restore +\d+\.\d\d s +\d+\.\d\d s of processor +\d+\.\d MB\/s$/m);
  assert.deepEqual(readFileSync(path), before);
});
