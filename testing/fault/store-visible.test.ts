/** Durable, then visible: a disk that takes its time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programOf, run } from '../support/child.ts';
import { makePath } from '../support/store-sqlite.ts';
import { isStraceMissing } from '../support/strace.ts';

const CHILD = programOf('store-watch-child');
const DELAY_MS = 150;

test('an entry cannot be read before the disk has taken it', async (t) => {
  if (isStraceMissing(t)) return;
  const inject = `inject=fsync:delay_enter=${DELAY_MS * 1_000}`;
  const slow = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=fsync', '-e', inject];
  const { lines } = await run('strace', [...slow, process.execPath, CHILD, makePath()]);
  const [reads = 0, ms = 0] = (lines[0] ?? '').split(' ').map(Number);
  assert.ok(ms >= DELAY_MS, `the entry was read ${ms} ms after append began`);
  assert.ok(reads > 1, 'nobody read while the disk was busy');
});
