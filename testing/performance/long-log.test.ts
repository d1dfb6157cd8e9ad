/** What is measured over must be a registry: a made log holds under every rule, and is as large as was asked for. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { canonicalBytes } from '../../src/core/canonical.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { checkLog } from '../support/check-log.ts';
import { catalogueChanges } from './catalogue-set.ts';
import { longLogGenesis, longLogId, makeLongLog } from './long-log.ts';
import { copyLongLog, sizeText } from './long-registry.ts';

const directory = mkdtempSync(join(tmpdir(), 'quorate-long-log-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const SIGNERS = { signerCount: 1, threshold: 1 };

async function checked(path: string) {
  await using store = await openSqliteStore({
    path,
    metrics: { fsync() {}, checkpointed() {} },
    onFatal: (error) => {
      throw error;
    },
  });
  const chain = await checkLog(store);
  const spans = await store.history({ kind: 'service', id: longLogId(0), limit: 100 });
  return { chain, spans };
}

test('a log that goes round its descriptors verifies, and replaces each in its turn', async () => {
  const path = join(directory, 'round.db');
  const told: number[] = [];
  const onProgress = (made: number) => told.push(made);
  await makeLongLog({ path, count: 50, descriptors: 10, ...SIGNERS, onProgress });
  const { chain, spans } = await checked(path);
  assert.deepEqual([chain?.version, chain?.set.size], [50, 10]);
  assert.equal(chain?.registry, longLogGenesis(SIGNERS).genesis.payloadB3);
  assert.deepEqual(
    spans.map(({ setVersion }) => setVersion),
    [41, 31, 21, 11, 1],
  );
  assert.equal(told.at(-1), 50);
});

test('a log without a bound puts a new descriptor each time, by three of five', async () => {
  const path = join(directory, 'growing.db');
  await makeLongLog({ path, count: 20 });
  const { chain, spans } = await checked(path);
  assert.deepEqual([chain?.set.size, spans.length, chain?.governance.threshold], [20, 1, 3]);
});

test('a log is made once, and each copy goes with its stack', async () => {
  const said: string[] = [];
  const cache = join(directory, 'cache');
  const plan = { cache, entries: 30, descriptors: 10, say: (line: string) => said.push(line) };
  const copies: string[] = [];
  for (let i = 0; i < 2; i++) {
    await using stack = new AsyncDisposableStack();
    copies.push(await copyLongLog(plan, stack));
    assert.deepEqual(readdirSync(copies[i] ?? ''), ['registry.db']);
  }
  assert.equal(said.length, 1, 'made a second time');
  assert.equal(readdirSync(cache).length, 1, 'more is left than the log');
  for (const copy of copies) assert.throws(() => readdirSync(copy), { code: 'ENOENT' });
});

test('a size is told as a power of ten where it is one', () => {
  assert.deepEqual([1_000, 1_000_000, 50_000].map(sizeText), ['10^3', '10^6', '50,000']);
});

test('a catalogue has descriptors of realistic sizes, few of which change often', async () => {
  const plan = { descriptors: 1_500, entries: 1_000, seed: 1 };
  const entries = [...catalogueChanges(plan)];
  assert.deepEqual([...catalogueChanges(plan)], entries, 'the same seed is another catalogue');
  const [first = [], second = [], ...later] = entries;
  const filled = [...first, ...second];
  assert.deepEqual([entries.length, filled.length], [1_000, 1_500]);
  const sizes = filled.map(({ kind, id, spec }) => canonicalBytes({ kind, id, spec }).length);
  assert.ok(Math.min(...sizes) >= 150 && Math.max(...sizes) <= 600, `${sizes.slice(0, 4)}`);
  assert.deepEqual(new Set(filled.map(({ kind }) => kind)).size, 4);
  const changes = later.flat();
  const perId = Map.groupBy(changes, ({ kind, id }) => `${kind}/${id}`);
  const often = [...perId.values()].filter(({ length }) => length > 10).flat();
  assert.ok(often.length > 0.7 * changes.length && perId.size > 100, `${perId.size} ids`);
  assert.ok(later.some(({ length }) => length > 8) && later.some(({ length }) => length === 1));
});

test('a log of a catalogue verifies, and holds the set that its changes leave', async () => {
  const path = join(directory, 'catalogue.db');
  const plan = { descriptors: 300, entries: 400, seed: 2 };
  await makeLongLog({ path, count: plan.entries, changes: catalogueChanges(plan), ...SIGNERS });
  const { chain } = await checked(path);
  const left = new Set<string>();
  for (const { kind, id, spec } of [...catalogueChanges(plan)].flat())
    if (spec === null) left.delete(`${kind}/${id}`);
    else left.add(`${kind}/${id}`);
  assert.deepEqual([chain?.version, chain?.set.size], [400, left.size]);
  assert.ok(left.size < 300, 'nothing was removed');
});
