import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadConfig } from '../../../src/server/config.ts';
import { SETTINGS } from '../../../src/server/config-schema.ts';
import { parseBytes, parseDuration } from '../../../src/server/config-values.ts';
import { createMetrics } from '../../../src/telemetry/create-metrics.ts';

const page = readFileSync(new URL('../../../CONFIG.md', import.meta.url), 'utf8');

/** The cells of every row of the settings table. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()));

test('CONFIG.md has exactly the settings of the schema, in its order and with its words', () => {
  const expected = SETTINGS.map(
    ({ key, env, flag, initial, expected, meaning, metric, reload }) => [
      `\`${key}\``,
      expected,
      initial === '' ? 'none' : `\`${initial}\``,
      `\`${env}\``,
      `\`${flag}\``,
      meaning,
      metric.startsWith('none') ? metric : `\`${metric}\``,
      reload === true ? 'yes' : `no: ${reload}`,
    ],
  );
  assert.deepEqual(rows, expected);
});

test('the units that CONFIG.md lists are those that are taken', () => {
  const listed = /Durations carry their unit \(([^)]*)\), and so do sizes \(([^)]*)\)/.exec(page);
  const [durations, sizes] = [listed?.[1], listed?.[2]].map((text = '') =>
    [...text.matchAll(/`(\w+)`/g)].map(([, unit = '']) => unit),
  );
  const isTaken = (parse: (text: string) => unknown) => (unit: string) =>
    parse(`1${unit}`) !== undefined;
  const times = ['us', 'ms', 's', 'm', 'h', 'd', 'w', 'y'];
  assert.deepEqual(durations, times.filter(isTaken(parseDuration)));
  const bytes = ['B', 'kB', 'KiB', 'MB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  assert.deepEqual(sizes, bytes.filter(isTaken(parseBytes)));
});

test('every metric that a setting names exists', async () => {
  const { text } = await createMetrics({
    build: { version: '0', node: '0' },
    reasons: [],
    now: () => 0,
    isProcessObserved: false,
  }).render();
  for (const { key, metric } of SETTINGS)
    if (!metric.startsWith('none'))
      assert.match(text, new RegExp(`^# TYPE ${metric.replace(/\{.*/, '')} `, 'm'), key);
});

test('the example file in CONFIG.md is a valid configuration', () => {
  const text = /```toml\n([^`]*)```/.exec(page)?.[1] ?? '';
  const config = loadConfig({ file: { name: 'CONFIG.md', text } });
  assert.equal(config.dataDir, '/var/lib/quorate');
});
