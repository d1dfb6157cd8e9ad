import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '../../src/api/routes.ts';
import { readText } from '../architecture/sources.ts';
import { DASHBOARDS, type Panel, queriesOf, substitute } from '../support/dashboards.ts';
import { startMetered } from '../support/metrics-page.ts';
import { metricsIn, seriesOf } from '../support/promql.ts';

const COLUMNS = 24;

test('there are three dashboards, each with a name of its own that stays', () => {
  assert.deepEqual(
    [...DASHBOARDS].map(([file, { uid }]) => [file, uid]),
    [
      ['audit-retention.json', 'quorate-audit-retention'],
      ['commit-path.json', 'quorate-commit-path'],
      ['service.json', 'quorate-service'],
    ],
  );
});

for (const [file, dashboard] of DASHBOARDS) {
  const drawn = dashboard.panels.filter(({ type }) => type !== 'row');

  test(`${file} imports into any Grafana: no id, no data source of somebody else`, () => {
    assert.equal(dashboard.id, null);
    assert.ok(dashboard.schemaVersion >= 36);
    assert.deepEqual(dashboard.tags, ['quorate']);
    assert.ok(dashboard.description.length > 40);
    assert.deepEqual(
      dashboard.templating.list.map(({ name, type }) => [name, type]),
      [
        ['DS_PROMETHEUS', 'datasource'],
        ['job', 'query'],
        ['instance', 'query'],
      ],
    );
    for (const [, uid] of readText(`deploy/grafana/${file}`).matchAll(/"uid": "([^"]+)"/g))
      if (uid !== dashboard.uid) assert.match(uid ?? '', /^(?:\$\{DS_PROMETHEUS\}|-- Grafana --)$/);
  });

  test(`${file}: every panel has its own id and place, a title, a description, a unit`, () => {
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const { title, description, fieldConfig, targets = [] } of drawn) {
      assert.match(title, /\S/);
      assert.match(description ?? '', /^.{15,}\.$/, title);
      assert.ok(fieldConfig?.defaults.unit, title);
      assert.ok(targets.length > 0, title);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    }
    assert.deepEqual(overlaps(dashboard.panels), []);
    assert.equal(new Set(drawn.map(({ title }) => title)).size, drawn.length);
  });

  test(`${file}: every query keeps to the chosen job and instance, and leaves ranges to Grafana`, () => {
    const queries = [
      ...drawn.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
      ...dashboard.annotations.list.flatMap(({ expr }) => expr ?? []),
    ];
    assert.ok(queries.length >= drawn.length);
    for (const expr of queries) {
      const rest = expr.replaceAll(/\b[a-z0-9_]+\{job=~"\$job",instance=~"\$instance"[^}]*\}/g, '');
      assert.notEqual(rest, expr);
      assert.deepEqual(metricsIn(substitute(rest)), [], expr);
      // A fixed range is for what its title says it is.
      for (const [, range = ''] of expr.matchAll(/\[([^\]]+)\]/g))
        assert.ok(['$__rate_interval', '1h', '6h', '24h'].includes(range), expr);
    }
  });
}

test('every query uses only metrics that a server at work has', async (t) => {
  const metered = await startMetered(t);
  await metered.work(1);
  const known = seriesOf(await metered.page());
  let asked = 0;
  for (const dashboard of DASHBOARDS.values())
    for (const { place, expr } of queriesOf(dashboard))
      for (const metric of metricsIn(expr)) {
        asked++;
        assert.ok(metric === 'up' || known.has(metric), `${place} reads ${metric}`);
      }
  assert.ok(asked > 80, `expected many queries, got ${asked}`);
});

test('every golden metric is on a dashboard', async (t) => {
  const page = await (await startMetered(t)).page();
  const shown = new Set(
    [...DASHBOARDS.values()].flatMap(queriesOf).flatMap(({ expr }) => metricsIn(expr)),
  );
  const golden = [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    .map(([, name = '']) => name)
    .filter((name) => !/^(?:process|nodejs)_/.test(name));
  assert.ok(golden.length > 30);
  const unseen = golden.filter(
    (name) => !['', '_bucket', '_sum', '_count'].some((suffix) => shown.has(name + suffix)),
  );
  // When the last reload was applied is a question of the runbook.
  assert.deepEqual(unseen, ['config_last_reload_success_timestamp_seconds']);
});

test('writes by route are those of every method that writes', () => {
  const methods = new Set(operations().map(([, { method }]) => method.toUpperCase()));
  const [panel] = [...DASHBOARDS.values()]
    .flatMap(({ panels }) => panels)
    .filter(({ title }) => title === 'Writes by route');
  const [, asked = ''] = /method=~"([^"]+)"/.exec(panel?.targets?.[0]?.expr ?? '') ?? [];
  assert.deepEqual(
    asked.split('|').sort(),
    [...methods].filter((method) => method !== 'GET').sort(),
  );
});

test('a panel that shows an objective has a line where it lies', () => {
  const limits = new Map<string, number[]>();
  for (const { panels } of DASHBOARDS.values())
    for (const { title, fieldConfig } of panels)
      limits.set(
        title,
        fieldConfig?.defaults.thresholds.steps.flatMap(({ value }) => value ?? []) ?? [],
      );
  for (const [title, expected] of [
    ['Head', [0.05, 0.09]],
    ['Version', [0.1]],
    ['Commit latency', [0.75, 1.2]],
    ['Verification of an approval', [0.007]],
    ['Event propagation', [0.2]],
    ['Failed: 5xx without 503', [0.001]],
    ['Shed: 429 and 503', [0.01]],
    ['Processor', [0.6]],
    ['Resident memory', [256 * 1024 ** 2, 512 * 1024 ** 2]],
    ['Start until reads are answered', [0.8, 3.5]],
    ['Start until writes are accepted', [2.5, 6]],
  ] as const)
    assert.deepEqual(limits.get(title), expected, title);
});

test('panels that lie over each other, or beside the page, are seen', () => {
  const panel = (id: number, gridPos: Panel['gridPos']): Panel => ({
    id,
    type: 'stat',
    title: `${id}`,
    gridPos,
  });
  const one = panel(1, { x: 0, y: 0, w: 12, h: 8 });
  assert.deepEqual(overlaps([one, panel(2, { x: 12, y: 0, w: 12, h: 8 })]), []);
  assert.deepEqual(overlaps([one, panel(2, { x: 11, y: 7, w: 12, h: 8 })]), ['1 over 2']);
  assert.deepEqual(overlaps([panel(2, { x: 13, y: 0, w: 12, h: 8 })]), ['2 beside the page']);
});

function overlaps(panels: readonly Panel[]): string[] {
  return panels.flatMap(({ id, gridPos: a }, i) => [
    ...(a.x < 0 || a.y < 0 || a.w < 1 || a.h < 1 || a.x + a.w > COLUMNS
      ? [`${id} beside the page`]
      : []),
    ...panels
      .slice(i + 1)
      .filter(
        ({ gridPos: b }) =>
          a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h,
      )
      .map((other) => `${id} over ${other.id}`),
  ]);
}
