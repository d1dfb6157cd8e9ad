/** Debian's prometheus scrapes a real server, and everything that can be asked of it is asked. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, readText } from '../architecture/sources.ts';
import { DASHBOARDS, queriesOf } from '../support/dashboards.ts';
import { type MeteredServer, startMetered } from '../support/metrics-page.ts';
import { isMissing, type Prometheus, promtool, startPrometheus } from '../support/prometheus.ts';
import { sectionsOf } from '../support/runbook.ts';

interface Query {
  readonly place: string;
  readonly expr: string;
  readonly isAnswered: boolean;
}

/** Nothing of these on a server without witnesses, without TLS, never reloaded, never crashed, that fails at nothing. */
const MAY_BE_EMPTY =
  /registry_(?:witness_(?:requests|size)|cosignature)|tls_certificate|reload_success_timestamp|code=~|changes\(/;

function everyQuery(): Query[] {
  const runbook = sectionsOf(readText('RUNBOOK.md')).flatMap(({ title, queries }) =>
    queries.map(({ expr, isEmptyWhenWell }) => ({
      place: `RUNBOOK.md, ${title}`,
      expr,
      isAnswered: !isEmptyWhenWell,
    })),
  );
  const panels = [...DASHBOARDS.values()]
    .flatMap(queriesOf)
    .map(({ place, expr }) => ({ place, expr, isAnswered: !MAY_BE_EMPTY.test(expr) }));
  return [...runbook, ...panels];
}

/** Rates need traffic between two scrapes, for each series that they look at. */
async function scrapeAtWork(prometheus: Prometheus, metered: MeteredServer): Promise<void> {
  await prometheus.until('registry_version >= 0');
  await metered.work(3);
  await prometheus.until(`registry_version{job="quorate"} >= ${await headOf(metered)}`);
  const scraped = await prometheus.query('count_over_time(up{job="quorate"}[1h])');
  const [, count = '0'] = scraped[0]?.value ?? [];
  await prometheus.until(`count_over_time(up{job="quorate"}[1h]) >= ${Number(count) + 2}`);
}

async function headOf({ server }: MeteredServer): Promise<number> {
  const { version } = JSON.parse(await (await fetch(`${server.url}/registry/head`)).text());
  return version;
}

test('a real server under a real scrape', async (t) => {
  if (isMissing(t, 'prometheus')) return;
  const metered = await startMetered(t);
  await metered.work(1);
  const prometheus = await startPrometheus(t, {
    rules: join(ROOT, 'deploy/prometheus/rules.yml'),
    targets: [new URL(metered.server.metricsUrl ?? '').host],
  });
  await scrapeAtWork(prometheus, metered);
  await t.test('every query of the runbook and of the dashboards has its answer', () =>
    everyQueryIsAnswered(prometheus),
  );
  await t.test('every rule is evaluated, and every recorded series is there', () =>
    everyRuleIsHealthy(prometheus),
  );
  await t.test('a server that is well raises no alert of a state', () =>
    nothingIsRaised(prometheus),
  );
  await t.test('a freeze is seen as a freeze, and as no failure of writes', () =>
    freezeIsSeen(prometheus, metered),
  );
  await t.test('a server that is gone is down', () => downIsSeen(prometheus, metered));
});

async function everyQueryIsAnswered(prometheus: Prometheus): Promise<void> {
  const queries = everyQuery();
  assert.ok(queries.length > 200, `expected all queries, got ${queries.length}`);
  const silent: string[] = [];
  for (const { place, expr, isAnswered } of queries) {
    const found = await prometheus.query(expr);
    if (isAnswered && found.length === 0) silent.push(`${place}: ${expr}`);
  }
  assert.deepEqual(silent, []);
  await assert.rejects(prometheus.query('rate(registry_version'), /parse error/, 'it can refuse');
}

async function everyRuleIsHealthy(prometheus: Prometheus): Promise<void> {
  const rules = await prometheus.rules();
  assert.deepEqual(
    rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => [name, lastError]),
    [],
  );
  for (const { name, type } of rules)
    if (type === 'recording') assert.ok((await prometheus.query(name)).length > 0, name);
}

/** How quick a server is here is no matter of a test. A scrape that came too late once is no false alarm. */
async function nothingIsRaised(prometheus: Prometheus): Promise<void> {
  const others = 'alertname!~"Quorate(Slow|Cpu|Memory|EventLoop|.*P9[59]$).*"';
  await prometheus.until(`absent(ALERTS{${others}})`);
}

async function freezeIsSeen(prometheus: Prometheus, { act }: MeteredServer): Promise<void> {
  await act('freeze', 'a test');
  await prometheus.until('ALERTS{alertname="QuorateFrozen",alertstate="pending",gate="freeze"}');
  await prometheus.until('registry_write_ready{job="quorate"} == 0');
  assert.deepEqual(
    await prometheus.query('ALERTS{alertname=~"Quorate(NotWriteReady|GateShut)"}'),
    [],
  );
  await act('thaw', 'it is over');
  await prometheus.until('absent(ALERTS{alertname="QuorateFrozen"})');
}

async function downIsSeen(prometheus: Prometheus, { server }: MeteredServer): Promise<void> {
  await server.stop();
  await assert.rejects(fetch(server.metricsUrl ?? ''), 'nothing is left to scrape');
  await prometheus.until('ALERTS{alertname="QuorateDown",alertstate="pending"}');
}

test('promtool finds nothing to complain about on the page of a server at work', async (t) => {
  if (isMissing(t, 'promtool')) return;
  const metered = await startMetered(t);
  await metered.work(2);
  const { status, output } = promtool(['check', 'metrics'], await metered.page());
  assert.deepEqual([status, output], [0, '']);
  assert.equal(promtool(['check', 'metrics'], 'a_total_ms 1\n').status, 3, 'it can complain');
});
