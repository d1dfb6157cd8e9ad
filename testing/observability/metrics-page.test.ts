import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTINGS } from '../../src/server/config-schema.ts';
import { readText } from '../architecture/sources.ts';
import { startMetered } from '../support/metrics-page.ts';
import { GOLDEN, metricsWith, reportEverything } from '../support/server-golden.ts';

const PAGE = readText('docs/metrics.md');

interface Described {
  readonly type: string;
  readonly labels: readonly string[];
  /** Of the one closed label. */
  readonly values: readonly string[];
  readonly meaning: string;
}

/** Rows of three cells, the process's, have no labels. */
function describedIn(page: string): ReadonlyMap<string, Described> {
  const rows = [...page.matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \|(?: (.*?) ?\|)? (.+) \|$/gm)];
  return new Map(
    rows.map(([, name = '', type = '', labels = '', meaning = '']) => [
      name,
      {
        type,
        labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).sort(),
        values: /: ([a-z]+(?:, [a-z]+)+)$/.exec(labels)?.[1]?.split(', ') ?? [],
        meaning,
      },
    ]),
  );
}

async function textOf(isProcessObserved: boolean): Promise<string> {
  const metrics = metricsWith({ isProcessObserved });
  reportEverything(metrics);
  return (await metrics.render()).text;
}

test('docs/metrics.md has every metric with its type and its help, and no other', async () => {
  const text = await textOf(true);
  const types = new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, n, type]) => [n, type]),
  );
  const helps = [...text.matchAll(/^# HELP (\S+) (.+)$/gm)];
  assert.deepEqual(
    [...describedIn(PAGE)].map(([name, { type, meaning }]) => [name, type, meaning]).sort(),
    helps.map(([, name = '', help]) => [name, types.get(name), help]).sort(),
  );
});

test('docs/metrics.md has the labels of every golden metric, and the values of closed ones', async () => {
  const described = describedIn(PAGE);
  const text = await textOf(false);
  let closed = 0;
  for (const [name, [type, ...labels]] of Object.entries(GOLDEN)) {
    const said = described.get(name);
    assert.deepEqual([said?.type, said?.labels], [type, [...labels].sort()], name);
    const { values = [] } = said ?? {};
    if (values.length === 0) continue;
    closed++;
    const series = [...text.matchAll(new RegExp(`^${name}\\{\\w+="(\\w+)"\\}`, 'gm'))];
    assert.deepEqual(series.map(([, value]) => value).sort(), [...values].sort(), name);
  }
  assert.ok(closed >= 7, `${closed} labels with their values`);
});

test('every metric that shows a setting is on the page of a server, that very series included', async (t) => {
  const page = await (await startMetered(t)).page();
  for (const { key, metric } of SETTINGS) {
    if (metric.startsWith('none: ')) continue;
    const [, name, labels] = /^([a-z_]+)(\{.+\})?$/.exec(metric) ?? [];
    assert.match(page, new RegExp(`^# TYPE ${name} `, 'm'), `${key} is shown by ${metric}`);
    if (labels !== undefined) assert.ok(page.includes(`\n${metric} `), `${key}: ${metric}`);
  }
});

test('a help is one sentence, and no two metrics have the same', async () => {
  const helps = [...(await textOf(false)).matchAll(/^# HELP \S+ (.+)$/gm)].map(
    ([, help = '']) => help,
  );
  assert.equal(new Set(helps).size, helps.length);
  for (const help of helps) assert.match(help, /^[A-Z1][^|]{10,140}\.$/, help);
});
