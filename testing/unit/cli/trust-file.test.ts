import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createFileTrust } from '../../../src/cli/trust-file.ts';
import { makeDirectory } from '../../support/cli-stage.ts';
import { refusesLater } from '../../support/core-assert.ts';

test('trusted state comes back as it was saved, from a file for its owner alone', async () => {
  const path = join(makeDirectory(), 'deep', 'state', 'trust.json');
  const trust = createFileTrust(path);
  assert.equal(await trust.load(), undefined);
  await trust.save('first');
  await trust.save('second');
  assert.equal(await createFileTrust(path).load(), 'second');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(join(path, '..')), ['trust.json']);
});

test('the file is replaced, never written in place: who has it open keeps the old state whole', async () => {
  const path = join(makeDirectory(), 'trust.json');
  const trust = createFileTrust(path);
  await trust.save('first');
  const { ino } = statSync(path);
  await trust.save('second');
  assert.notEqual(statSync(path).ino, ino);
});

test('state that cannot be kept or read is an error that names the file, and leaves nothing behind', async () => {
  const directory = makeDirectory();
  const inTheWay = join(directory, 'file');
  writeFileSync(inTheWay, '');
  const below = createFileTrust(join(inTheWay, 'trust.json'));
  await refusesLater('storage_failed', below.save('state'), /file\/trust\.json/);
  const isDirectory = join(directory, 'trust.json');
  mkdirSync(isDirectory);
  await refusesLater('storage_failed', createFileTrust(isDirectory).load(), /EISDIR/);
  await refusesLater('storage_failed', createFileTrust(isDirectory).save('state'), /trust\.json/);
  assert.deepEqual(readdirSync(directory).sort(), ['file', 'trust.json']);
  assert.equal(readFileSync(inTheWay, 'utf8'), '');
});
