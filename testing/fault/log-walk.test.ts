/** The thread that walks over the log, where the system denies it things. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeLongLog } from '../performance/long-log.ts';
import { programOf, run } from '../support/child.ts';
import { isStraceMissing } from '../support/strace.ts';

const CHILD = programOf('walk-child');

test('a thread that may not lower its priority walks all the same', async (t) => {
  if (isStraceMissing(t)) return;
  const directory = mkdtempSync(join(tmpdir(), 'quorate-walk-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'registry.db');
  await makeLongLog({ path, count: 9, signerCount: 1, threshold: 1 });
  const trace = join(directory, 'trace');
  const options = ['-f', '-qq', '-o', trace, '-e', 'trace=setpriority'];
  const inject = ['-e', 'inject=setpriority:error=EPERM'];
  const { lines } = await run('strace', [...options, ...inject, process.execPath, CHILD, path]);
  assert.deepEqual(lines, ['10 checked', 'whole']);
  assert.match(readFileSync(trace, 'utf8'), /setpriority\(.*EPERM.*INJECTED/);
});
