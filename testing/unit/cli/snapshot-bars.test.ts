/** What a person at a terminal sees of a snapshot that is copied, unpacked and verified, and that nothing of it stays. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import { runCli } from '../../support/cli-io.ts';
import { openTestRegistry, put } from '../../support/registry.ts';
import { packTest } from '../../support/snapshot.ts';
import { makeDirectory } from '../../support/store-sqlite.ts';

let snapshot: string;

before(async () => {
  const path = join(makeDirectory(), 'registry.db');
  const metrics = { fsync() {}, checkpointed() {} };
  const store = await openSqliteStore({ path, metrics, onFatal: assert.fail });
  const real = await openTestRegistry({ store });
  for (let n = 0; n < 3; n++) await real.change(put(`id-${n}`, {}));
  await real.registry[Symbol.asyncDispose]();
  snapshot = (await packTest(path)).path;
});

/** Expects it to succeed. Answers the labels of its bars in the order they came. */
async function barsOf(...argv: readonly string[]): Promise<readonly string[]> {
  const { code, stderr } = await runCli(['snapshot', ...argv], { isTerminal: true });
  assert.equal(code, 0, stderr);
  const bars = [...stderr.matchAll(/\r\[[# ]{30}\] ([A-Za-z ]+) \d+\/\d+/g)];
  assert.ok(stderr.lastIndexOf('\r\x1b[K') > stderr.lastIndexOf(bars.at(-1)?.[0] ?? ''), stderr);
  return [...new Set(bars.map(([, label]) => String(label)))];
}

const UNPACKED = ['MiB unpacked', 'entries verified'];

test('verifying one shows how much is unpacked, verified and audited, one after the other', async () => {
  assert.deepEqual(await barsOf('verify', snapshot), [...UNPACKED, 'entries audited']);
});

test('restoring one shows how much is unpacked, then how much is verified', async () => {
  const data = join(makeDirectory(), 'data');
  const argv = ['restore', snapshot, '--data', data, '--any-registry', '--accept-rollback'];
  assert.deepEqual(await barsOf(...argv), UNPACKED);
});
