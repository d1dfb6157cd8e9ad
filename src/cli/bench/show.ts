/** Results for people: a table of loads, and the latencies of each as bars. */
import { escapeText } from '../../core/error.ts';
import type { Style } from '../style.ts';
import { plural, table } from '../text.ts';
import type { Bucket, Latency } from './histogram.ts';
import type { LoadResult } from './load.ts';
import type { BenchResult } from './result.ts';
import type { WatchResult } from './watch-load.ts';
import type { WriteResult } from './write-load.ts';

const BAR = 40;

type Rows = readonly (readonly [string, Latency | null])[];

export function showHeading({
  bench,
  url,
  server_version,
  config,
}: Omit<BenchResult<object>, 'loads'>): string {
  const server = server_version === null ? 'an unknown server' : `quorate ${server_version}`;
  const settings = Object.entries(config)
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(' ') : value}`);
  const place = url === undefined ? '' : ` at ${url}`;
  return escapeText(`${bench}: ${server}${place}; ${settings.join(', ')}`);
}

/** Milliseconds with three figures after the point: microseconds. */
export function showMs(us: number): string {
  return (us / 1000).toFixed(3);
}

export function showLatencies(rows: Rows): string {
  const head = ['ms', 'count', 'min', 'p50', 'p90', 'p95', 'p99', 'p99.9', 'max', 'mean'];
  return table([head, ...rows.map(([name, latency]) => [name, ...latencyCells(latency)])]);
}

/** One row for each step. */
export function showSteps(steps: WriteResult['steps']): Rows {
  return Object.entries(steps);
}

function latencyCells(latency: Latency | null): string[] {
  if (latency === null) return ['0'];
  const { count, min, p50, p90, p95, p99, p99_9, max, mean } = latency;
  return [String(count), ...[min, p50, p90, p95, p99, p99_9, max, mean].map(showMs)];
}

export function showHistogram(name: string, latency: Latency | null): string {
  if (latency === null) return '';
  const { buckets } = latency;
  const most = Math.max(...buckets.map(({ count }) => count));
  const rows = buckets.map(({ up_to, count }, i) => [
    `  ${showBound(buckets[i - 1], up_to)}`,
    '#'.repeat(Math.ceil((count / most) * BAR)).padEnd(BAR),
    String(count),
  ]);
  return `${name}, ms\n${table(rows)}`;
}

function showBound(before: Bucket | undefined, upTo: number | null): string {
  return upTo === null ? `over ${showMs(before?.up_to ?? 0)}` : `to ${showMs(upTo)}`;
}

/** What came of a load beside its latencies. */
/** `job`: what one of them is called. */
export function showLoad(
  { name, job }: { readonly name: string; readonly job: string },
  load: LoadResult,
  style: Style,
): string {
  const { requests, elapsed_ms, rate, failed, errors, unsent, unfinished } = load;
  return [
    `${name}: ${plural(requests, job)} in ${(elapsed_ms / 1000).toFixed(2)} s, ${rate} a second`,
    ...(failed === 0 ? [] : [style('bad', `  ${failed} failed: ${showErrors(errors)}`)]),
    ...(unsent === 0
      ? []
      : [style('warn', `  ${unsent} were due and never sent: no connection was free`)]),
    ...(unfinished === 0 ? [] : [`  ${unfinished} under way were not waited for`]),
    ...(load.is_generator_limited ? [style('warn', `  ${limitedBy(load)}`)] : []),
  ].join('\n');
}

export function showWatch(watch: WatchResult, style: Style): string {
  const { subscribers, opened_ms, events, complete, failed, errors, early, busy_share } = watch;
  return [
    `watch: ${plural(subscribers, 'subscriber')} in ${(opened_ms / 1000).toFixed(2)} s; ${plural(events, 'version')}, ${complete} of them at all`,
    '  times are from committed_at, which is milliseconds of the clock of the registry',
    ...(failed === 0 ? [] : [style('bad', `  failed: ${showErrors(errors)}`)]),
    ...(early === 0
      ? []
      : [style('warn', `  ${early} arrivals before their commit: the clocks differ`)]),
    ...(watch.is_generator_limited
      ? [style('warn', `  ${limitedBy({ late: 0, busy_share })}`)]
      : []),
  ].join('\n');
}

function showErrors(errors: Readonly<Record<string, number>>): string {
  return Object.entries(errors)
    .map(([kind, count]) => `${count} x ${kind}`)
    .join(', ');
}

function limitedBy({ late, busy_share }: Pick<LoadResult, 'late' | 'busy_share'>): string {
  const why =
    late > 0
      ? `${plural(late, 'request')} left late, and not because of the registry`
      : `it was busy ${Math.round(busy_share * 100)} % of the time`;
  return `the generator was the limit (${why}): the registry may do better than this`;
}
