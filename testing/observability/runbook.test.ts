import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, readText } from '../architecture/sources.ts';
import { loadedProgram } from '../support/cli-reference.ts';
import { startMetered } from '../support/metrics-page.ts';
import { isMissing, startPrometheus } from '../support/prometheus.ts';
import { metricsIn, seriesOf } from '../support/promql.ts';
import { anchorOf, sectionsOf } from '../support/runbook.ts';

const PAGE = readText('RUNBOOK.md');
const SECTIONS = sectionsOf(PAGE);
const ALERTS = SECTIONS.filter(({ title }) => title.startsWith('Quorate'));
const PARTS = ['Symptom', 'Query', 'Action', 'It worked when', 'Signers'];

test('every alert has a section, and every section an alert', async (t) => {
  if (isMissing(t, 'prometheus')) return;
  const rules = await startPrometheus(t, { rules: join(ROOT, 'deploy/prometheus/rules.yml') });
  const alerts = (await rules.rules()).filter(({ type }) => type === 'alerting');
  assert.deepEqual(
    ALERTS.map(({ title }) => title),
    alerts.map(({ name }) => name),
  );
  const rows = [...PAGE.matchAll(/^\| \[(\w+)\]\(#\w+\) \| (\w+) \| (.+) \|$/gm)];
  assert.deepEqual(
    rows.map(([, ...cells]) => cells).sort(),
    alerts
      .map(({ name, labels, annotations }) => [name, labels?.severity, annotations?.summary])
      .sort(),
  );
});

test('every section says the symptom, what to ask, what to do, how to know that it worked, and when to call the signers', () => {
  assert.ok(ALERTS.length > 40);
  for (const { title, text, queries } of ALERTS) {
    const parts = [...text.matchAll(/^\*\*([^*]+?)\.?\*\*/gm)].map(([, name]) => name);
    assert.deepEqual(parts, PARTS, title);
    assert.ok(queries.length >= 2, `${title} asks ${queries.length} queries`);
    assert.match(text, /^1\. /m, title);
    for (const [, part = '', said = ''] of text.matchAll(/^\*\*([^*]+?)\.?\*\* ?(.*)$/gm))
      if (part !== 'Query' && part !== 'Action') assert.match(said, /\S.*\.$/, `${title}: ${part}`);
  }
});

test('every place that the page leads to is there', () => {
  const anchors = new Set(SECTIONS.map(({ anchor }) => anchor));
  const links = [...PAGE.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = '']) => anchor);
  assert.ok(links.length > 20);
  for (const anchor of links) assert.ok(anchors.has(anchor), `#${anchor}`);
  for (const [, name = '', anchor = ''] of PAGE.matchAll(/\[(Quorate\w+)\]\(#([^)]+)\)/g))
    assert.equal(anchor, anchorOf(name));
});

test('every metric of a query, and every one named in the text, is on the page of a server at work', async (t) => {
  const metered = await startMetered(t);
  await metered.work(1);
  const page = await metered.page();
  const bare = [...page.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name);
  const known = new Set([...seriesOf(page), ...bare]);
  for (const { title, queries } of SECTIONS)
    for (const { expr } of queries)
      for (const metric of metricsIn(expr))
        assert.ok(
          known.has(metric) ||
            metric.includes(':') ||
            metric === 'up' ||
            metric.startsWith('scrape_'),
          `${title} asks for ${metric}`,
        );
  const named = [...PAGE.matchAll(/`((?:registry|storage|http|config|audit|token|bus)_[a-z_]+)/g)];
  const settings = new Set(
    [...readText('CONFIG.md').matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, key = '']) => key),
  );
  const codes = readText('src/core/error.ts');
  for (const [, name = ''] of named)
    assert.ok(
      known.has(name) || settings.has(name) || codes.includes(`'${name}'`) || name.endsWith('_'),
      `the text names ${name}`,
    );
});

test('every setting that the page names is one of CONFIG.md', () => {
  const settings = readText('CONFIG.md');
  for (const [, key = ''] of PAGE.matchAll(
    /`((?:max|min|shed|trusted|tls|drain|headers|request|keep|metrics|token|witness|recosign|log)_[a-z_]+)`/g,
  ))
    assert.ok(settings.includes(`\`${key}\``), key);
});

test('every command that the page names is one of the program', async () => {
  const commands = (await loadedProgram()).commands.flatMap((command) => [
    command.name(),
    ...command.commands.map((child) => `${command.name()} ${child.name()}`),
  ]);
  const named = [...PAGE.matchAll(/(?:^|`)quorate ([a-z-]+(?: [a-z]+)?)/gm)].map(
    ([, name = '']) => name,
  );
  assert.ok(named.length > 15);
  for (const name of named) assert.ok(commands.includes(name), `quorate ${name}`);
});

test('every gate of a server has a row that says what to do, and is described with the metrics', async (t) => {
  const page = await (await startMetered(t)).page();
  const gates = [...page.matchAll(/^registry_write_gate\{gate="(\w+)"\}/gm)].map(
    ([, gate = '']) => gate,
  );
  assert.ok(gates.includes('disk'));
  const described = readText('docs/metrics.md');
  for (const gate of gates) assert.ok(described.includes(`\`${gate}\``), gate);

  const { text = '' } = SECTIONS.find(({ title }) => title === 'QuorateGateShut') ?? {};
  const rows = [...text.matchAll(/^ +\| `([a-z]+)` \| `([a-z_]+)`/gm)];
  const codes = readText('src/core/error.ts');
  for (const [, gate, code] of rows) assert.ok(codes.includes(`'${code}'`), `${gate}: ${code}`);
  // These have alerts of their own.
  const elsewhere = ['freeze', 'genesis', 'running'];
  assert.deepEqual(
    rows.map(([, gate]) => gate).sort(),
    gates.filter((gate) => !elsewhere.includes(gate)).sort(),
  );
});
