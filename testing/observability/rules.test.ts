import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT, readText } from '../architecture/sources.ts';
import { startMetered } from '../support/metrics-page.ts';
import { isMissing, promtool, type Rule, startPrometheus } from '../support/prometheus.ts';
import { metricsIn, seriesOf } from '../support/promql.ts';
import { sectionsOf } from '../support/runbook.ts';

const FOLDER = join(ROOT, 'deploy/prometheus');
const RULES = join(FOLDER, 'rules.yml');
const TESTS = join(FOLDER, 'rules.test.yml');

async function readRules(t: TestContext): Promise<readonly Rule[]> {
  const rules = await (await startPrometheus(t, { rules: RULES })).rules();
  assert.ok(rules.length > 40, `expected all rules, got ${rules.length}`);
  return rules;
}

function alertsOf(rules: readonly Rule[]): readonly Rule[] {
  return rules.filter(({ type }) => type === 'alerting');
}

test('promtool accepts the rules and the example configuration', (t) => {
  if (isMissing(t, 'promtool')) return;
  for (const [kind, file] of [
    ['rules', 'rules.yml'],
    ['config', 'prometheus.yml'],
  ] as const) {
    const { status, output } = promtool(['check', kind, join(FOLDER, file)]);
    assert.equal(status, 0, output);
    assert.match(output, /SUCCESS/);
  }
});

test('each alert fires when it should, and stays silent just below', (t) => {
  if (isMissing(t, 'promtool')) return;
  const { status, output } = promtool(['test', 'rules', TESTS]);
  assert.equal(status, 0, output);
});

test('a threshold that moves is noticed by the tests of the rules', (t) => {
  if (isMissing(t, 'promtool')) return;
  const folder = mkdtempSync(join(tmpdir(), 'quorate-rules-'));
  t.after(() => rmSync(folder, { recursive: true }));
  // Of its tests those of the first alert alone: all take seconds.
  const [head = '', first = ''] = readFileSync(TESTS, 'utf8').split(/^(?= {2}- name: )/m);
  writeFileSync(join(folder, 'rules.test.yml'), head + first);
  const text = readFileSync(RULES, 'utf8');
  assert.equal(text.split('p95_10m > 0.05').length, 2);
  writeFileSync(join(folder, 'rules.yml'), text.replace('p95_10m > 0.05', 'p95_10m > 0.06'));
  const check = () => promtool(['test', 'rules', join(folder, 'rules.test.yml')]).status;
  assert.equal(check(), 1);
  writeFileSync(join(folder, 'rules.yml'), text);
  assert.equal(check(), 0);
});

/** Of each alert, how many of its cases fire and how many are silent beside a series named `below`. */
function casesIn(text: string): ReadonlyMap<string, { fires: number; silent: number }> {
  const cases = new Map<string, { fires: number; silent: number }>();
  for (const group of text.split(/^ {2}- name: /m).slice(1)) {
    const isHeldBelow = /instance="(?:below|other)"/.test(group);
    for (const [, name = '', expected = ''] of group.matchAll(
      /alertname: (\w+)\n\s+exp_alerts:(.*)$/gm,
    )) {
      const found = cases.get(name) ?? { fires: 0, silent: 0 };
      if (expected.trim() === '[]') found.silent++;
      else found.fires++;
      cases.set(name, isHeldBelow || name === 'QuorateAbsent' ? found : { fires: 0, silent: 0 });
    }
  }
  return cases;
}

test('every alert has a case in which it fires, and a series for which it never does', async (t) => {
  if (isMissing(t, 'prometheus')) return;
  const cases = casesIn(readFileSync(TESTS, 'utf8'));
  const alerts = alertsOf(await readRules(t)).map(({ name }) => name);
  assert.deepEqual([...cases.keys()].sort(), [...alerts].sort());
  assert.deepEqual(
    [...cases].filter(([, { fires, silent }]) => fires === 0 || silent === 0),
    [],
  );
});

test('every metric of a rule is on the page of a server at work, or recorded by a rule', async (t) => {
  if (isMissing(t, 'prometheus')) return;
  const rules = await readRules(t);
  const metered = await startMetered(t);
  await metered.work(1);
  const known = new Set([
    ...seriesOf(await metered.page()),
    ...rules.filter(({ type }) => type === 'recording').map(({ name }) => name),
    'up',
  ]);
  for (const { name, query } of rules) {
    const metrics = metricsIn(query);
    assert.ok(metrics.length > 0, `${name}: ${query}`);
    for (const metric of metrics) assert.ok(known.has(metric), `${name} reads ${metric}`);
  }
});

test('every alert has a severity, says what and where, and leads to its place in the runbook', async (t) => {
  if (isMissing(t, 'prometheus')) return;
  const sections = new Set(sectionsOf(readText('RUNBOOK.md')).map(({ anchor }) => anchor));
  for (const { name, labels = {}, annotations = {}, query } of alertsOf(await readRules(t))) {
    assert.match(name, /^Quorate[A-Z]/);
    assert.match(labels.severity ?? '', /^(?:warning|critical)$/, name);
    assert.match(annotations.summary ?? '', /^[A-Z][^{}]+$/, name);
    assert.ok((annotations.description ?? '').length > (annotations.summary ?? '').length, name);
    assert.equal(annotations.runbook_url, `RUNBOOK.md#${name.toLowerCase()}`);
    assert.ok(sections.has(name.toLowerCase()), `RUNBOOK.md has no section ${name}`);
    for (const selector of query.match(/[a-z_]+\{[^}]*\}/g) ?? [])
      assert.match(selector, /job="quorate"/, `${name}: ${selector}`);
  }
});

test('every objective has its alert, at its threshold', async (t) => {
  if (isMissing(t, 'prometheus')) return;
  const alerts = new Map(alertsOf(await readRules(t)).map(({ name, query }) => [name, query]));
  const [, section = ''] = readText('PERFORMANCE.md').split('\n## Objectives\n');
  const rows = [
    ...section.split('\n## ')[0]!.matchAll(/^\|(.+)\|\s+`(.+)`\s+\|\s+`(\w+)`\s+\|$/gm),
  ];
  assert.equal(rows.length, 17);
  for (const [, objective, condition = '', name = ''] of rows) {
    const query = alerts.get(name) ?? '';
    assert.ok(query.includes(condition), `${objective}: ${name} is ${query}`);
    assert.ok(Math.abs(boundOf(objective ?? '') - limitOf(condition)) < 1e-9, objective);
  }
  assert.equal(new Set(rows.map(([, , , name]) => name)).size, rows.length);
});

const UNITS: Readonly<Record<string, number>> = { ms: 1e-3, s: 1, '%': 0.01, MiB: 1024 ** 2 };

/** Of an objective in words, such as `p95 < 50 ms`, in the units of Prometheus. */
function boundOf(objective: string): number {
  const [, number, unit = 's'] = /(?:<|:) ([\d.]+)(?: (ms|s|%|MiB))?/.exec(objective) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}

/** The number that a condition ends with, such as `> 256 * 1024 * 1024`. */
function limitOf(condition: string): number {
  const [limit = ''] = condition.split(' > ').slice(-1);
  return limit.split(' * ').reduce((product, factor) => product * Number(factor), 1);
}

test('what an expression reads is found in it, and nothing else', () => {
  for (const [expr, expected] of [
    ['rate(a_total{job="x",b=~"c|d"}[5m]) > 0.5', ['a_total']],
    ['sum by (job, le) (increase(a_bucket[10m])) / on (job) group_left (b) c', ['a_bucket', 'c']],
    ['a:b:rate5m unless on (x) absent(up) # d', ['a:b:rate5m', 'up']],
    ['time() - a offset 1h > bool 1e9 or vector(0) and b == Inf', ['a', 'b']],
    ['max_over_time(a[1h]) * 1024', ['a']],
  ] as const)
    assert.deepEqual(metricsIn(expr), expected, expr);
});
