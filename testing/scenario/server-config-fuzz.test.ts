/**
 * Random configurations, right and wrong: whatever is given, there is either a whole service or none.
 * QUORATE_TEST_SEED repeats a run, QUORATE_TEST_LONG=1 makes a long one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectiveSettings, loadConfig } from '../../src/server/config.ts';
import { SETTINGS } from '../../src/server/config-schema.ts';
import { drawConfig } from '../support/config-draws.ts';
import { makeRandom } from '../support/random.ts';
import { violationsOf } from '../support/server-config.ts';

const IS_LONG = process.env.QUORATE_TEST_LONG === '1';
const SEED = Number(process.env.QUORATE_TEST_SEED ?? Date.now() % 2 ** 31);

/** Settings about which others say something: only they may be refused though each value is right. */
const RELATED = new Set([
  'tls_cert',
  'tls_key',
  'clock_name',
  'listen',
  'metrics_listen',
  'operator_listen',
  'data',
  'high_water',
  'min_free_space',
  'warn_free_space',
  'ballast',
  'audit_max_size',
  'max_prepared_sets',
  'blobs',
  'max_blob_bytes',
  'blob_quota',
  'blob_grace',
  'retention_age',
  'retention_entries',
  'retention_size',
]);
const RELATED_PLACES = new Set(
  SETTINGS.filter(({ key }) => RELATED.has(key)).flatMap(({ key, env, envFile, flag }) => [
    env,
    envFile,
    flag,
    `quorate.toml: ${key}`,
  ]),
);

/** No member is missing, and no number is none. */
function assertWhole(value: unknown, path = 'config'): void {
  assert.notEqual(value, undefined, path);
  if (typeof value === 'number') assert.ok(Number.isSafeInteger(value) && value >= 0, path);
  if (typeof value !== 'object' || value === null) return;
  for (const [name, below] of Object.entries(value)) assertWhole(below, `${path}.${name}`);
}

test('every planted mistake is told with its place, and nothing else is; without one the configuration is whole', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = makeRandom(SEED);
  const counts = { whole: 0, planted: 0, contradictory: 0 };
  for (let i = 0; i < (IS_LONG ? 50_000 : 1500); i++) {
    const { sources, planted, texts } = drawConfig(random);
    const shown = `draw ${i} of seed ${SEED}: ${JSON.stringify(sources)}`;
    const violations = violationsOf(sources);
    for (const place of planted)
      assert.ok(
        violations.some((violation) =>
          violation.startsWith(place.endsWith(' ') ? place : `${place}: `),
        ),
        `${place} was not told: ${violations} in ${shown}`,
      );
    for (const violation of violations) {
      const place = violation.replace(/: expected .*/s, '');
      assert.ok(
        planted.has(place) || RELATED_PLACES.has(place) || /: line /.test(place),
        `${violation}: ${shown}`,
      );
    }
    if (violations.length > 0) {
      counts[planted.size > 0 ? 'planted' : 'contradictory']++;
      continue;
    }
    counts.whole++;
    assertWhole(loadConfig(sources));
    for (const { setting, text } of effectiveSettings(sources))
      assert.equal(text, texts.get(setting.key) ?? setting.initial, `${setting.key}: ${shown}`);
  }
  t.diagnostic(JSON.stringify(counts));
  for (const count of Object.values(counts)) assert.ok(count > 10, JSON.stringify(counts));
});

test('a file with changed bytes is refused with what is wrong, or is a whole configuration', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = makeRandom(SEED);
  const at = (length: number) => Math.floor(random() * length);
  const whole = SETTINGS.map(({ key, initial }) => `${key} = ${JSON.stringify(initial)}\n`).join(
    '',
  );
  const counts = { whole: 0, refused: 0 };
  for (let i = 0; i < (IS_LONG ? 20_000 : 500); i++) {
    let text = whole;
    for (let cuts = [1, 1, 3][at(3)] ?? 1; cuts > 0; cuts--) {
      const from = at(text.length);
      const inserted = [
        '',
        '"',
        '\n',
        '=',
        '\0',
        '\u202e',
        '[',
        '#',
        '9',
        text.slice(at(text.length)).slice(0, 40),
      ];
      text = text.slice(0, from) + (inserted[at(inserted.length)] ?? '') + text.slice(from + at(3));
    }
    const sources = { file: { name: 'quorate.toml', text } };
    const isWhole = violationsOf(sources).length === 0;
    if (isWhole) assertWhole(loadConfig(sources));
    counts[isWhole ? 'whole' : 'refused']++;
  }
  t.diagnostic(JSON.stringify(counts));
  for (const count of Object.values(counts)) assert.ok(count > 0, JSON.stringify(counts));
});
